"""TCP ports on loopback: which are free, and who has those that are not."""

import errno
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deploy.errors import UsageError

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel takes the ports of outgoing connections: a port that is
# free now is not lost to a passing connection while a service is down.
_CHOICE = range(15_000, 32_000)
_LISTEN = "0A"


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback; raises UsageError if it may not."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of the last run that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError as error:
            raise UsageError(
                f"Port {port} is reserved for the system administrator; expected one from 1024."
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def free_ports(count: int, *, taken: frozenset[int] = frozenset()) -> list[int]:
    """Choose `count` different free ports, none of them in `taken`."""
    chosen: list[int] = []
    candidates = secrets.SystemRandom().sample(_CHOICE, len(_CHOICE))
    for port in candidates:
        if len(chosen) == count:
            break
        if port not in taken and is_free(port):
            chosen.append(port)
    return chosen


def owner(port: int) -> str:
    """Who listens on a port: name and pid, as far as this user may see it."""
    inodes = set(_listening_inodes(port))
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and not inodes.isdisjoint(_socket_inodes(process)):
            with suppress(OSError):
                name = (process / "comm").read_text().strip()
                return f"{name} (pid {process.name})"
    return "a process of another user"


def _listening_inodes(port: int) -> Iterator[str]:
    """Yield the sockets that listen on a port, by the format of proc(5), /proc/net/tcp."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _socket_inodes(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    yield target.removeprefix("socket:[").removesuffix("]")
