"""Alerts: when they stand, that they fire once, and how a receiver hears of them."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hooked import SECRET

from batch_jobs.job import BatchJob, read_job
from batch_jobs.monitoring.alerts.events import AlertEvent, EventLog
from batch_jobs.monitoring.alerts.judging import ANY, Standing, judge
from batch_jobs.monitoring.alerts.telling import tell_pending
from batch_jobs.monitoring.declared import Alert, Webhook
from batch_jobs.monitoring.figures import DayFigures, Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hooked import Receiver

    from storage import Store

pytest_plugins = ["events_fixtures"]

OCTOBER = dt.date(2013, 10, 1)
LOW = Alert("low", "auc", below=0.7, days=2, of=3, severity="page", action="retrain")
WEBHOOK = Webhook("HOOK_URL", "HOOK_SECRET")


def on(nth: int) -> dt.date:
    return OCTOBER + dt.timedelta(days=nth)


def history(*values: float | None, version: int = 1) -> dict[dt.date, DayFigures]:
    """Return days of October with an AUC each, None where no outcomes are known."""
    return {
        on(nth): DayFigures(
            on(nth),
            (
                Figure("batch", version, "scored", 900, 900),
                *([] if value is None else [Figure("batch", version, "auc", value, 900)]),
            ),
        )
        for nth, value in enumerate(values)
    }


def stands(alert: Alert, days: Mapping[dt.date, DayFigures], nth: int) -> bool | None:
    found = judge(alert, days, on(nth))
    return None if found is None else found.stands


def test_an_alert_stands_after_so_many_days_of_so_many() -> None:
    days = history(0.6, 0.8, 0.65, 0.8, 0.8, 0.6, None)
    assert [stands(LOW, days, nth) for nth in range(7)] == [False, False, True, False, False, False, None]
    found = judge(LOW, days, on(2))
    assert found is not None
    assert found.said == (
        "batch auc below 0.7 on 2 of the last 3 days: 0.65 on 2013-10-03, beyond on 2 of 3 days that are"
        " known since 2013-10-01, by version 1"
    )


def test_a_new_version_begins_anew() -> None:
    days = history(0.6, 0.6) | {on(2): history(None, None, 0.6, version=2)[on(2)]}
    assert stands(LOW, days, 1) is True
    found = judge(LOW, days, on(2))
    assert found is not None
    assert (found.stands, found.version) == (False, 2)


def test_what_is_watched_is_one_figure_or_the_furthest_of_all_features() -> None:
    figures = (
        Figure("batch", 1, "scored", 900, 900),
        Figure("batch", 1, "psi", 0.1, 900, feature="temp"),
        Figure("batch", 1, "psi", 0.4, 900, feature="humid"),
        Figure("batch", 1, "auc", 0.8, 900),
        Figure("batch", 1, "auc", 0.6, 9000, 0.55, 0.65, days=14),
        Figure("batch", 1, "auc", 0.5, 300, slice="origin=JFK"),
    )
    days = {OCTOBER: DayFigures(OCTOBER, figures)}
    psi = Alert("drift", "psi", above=0.25)
    assert stands(replace(psi, feature="temp"), days, 0) is False
    assert stands(replace(psi, feature=ANY), days, 0) is True
    assert stands(psi, days, 0) is None
    auc = Alert("low", "auc", below=0.7)
    assert stands(auc, days, 0) is False
    assert stands(replace(auc, slice="origin=JFK"), days, 0) is True
    assert stands(replace(auc, source="online"), days, 0) is None


def test_a_window_of_a_few_days_does_not_fire_yet() -> None:
    figures = (Figure("batch", 1, "scored", 900, 900), Figure("batch", 1, "auc", 0.5, 2700, days=14))
    days = {on(nth): DayFigures(on(nth), figures) for nth in range(9)}
    auc = Alert("low", "auc", below=0.7, over="window")
    found = [
        stands(auc, {day: each for day, each in days.items() if day <= on(nth)}, nth) for nth in range(9)
    ]
    assert found == [False] * 7 + [True] * 2
    assert stands(replace(auc, over="day"), days, 0) is None


@pytest.fixture
def log(store: Store) -> EventLog:
    return EventLog(f"s3://greenroom/{uuid.uuid4().hex}/_alerts", store)


@pytest.fixture
def job() -> BatchJob:
    return read_job("flight_delay")


def standing(*, stands: bool, version: int = 1) -> Standing:
    return Standing(stands, version, 0.6, "said")


def step(log: EventLog, nth: int, *, stands: bool, alert: Alert = LOW) -> AlertEvent | None:
    return log.advance(alert, standing(stands=stands), on(nth), log.read())


def test_an_alert_fires_once_and_is_resolved_once(log: EventLog, store: Store) -> None:
    happened = [step(log, nth, stands=it) for nth, it in enumerate([False, True, True, False, False, True])]
    assert [event and (event.kind, event.number) for event in happened] == [
        None,
        ("fired", 1),
        None,
        ("resolved", 2),
        None,
        ("fired", 3),
    ]
    # Another process reads the same.
    again = EventLog(log._notes.prefix, store)
    assert again.read() == tuple(event for event in happened if event)
    # What is known of an older day by now is no event.
    assert step(again, 2, stands=False) is None


def test_of_many_that_see_it_at_once_one_fires_it(log: EventLog, store: Store) -> None:
    logs = [EventLog(log._notes.prefix, store) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        events = list(pool.map(lambda each: step(each, 0, stands=True), logs))
    assert len([event for event in events if event]) == 1
    assert len(log.read()) == 1


@pytest.fixture
def _private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")


def told(job: BatchJob, log: EventLog, receiver: Receiver) -> list[str]:
    environment = {"HOOK_URL": receiver.url(), "HOOK_SECRET": SECRET}
    return tell_pending(job, WEBHOOK, log, environment, pause=lambda _: None)


@pytest.mark.usefixtures("_private")
def test_a_receiver_hears_of_each_event_once_signed(job: BatchJob, log: EventLog, receiver: Receiver) -> None:
    fired = step(log, 0, stands=True)
    assert fired is not None
    assert told(job, log, receiver) == []
    assert told(job, log, receiver) == []
    (delivery,) = receiver.got
    assert delivery.is_signed_with(SECRET)
    assert delivery.id == fired.id
    assert delivery.said["entity"] == "greenroom_alert"
    assert delivery.said["action"] == "fired"
    data = delivery.said["data"]
    assert (data["job"], data["alert"], data["severity"], data["date"], data["value"]) == (
        "flight_delay",
        "low",
        "page",
        "2013-10-01",
        0.6,
    )
    step(log, 1, stands=False)
    assert told(job, log, receiver) == []
    assert [each.said["action"] for each in receiver.got] == ["fired", "resolved"]


@pytest.mark.usefixtures("_private")
def test_what_does_not_arrive_is_tried_again_and_in_order(
    job: BatchJob, log: EventLog, new_receiver: Callable[..., Receiver]
) -> None:
    receiver = new_receiver([503, 500, 502])
    step(log, 0, stands=True)
    step(log, 1, stands=False)
    (error,) = told(job, log, receiver)
    assert error == "The alert low (fired) is not told: The receiver answered 502; expected 2xx."
    assert {each.said["action"] for each in receiver.got} == {"fired"}
    assert told(job, log, receiver) == []
    assert [each.said["action"] for each in receiver.got[3:]] == ["fired", "resolved"]
    assert len({each.id for each in receiver.got}) == 2


def test_an_address_inside_is_not_sent_to(job: BatchJob, log: EventLog, receiver: Receiver) -> None:
    step(log, 0, stands=True)
    (error,) = told(job, log, receiver)
    assert "is not told: Invalid webhook URL scheme" in error
    assert receiver.got == []


def test_without_an_address_or_a_secret_nothing_is_sent(job: BatchJob, log: EventLog) -> None:
    assert tell_pending(job, WEBHOOK, log, {}) == []
    step(log, 0, stands=True)
    assert tell_pending(job, WEBHOOK, log, {}) == [
        "1 alerts are not told: HOOK_URL, the address of the webhook, is not set"
    ]
    assert "HOOK_SECRET, which they are signed with" in tell_pending(job, WEBHOOK, log, {"HOOK_URL": "x"})[0]


def test_the_log_holds_what_json_can_say(log: EventLog) -> None:
    event = step(log, 0, stands=True)
    assert event is not None
    assert json.loads(json.dumps(event.to_plain()))["date"] == "2013-10-01"
    assert log.mark(event, "told", {})
    assert not log.mark(event, "told", {})
    assert log.marks(event) == {"told": {}}
    assert log.read() == (event,)
