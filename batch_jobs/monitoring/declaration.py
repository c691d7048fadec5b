"""Checks the section `monitor` of a job file. Raises `JobFileError` naming file, key and value."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

from batch_jobs.errors import JobFileError
from batch_jobs.monitoring.declared import (
    Action,
    Alert,
    Monitor,
    Outcomes,
    Over,
    Retraining,
    Source,
    Thresholds,
    Webhook,
)
from batch_jobs.monitoring.names import metric_names
from batch_jobs.parsing import exactly

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_MOST_DAYS = 366
_MOST_TRAINED = 36_500
_TEXTS = ("output", "exposures", "feedback", "report")


def parse_monitor(found: Any, row_key: Sequence[str], output: str, where: str) -> Monitor:
    """Check the section; `row_key` and `output` are those of the job."""
    optional = ("slices", "window_days", "late_days", "drift", "exposures", "feedback", "alerts", "webhook")
    given = exactly(found, ("outcomes", "output"), where, (*optional, "retrain", "report"))
    for key in _TEXTS:
        if key in given and (not isinstance(given[key], str) or not given[key]):
            raise JobFileError(f"{where}: {key} is {given[key]!r}, expected text")
    for key in ("output", "report"):
        one, other = f"{given.get(key, '')}/", f"{output.strip('/')}/"
        if key in given and (one.startswith(other) or other.startswith(one)):
            raise JobFileError(
                f"{where}: {key} {given[key]!r} and the job's output {output!r} lie inside each other;"
                " expected two folders"
            )
    outcomes = _outcomes(given["outcomes"], row_key, f"{where}: outcomes")
    retrain = _retraining(given["retrain"], f"{where}: retrain") if "retrain" in given else None
    alerts = _alerts(given.get("alerts", []), outcomes, f"{where}: alerts")
    _refuse_unheard(alerts, given, where)
    if "feedback" in given and "exposures" not in given:
        raise JobFileError(f"{where}: feedback is given without exposures, which say what was predicted")
    return Monitor(
        outcomes=outcomes,
        output=given["output"],
        slices=_slices(given.get("slices", []), f"{where}: slices"),
        window_days=_whole(given.get("window_days", 14), 2, _MOST_DAYS, f"{where}: window_days"),
        late_days=_whole(given.get("late_days", 3), 0, _MOST_DAYS, f"{where}: late_days"),
        drift=_thresholds(given.get("drift", {}), f"{where}: drift"),
        exposures=given.get("exposures"),
        feedback=given.get("feedback"),
        alerts=alerts,
        webhook=_webhook(given["webhook"], f"{where}: webhook") if "webhook" in given else None,
        retrain=retrain,
        report=given.get("report"),
    )


def _outcomes(found: Any, row_key: Sequence[str], where: str) -> Outcomes:
    given = exactly(found, ("source", "key", "column"), where, ("above",))
    for key in ("source", "key", "column"):
        if not isinstance(given[key], str) or not given[key]:
            raise JobFileError(f"{where}: {key} is {given[key]!r}, expected text")
    if given["source"].count("{date}") != 1:
        raise JobFileError(f"{where}: source is {given['source']!r}, expected {{date}} in it, once")
    if list(row_key) != [given["key"]]:
        raise JobFileError(
            f"{where}: key is {given['key']!r}, expected the job's row_key, which is {', '.join(row_key)}:"
            " outcomes are joined to predictions by one column"
        )
    above = _number(given["above"], -math.inf, math.inf, f"{where}: above") if "above" in given else None
    return Outcomes(given["source"], given["key"], given["column"], above)


def _slices(found: Any, where: str) -> dict[str, tuple[float, ...] | None]:
    if not isinstance(found, list):
        raise JobFileError(f"{where}: found {found!r}, expected a list of columns")
    slices: dict[str, tuple[float, ...] | None] = {}
    for each in found:
        if isinstance(each, str) and each:
            slices[each] = None
            continue
        given = exactly(each, ("column", "bands"), where)
        bands = given["bands"]
        rising = isinstance(bands, list) and bands and all(_is_number(edge) for edge in bands)
        if not rising or any(low >= high for low, high in pairwise(bands)):
            raise JobFileError(f"{where}: bands is {bands!r}, expected rising numbers, as [500, 1000]")
        slices[str(given["column"])] = tuple(map(float, bands))
    return slices


def _thresholds(found: Any, where: str) -> Thresholds:
    names = ("psi", "missing_share", "unseen_share")
    given = exactly(found, (), where, names)
    return Thresholds(
        **{name: _number(value, 0, math.inf, f"{where}: {name}") for name, value in given.items()}
    )


def _alerts(found: Any, outcomes: Outcomes, where: str) -> tuple[Alert, ...]:
    if not isinstance(found, list):
        raise JobFileError(f"{where}: found {found!r}, expected a list")
    alerts = tuple(_alert(each, outcomes, where) for each in found)
    names = [alert.name for alert in alerts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise JobFileError(f"{where}: {min(twice)!r} is declared twice; expected names that differ")
    return alerts


def _alert(found: Any, outcomes: Outcomes, where: str) -> Alert:
    optional = ("above", "below", "source", "slice", "feature", "over", "days", "of", "severity", "action")
    given = exactly(found, ("name", "metric"), where, optional)
    name = given["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise JobFileError(f"{where}: name is {name!r}, expected a-z, 0-9 and '-', 64 characters at most")
    where = f"{where}: {name}"
    known = metric_names(outcomes.task)
    if given["metric"] not in known:
        raise JobFileError(f"{where}: metric is {given['metric']!r}; known are {', '.join(known)}")
    bounds: dict[str, Any] = {
        key: _number(given[key], -math.inf, math.inf, f"{where}: {key}")
        for key in ("above", "below")
        if key in given
    }
    if len(bounds) != 1:
        raise JobFileError(f"{where}: found {len(bounds)} of above and below, expected exactly one")
    for key, choice in (("source", Source), ("over", Over), ("action", Action)):
        if key in given and given[key] not in get_args(choice):
            raise JobFileError(f"{where}: {key} is {given[key]!r}, expected {' or '.join(get_args(choice))}")
    for key in ("slice", "feature", "severity"):
        if key in given and not isinstance(given[key], str):
            raise JobFileError(f"{where}: {key} is {given[key]!r}, expected text")
    days = _whole(given.get("days", 1), 1, _MOST_DAYS, f"{where}: days")
    of = _whole(given.get("of", days), days, _MOST_DAYS, f"{where}: of")
    return Alert(**{**given, **bounds, "days": days, "of": of})


def _refuse_unheard(alerts: Sequence[Alert], given: dict[str, Any], where: str) -> None:
    for alert in alerts:
        if alert.action == "retrain" and "retrain" not in given:
            raise JobFileError(
                f"{where}: alerts: {alert.name}: its action is retrain, and there is no retrain"
            )
        if alert.source == "online" and "exposures" not in given:
            raise JobFileError(
                f"{where}: alerts: {alert.name}: its source is online, and there are no exposures"
            )


def _webhook(found: Any, where: str) -> Webhook:
    given = exactly(found, ("url", "secret"), where)
    for key, value in given.items():
        # Both are secrets, and a job file lies in git.
        if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
            raise JobFileError(
                f"{where}: {key} is not the name of an environment variable, as GREENROOM_ALERTS_URL"
            )
    return Webhook(**given)


def _retraining(found: Any, where: str) -> Retraining:
    given = exactly(found, ("project", "validation_days"), where, ("train_days", "again_days"))
    if not isinstance(given["project"], str) or not re.fullmatch(r"[a-z][a-z0-9_]*", given["project"]):
        raise JobFileError(f"{where}: project is {given['project']!r}, expected the name of a project")
    days = {key: _whole(given[key], 1, _MOST_TRAINED, f"{where}: {key}") for key in given if key != "project"}
    return Retraining(project=given["project"], **days)


def _is_number(found: Any) -> bool:
    return isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found)


def _number(found: Any, low: float, high: float, where: str) -> float:
    if not _is_number(found) or not low <= found <= high:
        expected = "a number" if low == -math.inf else f"a number, at least {low:g}"
        raise JobFileError(f"{where} is {found!r}, expected {expected}")
    return float(found)


def _whole(found: Any, low: int, high: int, where: str) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
        raise JobFileError(f"{where} is {found!r}, expected a whole number, {low} to {high}")
    return found
