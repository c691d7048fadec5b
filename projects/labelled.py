"""Labelled rows: features of a window joined with the outcomes that followed them."""

from __future__ import annotations

import datetime as dt
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projects.errors import UnfitTrainingDataError
from storage import Snapshot, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from projects.declaration import Project, Window
    from storage import ObjectVersion, Store

_READS_AT_ONCE = 8
_DAY = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/")


@dataclass(frozen=True)
class LabelledRows:
    """Rows of a window, in the order of day, file and position.

    `features` has the project's raw columns; `label` is float64 of shape (rows,), without nulls.
    """

    features: pa.Table
    label: npt.NDArray[np.float64]
    features_snapshot: Snapshot
    outcomes_snapshot: Snapshot


def read_labelled(
    project: Project, window: Window, features_uri: str, outcomes_uri: str, store: Store
) -> LabelledRows:
    """Read a window. Rows whose outcome is not known (yet) are left out.

    Raises `UnfitTrainingDataError` where the window is empty or a column is missing or not its kind.
    """
    features_snapshot = _within(store.snapshot(features_uri), window)
    outcomes_snapshot = _within(store.snapshot(outcomes_uri), window)
    for snapshot in (features_snapshot, outcomes_snapshot):
        if not snapshot.objects:
            raise UnfitTrainingDataError(
                f"There is no data for {window} under {snapshot.prefix}; expected files"
                " date=YYYY-MM-DD/…. Choose another window, or deliver them"
            )
    key = project.row_key
    features = _read(features_snapshot.objects, [key, *project.features], store)
    outcomes = _read(outcomes_snapshot.objects, None, store)
    truth = pa.array(project.dataset.label(outcomes.to_pandas()), from_pandas=True)
    known = pc.is_valid(truth)
    position = pc.index_in(features[key], value_set=outcomes[key].filter(known).combine_chunks())
    labelled = pc.is_valid(position)
    label = truth.filter(known).take(position.filter(labelled).combine_chunks())
    rows = _typed(features.filter(labelled), project)
    if not len(rows):
        raise UnfitTrainingDataError(
            f"No row of {window} under {features_snapshot.prefix} has an outcome yet"
        )
    return LabelledRows(
        rows, np.asarray(label.to_numpy(zero_copy_only=False)), features_snapshot, outcomes_snapshot
    )


def sample_rows(rows: LabelledRows, share: float, seed: int) -> LabelledRows:
    """Keep a random share of the rows, the same ones for the same seed."""
    if share >= 1:
        return rows
    kept = np.random.default_rng(seed).random(len(rows.label)) < share
    return LabelledRows(
        rows.features.filter(pa.array(kept)),
        rows.label[kept],
        rows.features_snapshot,
        rows.outcomes_snapshot,
    )


def _within(snapshot: Snapshot, window: Window) -> Snapshot:
    def inside(uri: str) -> bool:
        day = _DAY.search(uri)
        return day is not None and window.since <= dt.date.fromisoformat(day[1]) <= window.until

    return Snapshot(snapshot.prefix, tuple(o for o in snapshot.objects if inside(o.uri)))


def _read(objects: Iterable[ObjectVersion], columns: list[str] | None, store: Store) -> pa.Table:
    def read(pinned: ObjectVersion) -> pa.Table:
        tables = []
        for batch in read_rows(store.open(pinned), pinned.uri):
            missing = [c for c in columns or [] if c not in batch.table.column_names]
            if missing:
                raise UnfitTrainingDataError(f"{pinned.uri} has no column {missing[0]!r}")
            tables.append(batch.table.select(columns) if columns else batch.table)
        return pa.concat_tables(tables)

    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        return pa.concat_tables(pool.map(read, objects), promote_options="permissive")


def _typed(features: pa.Table, project: Project) -> pa.Table:
    columns = {}
    for name, kind in project.features.items():
        wanted = pa.string() if kind == "category" else pa.float64()
        try:
            columns[name] = features[name].cast(wanted)
        except pa.ArrowInvalid as error:
            raise UnfitTrainingDataError(
                f"The column {name!r} is declared a {kind} and holds {features[name].type}: {error}"
            ) from error
    return pa.table(columns)
