"""Labelled rows: features of a window joined with the outcomes that followed them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projects.errors import UnfitTrainingDataError
from storage import Snapshot, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from projects.declaration import Project, Window
    from storage import ObjectVersion, Store

_READS_AT_ONCE = 8
_TYPES = {"number": pa.float64(), "category": pa.string()}
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

    Raises `UnfitTrainingDataError` where the window is empty, or a column is missing or not its kind.
    """
    features_snapshot = _within(store.snapshot(features_uri), window)
    outcomes_snapshot = _within(store.snapshot(outcomes_uri), window)
    for snapshot in (features_snapshot, outcomes_snapshot):
        if not snapshot.objects:
            raise UnfitTrainingDataError(
                f"There is no data for {window} under {snapshot.prefix}; expected files"
                " date=YYYY-MM-DD/…. Choose another window, or deliver them"
            )
    for snapshot in (features_snapshot, outcomes_snapshot):
        _refuse_cut(snapshot, window)
    key = project.row_key
    features = _read(features_snapshot.objects, partial(_features, project=project), store)
    outcomes = _read(outcomes_snapshot.objects, partial(_outcomes, project=project), store)
    known = outcomes.filter(pc.is_valid(outcomes[project.label]))
    position = pc.index_in(features[key], value_set=known[key].combine_chunks(), skip_nulls=True)
    labelled = pc.is_valid(position)
    label = known[project.label].take(position.filter(labelled).combine_chunks())
    rows = features.filter(labelled).select(list(project.features))
    if not len(rows):
        raise UnfitTrainingDataError(
            f"No row of {window} under {features_snapshot.prefix} has an outcome yet"
        )
    return LabelledRows(
        rows, np.asarray(label.to_numpy(zero_copy_only=False)), features_snapshot, outcomes_snapshot
    )


def refuse_one_class(rows: LabelledRows) -> None:
    """Raise `UnfitTrainingDataError` unless both classes are there, to learn or to judge by."""
    classes = np.unique(rows.label)
    if not len(classes):
        raise UnfitTrainingDataError("No row is left of the sample. Choose a longer window or a larger share")
    if len(classes) == 1:
        raise UnfitTrainingDataError(
            f"Every one of the {len(rows.label)} rows has the label {classes[0]:g}; a classifier needs"
            " both classes. Choose a longer window"
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
        return day is not None and str(window.since) <= day[1] <= str(window.until)

    return Snapshot(snapshot.prefix, tuple(o for o in snapshot.objects if inside(o.uri)))


def _refuse_cut(snapshot: Snapshot, window: Window) -> None:
    days = {match[1] for o in snapshot.objects if (match := _DAY.search(o.uri))}
    # A day inside may well have no rows; a window that ends before it says would be a false record.
    for day in (window.since, window.until):
        if str(day) not in days:
            raise UnfitTrainingDataError(
                f"The window {window} is not all there: under {snapshot.prefix} is no {day}, data goes from"
                f" {min(days)} to {max(days)}. Choose another window, or deliver the rest"
            )


def _read(
    objects: Iterable[ObjectVersion], shape: Callable[[pa.Table, str], pa.Table], store: Store
) -> pa.Table:
    def read(pinned: ObjectVersion) -> pa.Table:
        batches = read_rows(store.open(pinned), pinned.uri)
        return pa.concat_tables([shape(batch.table, pinned.uri) for batch in batches])

    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        return pa.concat_tables(pool.map(read, objects))


def _features(table: pa.Table, uri: str, project: Project) -> pa.Table:
    columns = {name: _column(table, name, _TYPES[kind], uri) for name, kind in project.features.items()}
    return pa.table({project.row_key: _column(table, project.row_key, pa.string(), uri), **columns})


def _outcomes(table: pa.Table, uri: str, project: Project) -> pa.Table:
    key = _column(table, project.row_key, pa.string(), uri)
    try:
        label = project.dataset.label(table.to_pandas())
    except KeyError as error:
        raise UnfitTrainingDataError(f"{uri} has no column {error}, which the label needs") from error
    except (TypeError, ValueError) as error:
        raise UnfitTrainingDataError(f"{uri} holds outcomes that give no label: {error}") from error
    return pa.table({project.row_key: key, project.label: pa.array(label, pa.float64(), from_pandas=True)})


def _column(table: pa.Table, name: str, wanted: pa.DataType, uri: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise UnfitTrainingDataError(f"{uri} has no column {name!r}")
    try:
        return table[name].cast(wanted)
    except pa.ArrowException as error:
        raise UnfitTrainingDataError(
            f"{uri}: the column {name!r} holds {table[name].type}, expected {wanted}: {error}"
        ) from error
