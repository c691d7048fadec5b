"""Figures as a text file, for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from batch_jobs.errors import JobFileError
from batch_jobs.monitoring.names import ALL, DRIFT, DRIFTED, MEANS, QUALITY, SKEW, VOLUMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

    from batch_jobs.job import BatchJob
    from batch_jobs.monitoring.alerts.events import AlertEvent
    from batch_jobs.monitoring.figures import DayFigures

PREFIX = "greenroom_monitoring_"
_QUALITY = frozenset((*QUALITY["classification"], *QUALITY["regression"], *MEANS))
_FEATURES = frozenset((*DRIFT, *SKEW))
_ROWS = frozenset((*VOLUMES, DRIFTED))


def render(job: BatchJob, day: DayFigures, events: Sequence[AlertEvent]) -> bytes:
    """Return the newest figures of a job, and how its alerts stand, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(job, day, events))
    return generate_latest(registry)


def write(path: Path, body: bytes) -> None:
    """Replace the file at once: the collector never reads half of one."""
    # Its name must not end in .prom, or a file left behind by a crash would be read.
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_bytes(body)
        beside.replace(path)
    except OSError as error:
        raise JobFileError(f"{path} cannot be written: {error.strerror}") from error


class _Figures(Collector):
    def __init__(self, job: BatchJob, day: DayFigures, events: Sequence[AlertEvent]) -> None:
        self._job, self._day, self._events = job, day, events

    def collect(self) -> Iterator[Metric]:
        job = self._job.name
        quality = _family(
            "quality",
            "How well predictions did, on a day or the window that ends with it; bound: value, low, high.",
            ("source", "model_version", "slice", "metric", "days", "bound"),
        )
        drift = _family(
            "drift",
            "How far a column is from the training rows, or the endpoint's from the job's.",
            ("source", "model_version", "feature", "metric", "days"),
        )
        rows = _family(
            "rows", "Rows of the day, and shares of them.", ("source", "model_version", "metric", "days")
        )
        for each in self._day.figures:
            of = [job, each.source, str(each.model_version)]
            if each.metric in _QUALITY and not each.slice.startswith("prediction="):
                bounds = {"value": each.value, "low": each.low, "high": each.high}
                for bound, value in bounds.items():
                    if value is not None:
                        quality.add_metric([*of, each.slice, each.metric, str(each.days), bound], value)
            elif each.metric in _FEATURES:
                drift.add_metric([*of, each.feature, each.metric, str(each.days)], each.value)
            elif each.metric in _ROWS and each.slice == ALL:
                rows.add_metric([*of, each.metric, str(each.days)], each.value)
        firing = _family("alert_firing", "1 while a declared alert stands.", ("alert", "severity"))
        last = {event.alert: event for event in self._events}
        for alert in self._job.monitor.alerts if self._job.monitor else ():
            stands = alert.name in last and last[alert.name].kind == "fired"
            firing.add_metric([job, alert.name, alert.severity], float(stands))
        midnight = dt.datetime.combine(self._day.date, dt.time(), dt.UTC)
        date = _family("day_timestamp_seconds", "The newest day that was measured, its midnight in UTC.", ())
        date.add_metric([job], midnight.timestamp())
        yield from (quality, drift, rows, firing, date)


def _family(name: str, said: str, labels: Sequence[str]) -> GaugeMetricFamily:
    # `job` is what Prometheus calls what it scrapes.
    return GaugeMetricFamily(f"{PREFIX}{name}", said, labels=["batch_job", *labels])
