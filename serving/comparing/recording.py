"""Keeps a comparison as an MLflow run, where reviewers of the challenger find it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from registry import experiment_id, translated
from serving.comparing.telling import as_json, as_text

if TYPE_CHECKING:
    from registry import Registry
    from serving.comparing.verdict import Report

_METRICS = ("difference", "low", "high")


def record(report: Report, at: Registry) -> str:
    """Log a comparison; return the id of its run. Raises `RegistryError`."""
    version = str(report.challenger.version)
    with translated(f"record the comparison of {report.model} version {version}"):
        experiment = experiment_id(at, f"{report.model} comparisons")
        tags = {
            "mlflow.runName": f"{report.model} {report.arm} {report.until}",
            "mlflow.user": at.user,
            "greenroom.comparison.model": report.model,
            "greenroom.comparison.version": version,
            "greenroom.comparison.digest": report.challenger.digest,
        }
        run_id = str(at.client.create_run(experiment, tags=tags).info.run_id)
        for found in report.verdict.comparisons:
            for name in _METRICS:
                value = getattr(found, name)
                if value is not None:
                    at.client.log_metric(run_id, f"{found.metric}.{name}", value)
        # The artifact last but one, so that a run that ended well has all of it.
        at.client.log_text(run_id, json.dumps(as_json(report), indent=2), "comparison.json")
        at.client.log_text(run_id, as_text(report) + "\n", "comparison.txt")
        at.client.set_terminated(run_id)
    return run_id
