"""What people are told on the way: on a terminal how far, how fast and how long; in a pipe nothing."""

from __future__ import annotations

import datetime as dt

import pytest

from batch_jobs.telling import shown_progress
from batch_jobs.workplace import Progress

FIRST, SECOND = dt.date(2013, 7, 1), dt.date(2013, 7, 2)


def score_two_days() -> None:
    with shown_progress(2) as show:
        show(FIRST, Progress(done_bytes=50, of_bytes=100, scored=1_900, quarantined=100))
        show(FIRST, Progress(done_bytes=100, of_bytes=100, scored=3_800, quarantined=200))
        show(FIRST, None)
        show(SECOND, Progress(done_bytes=50, of_bytes=100, scored=1_000, quarantined=0))


def test_a_terminal_shows_rows_their_speed_bad_ones_the_share_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    score_two_days()
    shown = capsys.readouterr()
    assert not shown.out
    assert "Scoring 2013-07-02: 5,000 rows, " in shown.err
    assert " a second, 200 set aside" in shown.err
    assert "━" in shown.err


def test_a_pipe_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    score_two_days()
    shown = capsys.readouterr()
    assert (shown.out, shown.err.strip()) == ("", "")
