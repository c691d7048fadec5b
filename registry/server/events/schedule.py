"""When to try again, and when to stop. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_DAY_S = 24 * 60 * 60


@dataclass(frozen=True)
class Schedule:
    """Waits double from `first_s` to `longest_s`; an event older than `give_up_after_s` is not tried again.

    Every event is tried at least once, however old it is: the server may have been down for a week.
    Delivered events are kept for `keep_s`.
    """

    first_s: float = 1.0
    longest_s: float = 600.0
    give_up_after_s: float = 3.0 * _DAY_S
    keep_s: float = 30.0 * _DAY_S

    def next_attempt_ms(self, attempts: int, created_ms: int, now_ms: int, chance: float) -> int | None:
        """Say when to try again after `attempts` failures, in Unix milliseconds; None is to give up.

        `chance`, from 0 to 1, shortens the wait by up to half, so that events that failed together are
        not tried again together.
        """
        if now_ms - created_ms >= self.give_up_after_s * 1000:
            return None
        # 2.0**n leaves the floats at n = 1024.
        wait_s = min(self.longest_s, self.first_s * 2.0 ** min(attempts - 1, 64))
        return now_ms + int(wait_s * (1 - chance / 2) * 1000)
