"""Scoring: rows of a file in, good rows with predictions and bad rows with reasons out, a batch at a time.

Pure. Every row that comes in is in exactly one of the two.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_jobs.conform import conform
from batch_jobs.errors import JobFileError
from batch_jobs.partition import BadRow, GoodRows
from batch_jobs.spelling import spelled_rows
from expectations import Expectation, Severity, repeated_reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from batch_jobs.conform import ColumnKind
    from expectations import Inspector, Tally
    from registry import AnyScorer
    from storage import RowBatch

    Reasons = dict[int, list[str]]


@dataclass(frozen=True)
class Rules:
    """What good rows look like: their key, which no two rows share, and the suites."""

    row_key: tuple[str, ...]
    input: Inspector
    predictions: Inspector

    def __post_init__(self) -> None:
        for expectation in self.input.unique:
            if set(expectation.columns) != set(self.row_key):
                said = " and ".join(expectation.columns)
                raise JobFileError(
                    f"The suite {self.input.suite.name} expects {said} to be unique; a job"
                    f" finds doubles of its row_key alone, which is {', '.join(self.row_key)}. Take that"
                    " expectation out, or make the columns the row_key"
                )

    def say_doubled(self, key: Sequence[str | None], times: int) -> str:
        """Say of a row that its key is that of others, too."""
        columns = list(self.row_key)
        unique = Expectation(
            "expect_compound_columns_to_be_unique", {"column_list": columns}, Severity.CRITICAL, {}
        )
        return repeated_reason(unique, key, times)


@dataclass(frozen=True)
class ScoredBatch:
    """Both outcomes of a batch of rows, and what its suites will be judged by."""

    good: GoodRows
    bad: tuple[BadRow, ...]
    input: Tally
    predictions: Tally


@dataclass(frozen=True)
class RowScorer:
    """Scores batches of rows by one version, under one set of rules."""

    scorer: AnyScorer
    rules: Rules

    @cached_property
    def columns(self) -> Mapping[str, ColumnKind]:
        """What is read of a row: its key and what the model takes."""
        kinds: dict[str, ColumnKind] = dict.fromkeys(self.rules.row_key, "text")
        return kinds | {c.name: "number" if c.categories is None else "text" for c in self.scorer.columns}

    def score(self, file: str, batch: RowBatch) -> ScoredBatch:
        """Check and score rows of one file. Raises `UnfitDataError` where its columns are not the model's."""
        conformed = conform(batch.table, self.columns, file)
        reasons: Reasons = {row: [*sentences] for row, sentences in conformed.faults.items()}
        is_typed = _fine(len(conformed.table), reasons)
        rows = np.flatnonzero(is_typed)
        typed = conformed.table.filter(pa.array(is_typed)) if reasons else conformed.table
        before = self.rules.input.rows(typed, as_doubles=True)
        for failure in before.row_failures:
            reasons[int(rows[failure.position])] = [*failure.reasons]
        for name in self.rules.row_key:
            for place in np.flatnonzero(pc.is_null(typed[name]).to_numpy(zero_copy_only=False)):
                _add(reasons, int(rows[place]), f"{name} is null")
        wanted, keys = _fine(len(conformed.table), reasons)[rows], typed.select(self.rules.row_key)
        if wanted.all():
            predictions = self.scorer.predict(typed)
        else:
            predictions = self.scorer.predict(typed, wanted)
            rows, keys = rows[wanted], keys.filter(pa.array(wanted))
        after = self.rules.predictions.rows(pa.table({"prediction": predictions}))
        good = GoodRows(file, batch.positions[rows], tuple(keys.columns), predictions)
        if after.row_failures:
            sound = np.ones(len(good), bool)
            for failure in after.row_failures:
                sound[failure.position] = False
                reasons[int(rows[failure.position])] = [*failure.reasons]
            good = good.only(sound)
        bad = [*self._broken(file, batch), *self.set_aside(file, batch, reasons, conformed.table)]
        bad.sort(key=lambda row: row.position)
        return ScoredBatch(good, tuple(bad), before.tally, after.tally)

    def set_aside(
        self, file: str, batch: RowBatch, reasons: Mapping[int, Sequence[str]], typed: pa.Table | None = None
    ) -> list[BadRow]:
        """Keep whole the rows of a batch that `reasons` names, by number from 0; `typed` is it conformed."""
        if not reasons:
            return []
        numbers = pa.array(sorted(reasons), pa.int64())
        found = (conform(batch.table, self.columns, file).table if typed is None else typed).take(numbers)
        keys = zip(*(found[name].to_pylist() for name in self.rules.row_key), strict=True)
        whole = spelled_rows(batch.table.take(numbers))
        return [
            BadRow(file, int(batch.positions[number]), key, row, tuple(reasons[number]))
            for number, key, row in zip(numbers.to_pylist(), keys, whole, strict=True)
        ]

    def _broken(self, file: str, batch: RowBatch) -> list[BadRow]:
        return [
            BadRow(
                file,
                row.position,
                tuple(row.cells.get(n) if n not in row.unread else None for n in self.rules.row_key),
                json.dumps(row.cells or row.text, ensure_ascii=False),
                row.reasons,
            )
            for row in batch.broken
        ]


def _fine(rows: int, reasons: Reasons) -> npt.NDArray[np.bool_]:
    """Say of so many rows for which there are no reasons to set them aside."""
    fine = np.ones(rows, np.bool_)
    fine[list(reasons)] = False
    return fine


def _add(reasons: Reasons, row: int, sentence: str) -> None:
    found = reasons.setdefault(row, [])
    if sentence not in found:
        found.append(sentence)
