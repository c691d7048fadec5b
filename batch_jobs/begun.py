"""What was begun: finished splits are noted beside the table, so that a run that was killed goes on.

Notes lie under `_staging/PLAN-N/`, where N counts the commits to that day: after one, all begin anew, and
no part can be committed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_jobs.results import SplitResult
from storage import STAGING, Notes

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_jobs.partition import Provenance
    from batch_jobs.splits import Split
    from storage import Store

_RUN = "run"


@dataclass(frozen=True)
class Begun:
    """The notes on one plan. Whoever notes first is believed by all who follow the same plan."""

    notes: Notes

    @classmethod
    def of(cls, planned: Provenance, commits: int, table_uri: str, store: Store) -> Begun:
        """Find the notes on a plan for a day that was committed to so often.

        Raises `StorageError` where the store lets a note be overwritten: two runs would both believe theirs.
        """
        Notes(store, f"{table_uri}/{STAGING}").probe()
        return cls(Notes(store, f"{table_uri}/{STAGING}/{planned.plan_digest}-{commits}"))

    def run_id(self, create: Callable[[], str], discard: Callable[[str, str], None]) -> str:
        """Return the run that the rows are stamped with: one we create, unless another began this plan.

        Where another was faster after all, `discard` is told of ours and of theirs.
        """
        found = self.notes.get(_RUN)
        if found is not None:
            return str(found["run_id"])
        own = create()
        settled = str(self._settled(_RUN, {"run_id": own})["run_id"])
        if settled != own:
            discard(own, settled)
        return settled

    def finished(self, split: Split) -> SplitResult | None:
        """Return what became of a split, where somebody has finished it."""
        found = self.notes.get(split.name)
        return None if found is None else SplitResult.from_plain(found)

    def finish(self, split: Split, result: SplitResult) -> SplitResult:
        """Note what became of a split; return what counts: ours, unless another was faster."""
        return SplitResult.from_plain(self._settled(split.name, result.to_plain()))

    def _settled(self, name: str, plain: dict[str, object]) -> dict[str, object]:
        if self.notes.put_new(name, plain):
            return plain
        found = self.notes.get(name)
        return plain if found is None else found
