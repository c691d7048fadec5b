"""Repairs: rows that an operator mended, each in place of one row of the input. Kept beside the table.

Under `_repairs/date=DAY/` lies one note for each file that was handed in, numbered, never changed. A row is
bound to the very bytes of the file that it was set aside from; of two repairs of one row, the later counts.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from storage import Notes, RowBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage import Snapshot, Store

REPAIRS = "_repairs"


@dataclass(frozen=True)
class Repair:
    """A mended row: the file and position (from 0) whose row it replaces, and its cells, as text.

    `etag` is of the file's bytes that the row was in; `name` is of the note that brought it, empty before.
    """

    file: str
    etag: str
    position: int
    cells: Mapping[str, str | None]
    name: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Return it as data for JSON."""
        return {"file": self.file, "etag": self.etag, "position": self.position, "cells": dict(self.cells)}


@dataclass(frozen=True)
class Repairs:
    """The repairs that apply to an input, by file and position; and of which files how many do not."""

    rows: Mapping[str, Mapping[int, Repair]] = field(default_factory=dict)
    void: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the repairs that apply; empty where there are none."""
        if not self.rows:
            return ""
        found = sorted((r.file, r.position, r) for rows in self.rows.values() for r in rows.values())
        lines = (json.dumps({**r.to_plain(), "name": r.name}, sort_keys=True) + "\n" for *_, r in found)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to tell of repairs that do not apply."""
        return tuple(
            f"{count:,} repaired rows of {file} are void: it was delivered again, or taken away, since"
            for file, count in self.void.items()
        )

    def applied(self, file: str, batch: RowBatch) -> Iterator[RowBatch]:
        """Yield the rows of a batch, those that are repaired in a batch of their own, as text."""
        mine = self.rows.get(file)
        if not mine:
            yield batch
            return
        taken = np.isin(batch.positions, list(mine))
        broken = {row.position for row in batch.broken} & mine.keys()
        if not taken.any() and not broken:
            yield batch
            return
        left = tuple(row for row in batch.broken if row.position not in broken)
        yield RowBatch(batch.table.filter(pa.array(~taken)), batch.positions[~taken], left)
        positions = sorted({*batch.positions[taken].tolist(), *broken})
        names = batch.table.column_names
        cells = {name: pa.array([mine[p].cells.get(name) for p in positions], pa.string()) for name in names}
        yield RowBatch(pa.table(cells), np.array(positions, np.int64))

    def name(self, file: str, position: int) -> str | None:
        """Return the repair that a row is, or None."""
        found = self.rows.get(file, {}).get(position)
        return None if found is None else found.name


NO_REPAIRS = Repairs()


def repair_notes(table_uri: str, date: dt.date, store: Store) -> Notes:
    """Return the notes on the repairs of a day."""
    return Notes(store, f"{table_uri}/{REPAIRS}/date={date}")


def read_repairs(table_uri: str, date: dt.date, snapshot: Snapshot, store: Store) -> Repairs:
    """Read the repairs of a day, and hold them against its input as it is now."""
    notes, found = repair_notes(table_uri, date, store), dict[tuple[str, str, int], Repair]()
    for name in notes.list():
        for row in (notes.get(name) or {"rows": []})["rows"]:
            repair = Repair(row["file"], row["etag"], row["position"], row["cells"], name)
            found[repair.file, repair.etag, repair.position] = repair
    if not found:
        return NO_REPAIRS
    there = {(each.uri, each.etag) for each in snapshot.objects}
    rows: dict[str, dict[int, Repair]] = {}
    void: Counter[str] = Counter()
    for repair in found.values():
        if (repair.file, repair.etag) in there:
            rows.setdefault(repair.file, {})[repair.position] = repair
        else:
            void[repair.file] += 1
    return Repairs(rows, void)


def repaired_days(table_uri: str, store: Store) -> frozenset[dt.date]:
    """Return the days that have repairs, by one listing."""
    head = f"{table_uri}/{REPAIRS}/date="
    found = (uri for uri in store.list_ever(f"{table_uri}/{REPAIRS}") if uri.startswith(head))
    return frozenset(dt.date.fromisoformat(uri[len(head) : len(head) + len("YYYY-MM-DD")]) for uri in found)


def keep(repairs: Sequence[Repair], told: Mapping[str, Any], notes: Notes) -> str:
    """Write repairs down as the newest of their day, and `told` with them; return the name of the note."""
    body = {**told, "rows": [repair.to_plain() for repair in repairs]}
    while True:
        names = notes.list()
        name = f"{int(names[-1]) + 1 if names else 1:06d}"
        # Where another was faster, its are older than ours.
        if notes.put_new(name, body):
            return name
