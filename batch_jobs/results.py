"""Results: what became of a split, in a form that can be kept on S3 and come from another machine. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expectations import Tally
from storage import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Of the reasons for which rows were set aside, the most frequent.
_REASONS = 50


@dataclass(frozen=True)
class SplitResult:
    """The parts that a split was written to, and the counts and tallies that the whole is judged by.

    `first_bad` says where the first row lies that was set aside: position and file. `repaired` of the rows,
    of either outcome, stood in for others.
    """

    parts: tuple[Part, ...]
    scored: int
    quarantined: int
    reasons: Mapping[str, int]
    first_bad: str | None
    input: Tally
    predictions: Tally
    repaired: int = 0

    @property
    def rows(self) -> int:
        """Rows in: scored and quarantined together."""
        return self.scored + self.quarantined

    def to_plain(self) -> dict[str, Any]:
        """Return it as data for JSON; `from_plain` makes the same of it."""
        return {
            "parts": [part.to_plain() for part in self.parts],
            "scored": self.scored,
            "quarantined": self.quarantined,
            "reasons": dict(self.reasons),
            "first_bad": self.first_bad,
            "input": self.input.to_plain(),
            "predictions": self.predictions.to_plain(),
            "repaired": self.repaired,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> SplitResult:
        """Return what `to_plain` was made of."""
        return cls(
            parts=tuple(map(Part.from_plain, plain["parts"])),
            scored=plain["scored"],
            quarantined=plain["quarantined"],
            reasons=plain["reasons"],
            first_bad=plain["first_bad"],
            input=Tally.from_plain(plain["input"]),
            predictions=Tally.from_plain(plain["predictions"]),
            repaired=plain["repaired"],
        )


def together(results: Iterable[SplitResult]) -> SplitResult:
    """Add up what became of several splits, in their order; of at least one."""
    first, *others = results
    for other in others:
        reasons = Counter(first.reasons)
        reasons.update(other.reasons)
        first = SplitResult(
            parts=first.parts + other.parts,
            scored=first.scored + other.scored,
            quarantined=first.quarantined + other.quarantined,
            reasons=dict(reasons.most_common(_REASONS)),
            first_bad=first.first_bad or other.first_bad,
            input=first.input.merge(other.input),
            predictions=first.predictions.merge(other.predictions),
            repaired=first.repaired + other.repaired,
        )
    return first
