"""Scoring: rows of a snapshot in, good rows with predictions and bad rows with reasons out.

Pure but for the files it is handed. rows in = rows scored + rows quarantined, checked before returning.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

import expectations
from batch_jobs.conform import conform
from batch_jobs.errors import JobError, UnfitDataError
from batch_jobs.partition import BadRow, GoodRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batch_jobs.conform import ColumnKind
    from expectations import Report, Suite
    from registry import AnyScorer
    from storage import RowBatch

# In "wind_speed is 1048.36, expected …": what makes two rows' reasons different.
_VALUE = re.compile(r" is [^,]*, expected")


@dataclass(frozen=True)
class Rules:
    """What good rows look like: their key, the suites, and the share of bad rows that is bearable."""

    row_key: tuple[str, ...]
    input_suite: Suite
    predictions_suite: Suite
    quarantined_share: float


@dataclass(frozen=True)
class Outcome:
    """Both outcomes of a partition."""

    good: GoodRows
    bad: tuple[BadRow, ...]

    @property
    def rows(self) -> int:
        """Rows in: scored and quarantined together."""
        return len(self.good.predictions) + len(self.bad)

    @property
    def reason_counts(self) -> Counter[str]:
        """How often each reason was given, values left out."""
        return _reason_counts(self.bad)


@dataclass
class _Rows:
    """Rows that are good so far, in reading order, and where each came from."""

    typed: pa.Table
    files: list[str] = field(default_factory=list)
    raw: list[RowBatch] = field(default_factory=list)
    batch_of: list[int] = field(default_factory=list)
    row_of: list[int] = field(default_factory=list)


def score_rows(batches: Iterable[tuple[str, RowBatch]], scorer: AnyScorer, rules: Rules) -> Outcome:
    """Check and score all rows of a partition, given as (file, rows) in order.

    Raises `UnfitDataError`, with the report in the message, where the partition as a whole is unfit.
    """
    rows, bad = _read(batches, scorer, rules)
    found = len(rows.row_of) + len(bad)
    if found == 0:
        raise UnfitDataError("The input holds 0 rows, expected at least 1. Nothing is published")
    _refuse_too_many(bad, found, rules.quarantined_share)
    before = expectations.check(rows.typed, rules.input_suite)
    _refuse_unfit_batch(before)
    bad += [_bad_row(rows, f.position, f.reasons, rules.row_key) for f in before.row_failures]
    failed = {f.position for f in before.row_failures}
    kept = [p for p in range(len(rows.row_of)) if p not in failed]
    _refuse_too_many(bad, found, rules.quarantined_share)

    table = rows.typed.take(pa.array(kept, pa.int64()))
    predictions = scorer.predict(table)
    after = expectations.check(pa.table({"prediction": predictions}), rules.predictions_suite)
    _refuse_unfit_batch(after)
    bad += [_bad_row(rows, kept[f.position], f.reasons, rules.row_key) for f in after.row_failures]
    _refuse_too_many(bad, found, rules.quarantined_share)

    sound = np.ones(len(kept), dtype=bool)
    sound[[f.position for f in after.row_failures]] = False
    places = [p for p, ok in zip(kept, sound, strict=True) if ok]
    good = GoodRows(
        files=pa.array([rows.files[rows.batch_of[p]] for p in places], pa.string()),
        positions=pa.array([_position(rows, p) for p in places], pa.int64()),
        keys=tuple(table[name].filter(pa.array(sound)) for name in rules.row_key),
        predictions=predictions[sound],
    )
    outcome = Outcome(good, tuple(sorted(bad, key=lambda r: (r.file, r.position))))
    if outcome.rows != found:
        raise JobError(
            f"Read {found} rows, and have {len(predictions[sound])} scored and {len(bad)} quarantined;"
            " the sum is not the same. Nothing is published; this is a fault of ours, please report it"
        )
    return outcome


def _read(
    batches: Iterable[tuple[str, RowBatch]], scorer: AnyScorer, rules: Rules
) -> tuple[_Rows, list[BadRow]]:
    columns: dict[str, ColumnKind] = dict.fromkeys(rules.row_key, "text")
    columns |= {c.name: "number" if c.categories is None else "text" for c in scorer.columns}
    rows = _Rows(pa.table({n: pa.array([], _arrow_type(k)) for n, k in columns.items()}))
    tables, bad = [rows.typed], []
    for index, (file, batch) in enumerate(batches):
        conformed = conform(batch.table, columns, file)
        rows.files.append(file)
        rows.raw.append(batch)
        bad += [
            BadRow(file, broken.position, _no_key(rules), json.dumps(broken.text), (broken.reason,))
            for broken in batch.broken
        ]
        for row, reasons in conformed.faults.items():
            key = tuple(conformed.table[name][row].as_py() for name in rules.row_key)
            position = int(batch.positions[row])
            bad.append(BadRow(file, position, key, _whole(batch, row), tuple(reasons)))
        fine = [r for r in range(len(conformed.table)) if r not in conformed.faults]
        tables.append(conformed.table.take(pa.array(fine, pa.int64())))
        rows.batch_of += [index] * len(fine)
        rows.row_of += fine
    rows.typed = pa.concat_tables(tables)
    return rows, bad


def _arrow_type(kind: ColumnKind) -> pa.DataType:
    return pa.float64() if kind == "number" else pa.string()


def _no_key(rules: Rules) -> tuple[None, ...]:
    return (None,) * len(rules.row_key)


def _bad_row(rows: _Rows, place: int, reasons: Sequence[str], row_key: Sequence[str]) -> BadRow:
    batch = rows.raw[rows.batch_of[place]]
    key = tuple(rows.typed[name][place].as_py() for name in row_key)
    row = _whole(batch, rows.row_of[place])
    return BadRow(rows.files[rows.batch_of[place]], _position(rows, place), key, row, tuple(reasons))


def _position(rows: _Rows, place: int) -> int:
    return int(rows.raw[rows.batch_of[place]].positions[rows.row_of[place]])


def _whole(batch: RowBatch, row: int) -> str:
    # Dates and decimals have no JSON of their own; they are kept as they print.
    return json.dumps(batch.table.slice(row, 1).to_pylist()[0], default=str, ensure_ascii=False)


def _refuse_unfit_batch(report: Report) -> None:
    if report.batch_failures:
        raise UnfitDataError(f"The batch is unfit, and nothing is published. {expectations.render(report)}")


def _refuse_too_many(bad: Sequence[BadRow], rows: int, limit: float) -> None:
    if len(bad) > limit * rows or len(bad) == rows:
        most = "; ".join(f"{count:,} rows: {reason}" for reason, count in _reason_counts(bad).most_common(5))
        raise UnfitDataError(
            f"{len(bad):,} of {rows:,} rows are unfit ({len(bad) / rows:.0%}), expected at most {limit:.0%};"
            f" nothing is published. {most}. The first is at position {bad[0].position} of {bad[0].file}"
        )


def _reason_counts(bad: Sequence[BadRow]) -> Counter[str]:
    return Counter(_VALUE.sub(", expected", reason) for row in bad for reason in row.reasons)
