"""What `/metrics` answers for all workers of one port: Prometheus' text, or OpenMetrics if asked for."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from serving.watching import layout, versions
from serving.watching.layout import BOUNDS_S, STATUSES, STEPS, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from serving.watching.tally import Tallies

PREFIX = "greenroom_serving_"
BOUNDS = [*map(str, BOUNDS_S), "+Inf"]


class Refused(Protocol):
    """A version that should be served, and was refused."""

    @property
    def version(self) -> int: ...  # noqa: D102


class Followed(Protocol):
    """What is shown of the view of a model: see `serving.following.view`."""

    @property
    def version(self) -> int | None: ...  # noqa: D102
    @property
    def seen_at(self) -> float: ...  # noqa: D102
    @property
    def reachable(self) -> bool: ...  # noqa: D102
    @property
    def refused(self) -> Refused | None: ...  # noqa: D102


def render(
    tallies: Tallies,
    views: Mapping[str, Followed | None],
    now: float,
    accept: str | None = None,
    others: Iterable[Collector] = (),
) -> tuple[bytes, str]:
    """Write all metrics; returns the body and its content type.

    `views` has what is known of each model (None: nothing yet), `now` is in seconds of the epoch, `accept` is
    the header of that name, `others` what else is counted.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(tallies, views, now))
    for other in others:
        registry.register(other)
    # Not the library's own choice by the header: that raises on a version that is no number.
    if "application/openmetrics-text" in (accept or "").lower():
        body: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return body, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Metrics(Collector):
    """The counts of one moment, and the views, as families of samples."""

    def __init__(self, tallies: Tallies, views: Mapping[str, Followed | None], now: float) -> None:
        self._layout = tallies.layout
        self._rows = tallies.rows()
        self._sums = [sum(cells) for cells in zip(*self._rows, strict=True)]
        self._blocks = [(name, self._layout.model(number)) for number, name in enumerate(tallies.models)]
        self._views = {name: views.get(name) for name in tallies.models}
        self._now = now

    def describe(self) -> list[Metric]:
        """Nothing: the registry is made for one answer, and has no other collector to compare with."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families of metrics."""
        yield from self._requests()
        yield self._steps()
        yield self._predictions()
        yield from self._workers()
        yield from self._followed()

    def _requests(self) -> Iterator[Metric]:
        requests = counter("requests_total", "Answered requests, by HTTP status.", "model", "status")
        rows = counter("rows_total", "Rows of answered requests.", "model")
        for name, block in self._blocks:
            for number, status in enumerate((*STATUSES, "other")):
                requests.add_metric((name, str(status)), self._sums[block + layout.STATUSES_FROM + number])
            rows.add_metric((name,), self._sums[block + layout.ROWS])
        rejections = counter("rejections_total", "Requests not answered with predictions.", "reason")
        for number, reason in enumerate(Reason):
            rejections.add_metric((reason,), self._sums[layout.REASONS_FROM + number])
        yield from (requests, rows, rejections)

    def _steps(self) -> Metric:
        steps = HistogramMetricFamily(
            PREFIX + "step_seconds",
            "Seconds that a step of a request took: read (receive the body), parse, predict, and total.",
            labels=("model", "step"),
        )
        for model, (name, _) in enumerate(self._blocks):
            for number, step in enumerate(STEPS):
                first = self._layout.buckets(model, number)
                counts = accumulate(self._sums[first : first + len(BOUNDS)])
                steps.add_metric((name, step), list(zip(BOUNDS, counts, strict=True)), self._sums[first - 1])
        return steps

    def _predictions(self) -> Metric:
        family = counter(
            "predictions_total",
            "Predicted rows, by model version; 'older' below those named.",
            "model",
            "version",
        )
        for name, block in self._blocks:
            by_version, older = versions.predictions(self._rows, block + layout.VERSIONS_FROM)
            for version, count in sorted(by_version.items()):
                family.add_metric((name, str(version)), count)
            family.add_metric((name, "older"), older)
        return family

    def _workers(self) -> Iterator[Metric]:
        yield _gauge_of("workers", "Workers that run.", self._sums[layout.RUNNING])
        yield _gauge_of("in_flight_requests", "Requests being worked on.", self._sums[layout.IN_FLIGHT])
        dropped = counter("log_lines_dropped_total", "Log lines that could not be written.")
        dropped.add_metric((), self._sums[layout.LINES_DROPPED])
        served = gauge("model_version", "Version that a worker serves; 0: none.", "model", "worker")
        since = gauge(
            "model_loaded_timestamp_seconds", "When a worker loaded that version, epoch.", "model", "worker"
        )
        failures = counter("load_failures_total", "Versions that a worker could not load.", "model")
        for name, block in self._blocks:
            failures.add_metric((name,), self._sums[block + layout.REFUSED])
            for slot, row in enumerate(self._rows):
                if row[layout.RUNNING]:
                    served.add_metric((name, str(slot)), row[block + layout.LOADED_VERSION])
                    since.add_metric((name, str(slot)), row[block + layout.LOADED_AT])
        yield from (dropped, served, since, failures)

    def _followed(self) -> Iterator[Metric]:
        version = gauge("followed_version", "Version that workers are told to serve; 0: none.", "model")
        reachable = gauge("registry_reachable", "Whether the registry answered when last asked.", "model")
        age = gauge("registry_view_age_seconds", "Seconds since the registry last answered.", "model")
        refused = gauge(
            "version_refused", "1 while a version that should be served is refused.", "model", "version"
        )
        for name, view in self._views.items():
            version.add_metric((name,), (view and view.version) or 0)
            reachable.add_metric((name,), bool(view and view.reachable))
            seen = view is not None and view.seen_at > 0
            # A clock that was set back makes no negative age.
            age.add_metric((name,), max(0.0, self._now - view.seen_at) if view and seen else math.inf)
            if view and view.refused:
                refused.add_metric((name, str(view.refused.version)), 1)
        yield from (version, reachable, age, refused)


def counter(name: str, about: str, *labels: str) -> CounterMetricFamily:
    """Make a family of counters."""
    return CounterMetricFamily(PREFIX + name, about, labels=labels)


def gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    """Make a family of gauges."""
    return GaugeMetricFamily(PREFIX + name, about, labels=labels)


def _gauge_of(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, about, value)
