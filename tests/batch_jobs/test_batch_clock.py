"""The clock, with moments that come every second: who is called, who is passed over, and how it ends."""

from __future__ import annotations

import threading
import time

from apscheduler.triggers.cron import CronTrigger

from batch_jobs.scheduling.clock import keep_time

EVERY_SECOND = CronTrigger(second="*", timezone="UTC")
NEVER_AGAIN = CronTrigger(month=1, day=1, hour=0, timezone="UTC")


class Heard:
    """What the clock called, in its order; `stop` after so many calls."""

    def __init__(self, enough: int) -> None:
        self.calls: list[tuple[str, str]] = []
        self.stop = threading.Event()
        self._enough = enough

    def add(self, what: str, name: str) -> None:
        self.calls.append((what, name))
        if len(self.calls) >= self._enough:
            self.stop.set()


def test_each_job_is_called_at_once_and_at_its_moments() -> None:
    heard = Heard(5)
    ended = keep_time(
        {"often": EVERY_SECOND, "once": NEVER_AGAIN},
        lambda name: heard.add("tick", name),
        lambda name: heard.add("late", name),
        lambda name, _: heard.add("broken", name),
        heard.stop,
        10,
    )
    assert ended
    assert heard.calls.count(("tick", "once")) == 1
    assert heard.calls.count(("tick", "often")) == 4


def test_a_moment_that_comes_while_a_job_is_busy_is_passed_over_and_told() -> None:
    heard, running = Heard(3), 0

    def tick(name: str) -> None:
        nonlocal running
        running += 1
        assert running == 1
        heard.add("tick", name)
        heard.stop.wait(30)
        running -= 1

    def broken(name: str, error: BaseException) -> None:
        heard.add(repr(error), name)

    assert keep_time(
        {"slow": EVERY_SECOND}, tick, lambda name: heard.add("late", name), broken, heard.stop, 10
    )
    assert heard.calls == [("tick", "slow"), ("late", "slow"), ("late", "slow")]


def test_what_a_tick_raises_is_told_and_the_next_comes_all_the_same() -> None:
    heard = Heard(3)

    def tick(name: str) -> None:
        raise ValueError(name)

    def broken(name: str, error: BaseException) -> None:
        heard.add(repr(error), name)

    assert keep_time({"bad": EVERY_SECOND}, tick, lambda _: None, broken, heard.stop, 10)
    assert heard.calls == [("ValueError('bad')", "bad")] * 3


def test_a_tick_that_does_not_end_is_waited_for_no_longer_than_said() -> None:
    heard, let_go = Heard(1), threading.Event()

    def tick(name: str) -> None:
        heard.add("tick", name)
        let_go.wait(60)

    started = time.monotonic()
    ended = keep_time({"stuck": NEVER_AGAIN}, tick, lambda _: None, lambda *_: None, heard.stop, 0.5)
    seconds = time.monotonic() - started
    let_go.set()
    assert not ended
    assert 0.5 <= seconds < 10
