"""Figures of a validation: every number it found, by the name that its run and its verdict give it."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

import mlflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evidence import Estimate, Findings

CANDIDATE = "candidate_"
# MLflow refuses more than 1,000 in one request.
_METRICS_AT_ONCE = 500
# What MLflow allows in the name of a metric.
_NOT_IN_A_NAME = re.compile(r"[^\w\-. :/]")


def log_metrics(metrics: Mapping[str, float]) -> None:
    """Write them to the run that is open."""
    left = iter(metrics.items())
    while some := dict(islice(left, _METRICS_AT_ONCE)):
        mlflow.log_metrics(some)


def flat_metrics(findings: Findings) -> dict[str, float]:
    """Name every number as runs and verdicts do: `candidate_auc`, `.low`, `slice/carrier:UA/auc`."""
    found: dict[str, float] = {}
    groups = {CANDIDATE: findings.candidate, "difference_": findings.differences}
    if findings.champion is not None:
        groups["champion_"] = findings.champion
    for prefix, estimates in groups.items():
        for name, estimate in estimates.items():
            found |= _named(f"{prefix}{name}", estimate)
    found |= {f"quality_{name}": value for name, value in findings.quality.items()}
    for part in findings.slices:
        slice_name = _NOT_IN_A_NAME.sub("_", f"slice/{part.column}:{part.value.replace('/', '_')}")
        found[f"{CANDIDATE}{slice_name}/rows"] = part.rows
        for prefix, estimates in ((CANDIDATE, part.estimates), ("difference_", part.differences)):
            for name, estimate in estimates.items():
                found |= _named(f"{prefix}{slice_name}/{name}", estimate)
        for name, difference in part.differences.items():
            found[f"champion_{slice_name}/{name}"] = part.estimates[name].value - difference.value
    return found


def _named(name: str, estimate: Estimate) -> dict[str, float]:
    ends = {f"{name}.low": estimate.low, f"{name}.high": estimate.high}
    return {name: estimate.value} | {key: end for key, end in ends.items() if end is not None}
