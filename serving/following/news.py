"""Whether there is reason to ask a registry for everything again."""

from __future__ import annotations

from dataclasses import dataclass

# Whatever changes a stage is in the ledger; who may see a model is not.
_ALL_S = 30.0


@dataclass
class News:
    """What the ledger's length was when everything was last asked for, and when that was."""

    number: int | None = None
    asked_at: float | None = None

    def is_due(self, number: int | None, now: float) -> bool:
        """Whether to ask now, being told this length (None: not told), at `now` by a monotonic clock.

        Taken to be done where it is. A number may go back: where a backup was restored.
        """
        is_old = self.asked_at is None or now - self.asked_at >= _ALL_S
        if number is not None and number == self.number and not is_old:
            return False
        self.number, self.asked_at = number, now
        return True
