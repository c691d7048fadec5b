"""A process beside the workers that is kept running, and that they can do without."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.watching.logs import log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STOP_S = 3.0
# What ran for so long counts as sound, however often it had ended before.
_SOUND_S = 60.0


@dataclass(frozen=True)
class Pauses:
    """How far starts are apart of what ends: `first_s`, then `times` as long each time, up to `at_most_s`."""

    first_s: float = 2.0
    times: int = 2
    at_most_s: float = 60.0

    def after(self, ends: int) -> float:
        """Return the seconds from one start to the next, when it has ended so often in a row."""
        return min(self.first_s * float(self.times) ** max(ends - 1, 0), self.at_most_s)


@dataclass
class Kept:
    """One process, by its command. `inherits` are the open files it has beside the standard ones."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    inherits: Sequence[int] = ()
    pauses: Pauses = Pauses()
    _process: subprocess.Popen[bytes] | None = None
    _started_at: float = float("-inf")
    _ends: int = 0

    def keep(self) -> None:
        """Start it if it does not run; what ends again and again is started more and more seldom."""
        if self._process is not None and self._process.poll() is None:
            return
        ran_s = time.monotonic() - self._started_at
        if self._process is not None:
            log(f"{self.name}_ended", "error")  # gunicorn, which reaps all children, knows how
            self._process = None
            self._ends = 0 if ran_s > _SOUND_S else self._ends + 1
        if ran_s < self.pauses.after(self._ends):
            return
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, env=self.environment, pass_fds=self.inherits
        )

    def forgive(self) -> None:
        """Start it with the next `keep` if it does not run, whatever became of it before."""
        if self._process is None:
            self._started_at, self._ends = float("-inf"), 0

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
