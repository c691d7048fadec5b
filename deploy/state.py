"""The state folder: everything the embedded stack keeps, readable by its owner only."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from deploy.errors import StateFolderError, TransientError
from deploy.processes import Process

_MARKER_FILE = ".greenroom-state"
_POLL_S = 0.1
# They mean something in `sqlite:///…`, or in the settings file that MLflow reads that from.
_NOT_IN_DATABASE_ADDRESSES = frozenset("%?\r\n")


@dataclass(frozen=True)
class Record:
    """What was started (`stack.json`). Ports outlive the processes, so that addresses stay."""

    ports: Mapping[str, int] = field(default_factory=dict)
    processes: Mapping[str, Process] = field(default_factory=dict)
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def with_process(self, name: str, process: Process, command: tuple[str, ...]) -> Self:
        """Add a service that was started."""
        return type(self)(self.ports, {**self.processes, name: process}, {**self.commands, name: command})

    def without_process(self, name: str) -> Self:
        """Drop a service that was stopped."""
        return type(self)(
            self.ports,
            {other: value for other, value in self.processes.items() if other != name},
            {other: value for other, value in self.commands.items() if other != name},
        )

    def with_ports(self, ports: Mapping[str, int]) -> Self:
        """Change or add ports."""
        return type(self)({**self.ports, **ports}, self.processes, self.commands)


@dataclass(frozen=True)
class StateFolder:
    """The paths inside a state folder."""

    path: Path

    @property
    def credentials(self) -> Path:
        """Passwords and S3 keys."""
        return self.path / "credentials.json"

    @property
    def logs(self) -> Path:
        """What the services print."""
        return self.path / "logs"

    @property
    def _record(self) -> Path:
        return self.path / "stack.json"

    def is_ours(self) -> bool:
        """Whether `create` made this folder."""
        return (self.path / _MARKER_FILE).is_file()

    def check_ours(self) -> None:
        """Raise StateFolderError unless `create` made this folder."""
        if not self.is_ours():
            raise StateFolderError(
                f"Refused to remove {self.path}: the file {_MARKER_FILE}, which marks our state "
                "folders, is missing; look at GREENROOM_STATE_DIR."
            )

    def create(self) -> None:
        """Make the folder, or take an empty one; raises StateFolderError where it cannot."""
        if not _NOT_IN_DATABASE_ADDRESSES.isdisjoint(str(self.path)):
            raise StateFolderError(
                f"Cannot keep state in {str(self.path)!r}; expected a path without %, ? and line "
                "breaks: set GREENROOM_STATE_DIR to another folder."
            )
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_empty = not any(self.path.iterdir())
        except OSError as error:
            raise StateFolderError(
                f"Cannot keep state in {self.path} ({error.strerror}): "
                "set GREENROOM_STATE_DIR to a folder that you may write to."
            ) from error
        if not self.is_ours():
            if not is_empty:
                raise StateFolderError(
                    f"Refused to keep state in {self.path}: it is not empty, and the file "
                    f"{_MARKER_FILE}, which marks our state folders, is missing; "
                    "set GREENROOM_STATE_DIR to another folder."
                )
            # The first file in it, and made in one step: another `up` may be looking right now.
            (self.path / _MARKER_FILE).touch()
        self.path.chmod(0o700)
        for name in ("logs", "s3", "tmp"):
            (self.path / name).mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def locked(self, *, timeout_s: float = 150.0) -> Iterator[None]:
        """Hold the folder against other commands; raises TransientError after `timeout_s`."""
        path = self.path / "lock"
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                file = path.open("w")
            except FileNotFoundError as error:
                raise TransientError(
                    f"{self.path} was removed by another command meanwhile: try again."
                ) from error
            with file:
                if _try_lock(file.fileno()) and _is_same_file(file.fileno(), path):
                    yield
                    return
            if time.monotonic() > deadline:
                raise TransientError(
                    f"Another command has held {self.path} for {timeout_s:g} s: "
                    "wait for it to end, then try again."
                )
            time.sleep(_POLL_S)

    def read_record(self) -> Record:
        """Read what was started; empty where that is not known (the processes are still marked)."""
        try:
            value = json.loads(self._record.read_text())
            return Record(
                ports={name: int(port) for name, port in value["ports"].items()},
                processes={name: Process(**item) for name, item in value["processes"].items()},
                commands={name: tuple(command) for name, command in value["commands"].items()},
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return Record()

    def write_record(self, record: Record) -> None:
        """Replace `stack.json`, whole or not at all."""
        write_private(self._record, json.dumps(asdict(record), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_same_file(descriptor: int, path: Path) -> bool:
    """Whether the locked file is still the one at `path`: `clean-state` may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
