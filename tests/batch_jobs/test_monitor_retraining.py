"""The action `retrain`, on the stack, by the commands that users type."""

from __future__ import annotations

import datetime as dt
import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from commands import As

import deploy
import registry
from batch_jobs.job import BatchJob, read_job
from batch_jobs.monitoring.alerts.events import EventLog
from batch_jobs.monitoring.alerts.judging import Standing
from batch_jobs.monitoring.alerts.retraining import _claim, last_of, retrain_pending
from batch_jobs.monitoring.declared import Alert, Retraining
from registry.__main__ import main as registry_main
from storage import S3Settings, Store

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))
LOW = Alert("low", "auc", below=0.7, action="retrain")
ASKS = Standing(stands=True, version=1, value=0.6, said="auc below 0.7")
HALF_A_YEAR = Retraining("flight_delay", validation_days=31, train_days=181)
OCTOBER = dt.date(2013, 10, 1)


@pytest.fixture(scope="module")
def operating(stack: deploy.Stack) -> Store:
    return Store.connect(S3Settings.from_environment(stack.environment("operator")))


@pytest.fixture
def log(operating: Store) -> EventLog:
    return EventLog(f"s3://greenroom/{uuid.uuid4().hex}/_alerts", operating)


@pytest.fixture
def job() -> BatchJob:
    return read_job("flight_delay")


def fire(log: EventLog, date: dt.date, *, stands: bool = True) -> None:
    assert log.advance(LOW, replace(ASKS, stands=stands), date, log.read()) is not None


def test_one_of_many_retrains_and_nobody_for_what_is_over(log: EventLog, operating: Store) -> None:
    fire(log, OCTOBER)
    (event,) = log.read()
    logs = [EventLog(log._notes.prefix, operating) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda each: _claim(event, each, OCTOBER, 7), logs))
    assert sorted(number or 0 for number in claimed) == [0, 0, 0, 0, 0, 1]
    assert set(log.marks(event)) == {"retrain-001"}


def test_a_process_that_was_killed_is_followed_by_another_after_its_lease(log: EventLog) -> None:
    fire(log, OCTOBER)
    (event,) = log.read()
    assert log.mark(event, "retrain-001", {"at_s": 0, "until": str(OCTOBER)})
    assert _claim(event, log, OCTOBER, 7) == 2
    assert _claim(event, log, OCTOBER, 7) is None


def test_without_a_candidate_it_is_tried_again_on_newer_days(log: EventLog) -> None:
    fire(log, OCTOBER)
    (event,) = log.read()
    assert _claim(event, log, OCTOBER, 7) == 1
    assert log.mark(event, "retrained-001", {"requested": False, "said": "inconclusive"})
    assert _claim(event, log, OCTOBER + dt.timedelta(days=6), 7) is None
    assert _claim(event, log, OCTOBER + dt.timedelta(days=7), 7) == 2
    assert log.mark(event, "retrained-002", {"requested": True, "said": "waits"})
    assert _claim(event, log, OCTOBER + dt.timedelta(days=70), 7) is None
    assert last_of(log.marks(event)) == {"requested": True, "said": "waits"}


def test_a_training_that_fails_is_told_and_not_tried_again_at_once(
    log: EventLog, job: BatchJob, operator: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in operator.environment.items():
        monkeypatch.setenv(name, value)
    at = registry.connect(os.environ)
    fire(log, OCTOBER)
    until = dt.date(2999, 12, 31)
    (done,) = retrain_pending(job, HALF_A_YEAR, log, until, at, os.environ)
    assert (done.version, done.requested) == (None, False)
    assert "training on days until 2999-11-30 failed: exit code" in done.said
    assert retrain_pending(job, HALF_A_YEAR, log, until, at, os.environ) == []
    (event,) = log.read()
    assert log.marks(event)["retrained-001"]["said"] == done.said
    fire(log, OCTOBER + dt.timedelta(days=1), stands=False)
    later = until + dt.timedelta(days=30)
    assert retrain_pending(job, HALF_A_YEAR, log, later, at, os.environ) == []


def test_a_candidate_that_would_know_nothing_newer_is_not_trained(
    log: EventLog, job: BatchJob, in_production: int, operator: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_production == 1
    for name, value in operator.environment.items():
        monkeypatch.setenv(name, value)
    at = registry.connect(os.environ)
    july = dt.date(2013, 7, 31)
    fire(log, july)
    (done,) = retrain_pending(job, HALF_A_YEAR, log, july, at, os.environ)
    assert (done.version, done.requested) == (None, False)
    assert done.said == (
        "with 31 days to validate on, it would learn from days until 2013-06-30, as the version in Production"
        " did until 2013-06-30: nothing is newer yet"
    )


@pytest.mark.skipif(not EXHAUSTIVE, reason="takes two minutes; the replay does it as well")
def test_a_candidate_waits_for_a_reviewer(
    log: EventLog,
    job: BatchJob,
    in_production: int,
    operator: As,
    reviewer: As,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert in_production == 1
    for name, value in operator.environment.items():
        monkeypatch.setenv(name, value)
    at = registry.connect(os.environ)
    # As the job file has it, and late enough that a summer more makes a difference.
    retraining = Retraining("flight_delay", validation_days=42)
    october = dt.date(2013, 10, 16)
    fire(log, october)
    (done,) = retrain_pending(job, retraining, log, october, at, os.environ)
    assert done.requested, done.said
    waiting = json.loads(reviewer(registry_main, "requests", "--json").out)
    assert done.version in [request["version"] for request in waiting]
    assert registry.resolve(at, job.model).version == in_production
    number = str(done.version)
    assert reviewer(registry_main, "reject", "flight-delay", number, "--reason", "a test").code == 0
