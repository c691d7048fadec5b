"""Tallies: what some rows say of a suite, small enough to keep, and how those of two parts add up. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from expectations.errors import SuiteError
from expectations.report import EXAMPLES_PER_CHECK
from expectations.streaming.moments import Moments
from expectations.streaming.values import ValueCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_Part = TypeVar("_Part", Moments, ValueCounts)


@dataclass(frozen=True, slots=True)
class CheckTally:
    """What is known of one expectation.

    It looked at `considered` rows (mostly those with a value), of which `unexpected` do not meet it;
    `examples` are a few of their sentences, the first in alphabetical order. `trouble` is why the batch
    fails whatever else is seen. `moments` and `values` are for expectations on the column as a whole.
    """

    considered: int = 0
    unexpected: int = 0
    examples: tuple[str, ...] = ()
    trouble: str | None = None
    moments: Moments | None = None
    values: ValueCounts | None = None

    def merge(self, other: CheckTally) -> CheckTally:
        """Add up two parts."""
        return CheckTally(
            considered=self.considered + other.considered,
            unexpected=self.unexpected + other.unexpected,
            examples=first_examples([*self.examples, *other.examples]),
            trouble=min(filter(None, (self.trouble, other.trouble)), default=None),
            moments=_merged(self.moments, other.moments),
            values=_merged(self.values, other.values),
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """What some rows say of a suite: one `CheckTally` for each of its expectations, in its order.

    `failed_rows` do not meet a critical expectation on rows; what is unique is not in it. `columns` are
    the lists of column names that were seen, of well-formed batches one.
    """

    suite_digest: str
    rows: int
    failed_rows: int
    columns: frozenset[tuple[str, ...]]
    checks: tuple[CheckTally, ...]

    def merge(self, other: Tally) -> Tally:
        """Add up two parts, in any order; means and deviations are the same up to rounding.

        Raises `SuiteError` where they are of different suites.
        """
        refuse_other_suite(self.suite_digest, other.suite_digest)
        return Tally(
            suite_digest=self.suite_digest,
            rows=self.rows + other.rows,
            failed_rows=self.failed_rows + other.failed_rows,
            columns=self.columns | other.columns,
            checks=tuple(one.merge(two) for one, two in zip(self.checks, other.checks, strict=True)),
        )

    def to_plain(self) -> dict[str, Any]:
        """Return it as data for JSON, from which `from_plain` makes an equal one."""
        return {
            "suite_digest": self.suite_digest,
            "rows": self.rows,
            "failed_rows": self.failed_rows,
            "columns": sorted(map(list, self.columns)),
            "checks": [_check_to_plain(check) for check in self.checks],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Tally:
        """Make one of what `to_plain` returned; raises `KeyError` or `TypeError` for anything else."""
        return cls(
            suite_digest=plain["suite_digest"],
            rows=plain["rows"],
            failed_rows=plain["failed_rows"],
            columns=frozenset(map(tuple, plain["columns"])),
            checks=tuple(map(_check_from_plain, plain["checks"])),
        )


def first_examples(sentences: Iterable[str]) -> tuple[str, ...]:
    """Keep a few different sentences, the same ones in whichever order the parts come."""
    return tuple(sorted(set(sentences))[:EXAMPLES_PER_CHECK])


def refuse_other_suite(expected: str, found: str) -> None:
    """Raise `SuiteError` where a tally is of another suite than it is used with."""
    if found != expected:
        raise SuiteError(
            f"The tally is of the suite with the digest {found[:12]}, expected {expected[:12]};"
            " check the rows again with the suite as it is now"
        )


def _merged(one: _Part | None, other: _Part | None) -> _Part | None:
    if one is None or other is None:
        return one or other
    return one.merge(other)


def _check_to_plain(check: CheckTally) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "considered": check.considered,
        "unexpected": check.unexpected,
        "examples": list(check.examples),
        "trouble": check.trouble,
    }
    if check.moments is not None:
        plain["moments"] = {key: _to_json(value) for key, value in asdict(check.moments).items()}
    if check.values is not None:
        counts = check.values.counts
        # Pairs and not an object: JSON has no numbers for keys.
        plain["values"] = None if counts is None else [[_to_json(v), n] for v, n in counts.items()]
    return plain


def _check_from_plain(plain: Mapping[str, Any]) -> CheckTally:
    check = CheckTally(plain["considered"], plain["unexpected"], tuple(plain["examples"]), plain["trouble"])
    if "moments" in plain:
        moments = Moments(**{key: _from_json(value) for key, value in plain["moments"].items()})
        check = replace(check, moments=moments)
    if "values" in plain:
        pairs = plain["values"]
        counts = None if pairs is None else {_from_json(value): count for value, count in pairs}
        check = replace(check, values=ValueCounts(counts))
    return check


def _to_json(value: Any) -> Any:
    # JSON has no infinity, and text may be "inf".
    return {"float": repr(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(value: Any) -> Any:
    return float(value["float"]) if isinstance(value, dict) else value
