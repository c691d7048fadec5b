"""Processes that outlive the command that started them, and are never mistaken for another.

A process is known by its pid and its start time, because pids are used again. Each one also
carries a marker in its environment, so that it and its children are found even where no record of
them was left.
"""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MARKER = "GREENROOM_SERVICE"
_POLL_S = 0.05
_KILL_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Process:
    """A process that was started: `started` names the boot and the clock tick of its start."""

    pid: int
    started: str


def spawn(
    command: Sequence[str],
    *,
    marker: str,
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    user: str | None = None,
) -> Process:
    """Start a process in `folder`, in a session of its own, with its output in `log`.

    The log of the start before is kept beside it as `NAME.previous`. With `user`, which only root can
    give, it has that user's rights and those of its group, and no others.
    """
    with suppress(FileNotFoundError):
        log.replace(log.with_name(log.name + ".previous"))
    with log.open("wb") as output:
        child = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**environment, _MARKER: marker},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal that started it is not meant for it.
            start_new_session=True,
            umask=0o077,
            **as_user(user),
        )
    # It is to outlive this command: Popen must not warn that nobody waited for its end.
    child.returncode = 0
    return Process(child.pid, _started(child.pid) or "ended")


def as_user(user: str | None) -> dict[str, Any]:
    """Say to `subprocess` whose rights a process has; those of this one where `user` is None."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def is_alive(process: Process) -> bool:
    """Whether this very process still runs: same pid, same start."""
    # Where it is our own child, its entry stays until somebody asks for its end.
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return _started(process.pid) == process.started


def find(marker: str) -> list[Process]:
    """Every live process that was started under this marker, and their children."""
    wanted = f"{_MARKER}={marker}".encode()
    found: list[Process] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        # Processes end while we look, and those of others are not ours to read.
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                process = Process(int(folder.name), _started(int(folder.name)) or "")
                if process.started and is_alive(process):
                    found.append(process)
    return found


def command_of(process: Process) -> tuple[str, ...]:
    """How a process was started; empty where it has ended."""
    with suppress(OSError):
        return tuple(Path(f"/proc/{process.pid}/cmdline").read_text().split("\0"))
    return ()


def stop(marker: str, *, timeout_s: float = 15.0, politely: signal.Signals = signal.SIGTERM) -> bool:
    """End every process under a marker; politely, and after `timeout_s` by force.

    Answers whether there was anything to end.
    """
    found = find(marker)
    for number, patience_s in ((politely, timeout_s), (signal.SIGKILL, _KILL_TIMEOUT_S)):
        deadline = time.monotonic() + patience_s
        for process in find(marker):
            _send(process, number)
        while find(marker) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    return bool(found)


def _send(process: Process, number: signal.Signals) -> None:
    if is_alive(process):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _started(pid: int) -> str | None:
    """Boot and start tick of a process; None if there is none, or only its remains (a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # proc(5): the second field, the name, is in parentheses and may itself hold any of them.
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return None if state in {"Z", "X"} else f"{boot}/{ticks}"
