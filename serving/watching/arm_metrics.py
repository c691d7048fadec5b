"""What `/metrics` says of arms: who answers how much, how well and how quickly, and who gets nothing."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from serving.routing.declaration import CHAMPION
from serving.watching.arms import CHAMPION_SLOT
from serving.watching.exposition import BOUNDS, PREFIX, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from serving.routing.published import Published
    from serving.watching.arms import ArmCounts, ArmTallies


class Routes(NamedTuple):
    """The routes of a model, None where there are none, and why an arm is off in the worker that is asked."""

    model: str
    published: Published | None
    off: Mapping[str, str]


class ArmMetrics(Collector):
    """The counts of all models that have routes."""

    def __init__(self, tallies: ArmTallies, routes: Sequence[Routes]) -> None:
        self._routes = [each for each in routes if each.published is not None]
        self._counts = []
        for number, (_, published, _) in enumerate(routes):
            if published is not None:
                slots = {view.arm: slot for slot, view in enumerate(published.arms, CHAMPION_SLOT + 1)}
                self._counts.append(tallies.counts(number, {CHAMPION: CHAMPION_SLOT, **slots}))

    def describe(self) -> list[Metric]:
        """Nothing, as for all else."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families of metrics; none at all without routes."""
        if self._routes:
            yield from self._counted()
            yield self._seconds()
            yield from self._arms()

    def _counted(self) -> Iterator[Metric]:
        requests = counter("arm_requests_total", "Requests that an arm answered, or failed.", "model", "arm")
        errors = counter("arm_errors_total", "Requests that an arm failed.", "model", "arm")
        drops = counter("shadow_drops_total", "Copies that a shadow had no time for.", "model", "arm")
        unrecorded = counter("exposures_dropped_total", "Exposures for which the spool had no room.", "model")
        no_entity = counter("no_entity_requests_total", "Requests that are in an arm by chance.", "model")
        for model, arm, counts in self._each():
            requests.add_metric((model, arm), counts.requests)
            errors.add_metric((model, arm), counts.errors)
            drops.add_metric((model, arm), counts.drops)
        for (model, _, _), arms in zip(self._routes, self._counts, strict=True):
            unrecorded.add_metric((model,), sum(counts.unrecorded for counts in arms.values()))
            no_entity.add_metric((model,), arms[CHAMPION].no_entity)
        yield from (requests, errors, drops, unrecorded, no_entity)

    def _seconds(self) -> Metric:
        family = HistogramMetricFamily(
            PREFIX + "arm_seconds", "Seconds that an arm took for an answer.", labels=("model", "arm")
        )
        for model, arm, counts in self._each():
            buckets = list(zip(BOUNDS, accumulate(counts.buckets), strict=True))
            family.add_metric((model, arm), buckets, counts.seconds)
        return family

    def _arms(self) -> Iterator[Metric]:
        version = gauge("arm_version", "Version of an arm; 0: none.", "model", "arm", "mode")
        percent = gauge("arm_percent", "Percent of requests that an arm is to answer.", "model", "arm")
        idle = gauge("arm_idle", "Whether an arm gets nothing; /ready says why.", "model", "arm")
        problem = gauge("routes_problem", "1 while routes are not what was declared.", "model")
        for model, published, off in self._routes:
            assert published is not None  # noqa: S101  # as chosen above
            problem.add_metric((model,), published.problem is not None)
            for view in published.arms:
                version.add_metric((model, view.arm, view.mode), view.version or 0)
                percent.add_metric((model, view.arm), view.percent)
                idle.add_metric((model, view.arm), view.idle is not None or view.arm in off)
        yield from (version, percent, idle, problem)

    def _each(self) -> Iterator[tuple[str, str, ArmCounts]]:
        for (model, _, _), arms in zip(self._routes, self._counts, strict=True):
            for arm, counts in arms.items():
                yield model, arm, counts
