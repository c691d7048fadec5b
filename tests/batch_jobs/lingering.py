"""A scorer that takes its time, for tests that take a machine away from it. Workers import it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import ray

from batch_jobs.results import SplitResult
from batch_jobs.splits import Split


@dataclass(frozen=True)
class Lingering:
    """Scores a split, and then waits before it says so; leaves a file in a folder for what was begun."""

    score: object
    folder: Path
    seconds: float

    def __call__(self, split: Split) -> SplitResult:
        node = ray.get_runtime_context().get_node_id()
        begun = self.folder / f"{node}-{uuid.uuid4().hex}.begun"
        begun.touch()
        result: SplitResult = self.score(split)  # type: ignore[operator]  # a SplitScorer
        time.sleep(self.seconds)
        begun.with_suffix(".ended").touch()
        return result

    def under_way(self, node: str) -> int:
        """Return how many splits a machine has begun and not ended."""
        return len([*self.folder.glob(f"{node}-*.begun")]) - len([*self.folder.glob(f"{node}-*.ended")])

    def begun(self) -> int:
        return len([*self.folder.glob("*.begun")])
