"""What `/metrics` says of spools: how full they are, before anything has to be dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from serving.recording.spool import held_bytes
from serving.watching.exposition import gauge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

_MIB = 1024 * 1024


class SpoolMetrics(Collector):
    """The spools of all models that are recorded: where they lie, and how many MiB each may take."""

    def __init__(self, spools: Mapping[str, tuple[Path, int]]) -> None:
        self._spools = spools

    def describe(self) -> list[Metric]:
        """Nothing, as for all else."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Two families; none where nothing is recorded."""
        if not self._spools:
            return
        held = gauge("spool_bytes", "Bytes that wait for their table, and room given to workers.", "model")
        limit = gauge("spool_limit_bytes", "As many bytes as a spool may take.", "model")
        for model, (folder, limit_mib) in self._spools.items():
            held.add_metric((model,), held_bytes(folder))
            limit.add_metric((model,), limit_mib * _MIB)
        yield from (held, limit)
