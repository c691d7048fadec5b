"""Engines: where splits are scored. An engine maps a function over them, and gives back what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from batch_jobs.results import SplitResult
    from batch_jobs.splits import Split

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Where splits are scored."""

    def map(
        self, score: Callable[[Split], SplitResult], splits: Sequence[Split]
    ) -> Iterator[tuple[Split, SplitResult]]:
        """Score each split once, wherever; yield each with its result, in whichever order they are done.

        Raises what `score` raises, and begins no more splits then.
        """


def start(name: str, workers: int, environment: Mapping[str, str]) -> Engine:
    """Start one of `ENGINES`. Ray's cluster is at RAY_ADDRESS, or on this machine. Raises `JobError`."""
    if name == "ray":
        from batch_jobs.engines.ray import Cluster

        return Cluster.join(environment.get("RAY_ADDRESS"), workers)
    from batch_jobs.engines.local import Threads

    return Threads(workers)
