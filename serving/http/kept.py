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

_AGAIN_S, _STOP_S = 2.0, 3.0
# What ran for so long is started again at once, however often it had ended before.
_SOUND_S = 60.0


@dataclass(frozen=True)
class Pauses:
    """How long what ends soon is left alone: 2 s, then `times` as long each time, up to `at_most_s`."""

    times: int = 2
    at_most_s: float = 60.0

    def after(self, ends: int) -> float:
        """Return the seconds before it is started again, when it has ended so often in a row."""
        return min(_AGAIN_S * float(self.times) ** max(ends - 1, 0), self.at_most_s)


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
            log(f"{self.name}_ended", "error", code=self._process.returncode)
            self._process = None
            self._ends = 0 if ran_s > _SOUND_S else self._ends + 1
        if ran_s < self.pauses.after(self._ends):
            return
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, env=self.environment, pass_fds=self.inherits
        )

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
