"""What the section `monitor` of a job file may say, and what is said of what it may not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from batch_jobs.errors import JobFileError
from batch_jobs.job import ROOT, parse_job, read_job
from batch_jobs.monitoring.declared import Alert

GOOD = yaml.safe_load((ROOT / "flight_delay.yaml").read_text())
ALERT = {"name": "low", "metric": "auc", "below": 0.7}
RETRAIN = {"project": "flight_delay", "train_days": 180, "validation_days": 30, "again_days": 7}


def declared(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(GOOD)
    found["monitor"] = {
        "outcomes": {"source": "truth/{date}", "key": "flight_id", "column": "delay", "above": 15},
        "output": "flight_delay/monitoring",
        **changes,
    }
    return found


def outcomes(**changes: Any) -> dict[str, Any]:
    return declared(outcomes={"source": "truth/{date}", "key": "flight_id", "column": "delay", **changes})


def test_the_job_in_the_repository_is_monitored() -> None:
    monitor = read_job("flight_delay").monitor
    assert monitor is not None
    assert monitor.outcomes.task == "classification"
    assert monitor.slices["distance"] == (500.0, 1000.0, 2000.0)
    assert read_job("diamond_price").monitor is None


def test_an_alert_says_what_it_watches() -> None:
    alerts = [{**ALERT, "over": "window", "slice": "origin=JFK", "days": 2, "of": 3}]
    monitor = parse_job("j", declared(alerts=alerts)).monitor
    assert monitor is not None
    (alert,) = monitor.alerts
    assert alert.said == (
        "batch auc of origin=JFK, measured over the window, below 0.7 on 2 of the last 3 days"
    )
    assert Alert("a", "psi", above=0.2, feature="temp").said == "batch psi of temp above 0.2 on a day"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (declared(outcome={}), "j.yaml: monitor: unknown key 'outcome'; known are outcomes, output,"),
        (outcomes(source="truth"), "monitor: outcomes: source is 'truth', expected {date} in it, once"),
        (outcomes(key="id"), "key is 'id', expected the job's row_key, which is flight_id"),
        (outcomes(above="15"), "outcomes: above is '15', expected a number"),
        (declared(output="flight_delay/predictions/m"), "lie inside each other; expected two folders"),
        (declared(report="flight_delay"), "report 'flight_delay' and the job's output"),
        (declared(slices="origin"), "slices: found 'origin', expected a list of columns"),
        (declared(slices=[{"column": "d", "bands": [5, 1]}]), "bands is [5, 1], expected rising numbers"),
        (declared(window_days=1), "window_days is 1, expected a whole number, 2 to 366"),
        (declared(late_days=True), "late_days is True, expected a whole number, 0 to 366"),
        (declared(drift={"psy": 1}), "drift: unknown key 'psy'; known are psi, missing_share, unseen_share"),
        (declared(drift={"psi": -1}), "drift: psi is -1, expected a number, at least 0"),
        (declared(feedback="t"), "feedback is given without exposures"),
        (declared(alerts=[ALERT, ALERT]), "alerts: 'low' is declared twice"),
        (declared(alerts=[{**ALERT, "name": "A b"}]), "name is 'A b', expected a-z, 0-9 and '-'"),
        (declared(alerts=[{**ALERT, "metric": "acu"}]), "low: metric is 'acu'; known are auc, log_loss,"),
        (declared(alerts=[{**ALERT, "above": 1}]), "found 2 of above and below, expected exactly one"),
        (declared(alerts=[{**ALERT, "over": "week"}]), "over is 'week', expected day or window"),
        (declared(alerts=[{**ALERT, "days": 3, "of": 2}]), "of is 2, expected a whole number, 3 to 366"),
        (declared(alerts=[{**ALERT, "below": float("nan")}]), "below is nan, expected a number"),
        (declared(alerts=[{**ALERT, "action": "retrain"}]), "its action is retrain, and there is no retrain"),
        (
            declared(alerts=[{**ALERT, "source": "online"}]),
            "its source is online, and there are no exposures",
        ),
        (
            declared(webhook={"url": "https://x.example/hook", "secret": "S"}),
            "webhook: url is not the name of an environment variable",
        ),
        (
            declared(retrain={**RETRAIN, "project": "../x"}),
            "project is '../x', expected the name of a project",
        ),
        (declared(retrain={**RETRAIN, "train_days": 0}), "train_days is 0, expected a whole number, 1 to"),
    ],
)
def test_what_is_wrong_is_named(found: Any, says: str) -> None:
    with pytest.raises(JobFileError) as refused:
        parse_job("j", found)
    assert says in str(refused.value)


def test_a_secret_in_a_job_file_is_not_repeated() -> None:
    with pytest.raises(JobFileError) as refused:
        parse_job("j", declared(webhook={"url": "URL", "secret": "hunter2"}))
    assert "hunter2" not in str(refused.value)
