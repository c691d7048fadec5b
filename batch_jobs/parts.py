"""From a split to parts: read, score, write. This runs on every worker, side by side with others."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch_jobs.ahead import ahead
from batch_jobs.doubles import keep_hashes
from batch_jobs.errors import JobError, UnfitDataError
from batch_jobs.keys import repeated
from batch_jobs.memory import give_back_memory
from batch_jobs.mending.repairs import NO_REPAIRS
from batch_jobs.partition import (
    QUARANTINED,
    SCORED,
    BadRow,
    GoodRows,
    Provenance,
    quarantined_rows,
    schema_of,
    scored_rows,
)
from batch_jobs.results import SplitResult, together
from expectations import Tally
from storage import Store, read_rows, write_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from batch_jobs.mending.repairs import Repairs
    from batch_jobs.scoring import RowScorer, ScoredBatch
    from batch_jobs.splits import Split
    from storage import RowBatch, S3Settings

# What a worker holds before it writes: rows that were scored, 40 bytes each with an ordinary key, and
# characters of bad ones.
PART_ROWS = 1_000_000
_PART_KEY_BYTES = 256 * 2**20
_PART_BAD_CHARACTERS = 32_000_000
# Rows of doubled keys are read again and kept whole. So many are a fault of the delivery, not of rows.
MOST_DOUBLED = 50_000
# In "wind_speed is 1048.36, expected …": what makes two rows' reasons different.
_VALUE = re.compile(r" (is [^,]*|[^,]* appears \d+ times), expected")


@dataclass
class _Part:
    """What the next part is made of, so far."""

    good: list[GoodRows] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    rows: int = 0
    key_bytes: int = 0
    tallies: list[tuple[Tally, Tally]] = field(default_factory=list)

    def add(self, batch: ScoredBatch, rows: int) -> None:
        self.good.append(batch.good)
        self.bad += batch.bad
        self.rows += rows
        self.key_bytes += sum(column.nbytes for column in batch.good.keys)
        self.tallies.append((batch.input, batch.predictions))

    @property
    def is_full(self) -> bool:
        if sum(map(len, self.good)) >= PART_ROWS or self.key_bytes >= _PART_KEY_BYTES:
            return True
        return sum(len(row.row) for row in self.bad) >= _PART_BAD_CHARACTERS


@dataclass(frozen=True)
class _Sorted:
    """The rows of a part without those of one key, which are set aside; and the hashes of all keys."""

    good: list[GoodRows]
    bad: list[BadRow]
    doubled: int
    hashes: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class SplitScorer:
    """Scores one split at a time and writes its parts, which are not of the table before a commit.

    `scratch` is a folder for the hashes of their keys; whoever finds them there need not read keys again.
    """

    rows: RowScorer
    made: Provenance
    table_uri: str
    settings: S3Settings
    scratch: Path
    repairs: Repairs = NO_REPAIRS

    def __call__(self, split: Split) -> SplitResult:
        """Score a split. Raises `UnfitDataError`, `UnreadableFileError` or another `StorageError`."""
        store = Store.connect(self.settings)
        waiting, results = _Part(), []
        for file, batch in ahead(_read(split, store, self.repairs)):
            waiting.add(self.rows.score(file, batch), len(batch.table) + len(batch.broken))
            if waiting.is_full:
                results.append(self._write(waiting, split, store))
                waiting = _Part()
                give_back_memory()
        if waiting.tallies:
            results.append(self._write(waiting, split, store))
        give_back_memory()
        return together(results)

    def _write(self, found: _Part, split: Split, store: Store) -> SplitResult:
        rows = self._without_repeated(found, split, store)
        good, bad = rows.good, rows.bad
        scored = sum(map(len, good))
        if scored + len(bad) != found.rows:
            raise JobError(
                f"Read {found.rows} rows, and have {scored} scored and {len(bad)} quarantined; the sum is not"
                " the same. Nothing is published; this is a fault of ours, please report it"
            )
        row_key = self.rows.rules.row_key
        tables = {
            SCORED: scored_rows(good, row_key, self.made, self.repairs) if scored else None,
            QUARANTINED: quarantined_rows(bad, row_key, self.made, self.repairs) if bad else None,
        }
        written = (
            write_part(self.table_uri, self._partition(outcome), table, schema_of(row_key), store)
            for outcome, table in tables.items()
            if table is not None
        )
        parts = [part for part in written if part is not None]
        keep_hashes(self.scratch, parts, rows.hashes)
        of_input, of_predictions = (reduce(Tally.merge, each) for each in zip(*found.tallies, strict=True))
        inspector = self.rows.rules.input
        for unique in inspector.unique:
            of_input = of_input.merge(inspector.repeated(unique, min(rows.doubled, of_input.rows)))
        return SplitResult(
            parts=tuple(parts),
            scored=scored,
            quarantined=len(bad),
            reasons=Counter(_VALUE.sub(", expected", reason) for row in bad for reason in row.reasons),
            first_bad=f"position {bad[0].position} of {bad[0].file}" if bad else None,
            input=of_input,
            predictions=of_predictions,
            repaired=sum(len(t) - t["repair"].null_count for t in tables.values() if t is not None),
        )

    def _partition(self, outcome: str) -> dict[str, str]:
        return {"date": str(self.made.date), "outcome": outcome}

    def _without_repeated(self, found: _Part, split: Split, store: Store) -> _Sorted:
        """Set aside all rows of one key, and count them; to keep them whole they are read again, seldom."""
        say_doubled = self.rows.rules.say_doubled
        named = [row for row in found.bad if None not in row.key]
        chunks = [
            [
                *(chunk for rows in found.good for chunk in rows.keys[nth].chunks),
                pa.array([row.key[nth] for row in named], pa.string()),
            ]
            for nth in range(len(self.rows.rules.row_key))
        ]
        counts, hashes = repeated([pa.chunked_array(each, pa.string()) for each in chunks])
        if not counts:
            return _Sorted(found.good, found.bad, 0, hashes)
        if len(counts) > MOST_DOUBLED:
            raise UnfitDataError(
                f"{len(counts):,} of {found.rows:,} rows have a key that another row has, too; at most"
                f" {MOST_DOUBLED:,} are set aside. Was a file delivered twice? Nothing is published. The"
                f" files are {', '.join(sorted({rows.file for rows in found.good}))[:500]}"
            )
        reasons: dict[tuple[str, int], str] = {}
        good, start = [], 0
        for rows in found.good:
            places = [row - start for row in counts if start <= row < start + len(rows)]
            for place in places:
                key = [column[place].as_py() for column in rows.keys]
                reasons[rows.file, int(rows.positions[place])] = say_doubled(key, counts[start + place])
            good.append(rows.only(np.isin(np.arange(len(rows)), places, invert=True)))
            start += len(rows)
        said = {
            (row.file, row.position): say_doubled(row.key, counts[start + place])
            for place, row in enumerate(named)
            if start + place in counts
        }
        bad = [
            replace(row, reasons=(*row.reasons, said[row.file, row.position]))
            if (row.file, row.position) in said
            else row
            for row in found.bad
        ]
        bad += self._again(reasons, split, store)
        ordered = sorted(bad, key=lambda row: (row.file, row.position))
        return _Sorted(good, ordered, len(counts), hashes)

    def _again(self, reasons: Mapping[tuple[str, int], str], split: Split, store: Store) -> Iterator[BadRow]:
        for file, batch in _read(split, store, self.repairs) if reasons else ():
            here = {
                number: [reasons[file, position]]
                for number, position in enumerate(batch.positions.tolist())
                if (file, position) in reasons
            }
            yield from self.rows.set_aside(file, batch, here)


def _read(split: Split, store: Store, repairs: Repairs) -> Iterator[tuple[str, RowBatch]]:
    for piece in split.pieces:
        uri = piece.object.uri
        for batch in read_rows(store.open(piece.object), uri, piece.groups):
            for some in repairs.applied(uri, batch):
                yield uri, some
