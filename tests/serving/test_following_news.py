"""When everything is asked for again, and not only whether something has happened."""

from __future__ import annotations

from serving.following.news import News


def test_everything_is_asked_for_once_and_then_when_something_has_happened() -> None:
    news = News()
    assert news.is_due(7, 100.0)
    assert not news.is_due(7, 101.0)
    assert news.is_due(8, 102.0)
    assert not news.is_due(8, 103.0)


def test_a_ledger_that_is_shorter_is_another_one() -> None:
    news = News()
    news.is_due(8, 100.0)
    assert news.is_due(3, 101.0)
    assert not news.is_due(3, 102.0)


def test_while_nobody_tells_it_is_asked_for_each_time_and_once_more_when_somebody_does() -> None:
    news = News()
    news.is_due(8, 100.0)
    assert news.is_due(None, 101.0)
    assert news.is_due(None, 102.0)
    assert news.is_due(8, 103.0)
    assert not news.is_due(8, 104.0)


def test_it_is_asked_for_every_thirty_seconds() -> None:
    news = News()
    news.is_due(8, 100.0)
    assert not news.is_due(8, 129.9)
    assert news.is_due(8, 130.0)
    assert not news.is_due(8, 159.9)
