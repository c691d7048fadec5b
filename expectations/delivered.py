"""Delivered data: what lies under a location, as facts; one stream, whatever its size."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from expectations.errors import InferenceError
from expectations.facts import BatchFacts, TableFacts, merge
from expectations.measuring import measure
from storage import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    import pyarrow as pa

    from expectations.facts import ColumnFacts
    from storage import ObjectVersion, Store

    Progress = Callable[[int, int], None]


# There may be thousands of batches; what differs by chance alone is a tenth of what is looked for.
_KEPT_OF_A_BATCH = 512


def read_facts(
    uri: str,
    store: Store,
    *,
    ignore: Collection[str] = (),
    label: str | None = None,
    progress: Progress = lambda *_: None,
) -> TableFacts:
    """Read every Parquet and CSV object under an `s3://` URI once, and keep only facts.

    The files of one folder are one batch, as a job scores it. With `label`, each column is compared with
    it. `progress` hears bytes read and bytes in all. Raises `InferenceError` where there are no rows, a file
    lacks a column that another has, or `ignore` names one that none has; `StorageError` as storage does.
    """
    snapshot = store.snapshot(uri)
    done = 0

    def tables(objects: Iterator[ObjectVersion]) -> Iterator[tuple[ObjectVersion, pa.Table]]:
        nonlocal done
        for pinned in objects:
            for batch in read_rows(store.open(pinned), pinned.uri):
                yield pinned, batch.table
            done += pinned.size_bytes
            progress(done, snapshot.size_bytes)

    whole: dict[str, ColumnFacts] = {}
    batches, repeated, names = [], set[str](), set[str]()
    for folder, objects in groupby(sorted(snapshot.objects, key=_folder), key=_folder):
        of_batch: dict[str, ColumnFacts] = {}
        for pinned, table in tables(objects):
            names |= set(table.column_names)
            of_batch = _added(of_batch, _measured(table, pinned, ignore, label), pinned.uri)
        rows = next((facts.rows for facts in of_batch.values()), 0)
        if rows:
            present = {name: facts.present / rows for name, facts in of_batch.items()}
            drawn = {name: facts.sample for name, facts in of_batch.items() if facts.sample is not None}
            samples = {name: sample.first(_KEPT_OF_A_BATCH) for name, sample in drawn.items()}
            batches.append(BatchFacts(folder, rows, present, samples))
            repeated |= {name for name, facts in of_batch.items() if facts.present and not facts.is_unique}
        whole = _added(whole, of_batch, folder)
    if not batches:
        raise InferenceError(
            f"There are no rows under {snapshot.prefix}; expected Parquet or CSV files. Deliver them, or"
            " correct --data"
        )
    for name in ignore:
        if name not in names:
            raise InferenceError(
                f"There is no column {name!r} to ignore; there is: {', '.join(sorted(names))}"
            )
    return TableFacts(snapshot.prefix, whole, tuple(batches), frozenset(repeated))


def _folder(pinned: ObjectVersion) -> str:
    return pinned.uri.rpartition("/")[0]


def _measured(
    table: pa.Table, pinned: ObjectVersion, ignore: Collection[str], label: str | None
) -> dict[str, ColumnFacts]:
    written = pinned.uri.lower().endswith(".csv")
    compared = table[label] if label in table.column_names else None
    return {
        name: measure(name, table[name], written=written, label=None if name == label else compared)
        for name in table.column_names
        if name not in ignore
    }


def _added(one: dict[str, ColumnFacts], other: dict[str, ColumnFacts], where: str) -> dict[str, ColumnFacts]:
    if not one or not other:
        return one or other
    for name in [*one, *other]:
        if name not in one or name not in other:
            found = f"not in all files: it differs at {where}"
            raise InferenceError(
                f"The column {name!r} is {found}. Deliver all files with the same columns, or leave it out"
                " with --ignore"
            )
    return {name: merge(one[name], other[name]) for name in one}
