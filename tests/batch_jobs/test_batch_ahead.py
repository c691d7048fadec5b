"""Reading ahead: the next one is made while the last is worked on, and nothing else changes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from batch_jobs.ahead import ahead

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_next_is_made_while_the_last_is_worked_on_and_no_other() -> None:
    made = [threading.Event() for _ in range(4)]

    def numbers() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in ahead(numbers()):
        # Would never come, if it waited for us to be done with this one.
        assert number + 1 == len(made) or made[number + 1].wait(60)
        assert not any(event.is_set() for event in made[number + 2 :])


def test_nothing_is_nothing() -> None:
    assert list(ahead(iter(()))) == []


def test_what_is_raised_is_raised_in_its_place() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the file ends here")

    reading = ahead(failing())
    assert (next(reading), next(reading)) == (1, 2)
    with pytest.raises(OSError, match="the file ends here"):
        next(reading)


def test_who_goes_away_leaves_no_thread() -> None:
    threads = threading.active_count()
    reading = ahead(iter(range(100)))
    assert next(reading) == 0
    assert threading.active_count() == threads + 1
    reading.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == threads
