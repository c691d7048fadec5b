"""From objects to labelled rows: a stream, in the order of day, file and position."""

from __future__ import annotations

import datetime as dt
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from projects.errors import UnfitTrainingDataError
from projects.parts import Side
from projects.rows.sources import PARTITION, by_day, still_to_come
from storage import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from projects.declaration import Project
    from projects.parts import Part
    from projects.rows.sources import Sources
    from storage import ObjectVersion, Store

    Group = tuple[str, list[ObjectVersion]]

# What a labelled row has besides its features.
KEY, DAY, LABEL = "_key", "_day", "_label"

_READS_AT_ONCE = 8
_TYPES = {"number": pa.float64(), "category": pa.string()}


def schema_of(project: Project) -> pa.Schema:
    """Return the columns of a labelled row."""
    features = [pa.field(name, _TYPES[kind]) for name, kind in project.features.items()]
    return pa.schema([(KEY, pa.string()), (DAY, pa.date32()), *features, (LABEL, pa.float64())])


def labelled_rows(project: Project, part: Part, sources: Sources, store: Store) -> Iterator[pa.Table]:
    """Stream the rows of a part as `schema_of` says; the label is null where the outcome is not known.

    The outcome of a row lies in the partition of the same date. Raises `UnfitTrainingDataError` where a
    column is missing or not its kind.
    """
    outcomes = by_day(sources.outcomes.objects) if sources.outcomes else {}
    groups = by_day(sources.features.objects)
    label = partial(_label_group, project=project, part=part, outcomes=outcomes, store=store)
    if len(groups) == 1:
        # All there is: too large to be held at once.
        yield from label(*groups.items())
    else:
        yield from _ahead(lambda group: pa.concat_tables(label(group)), sorted(groups.items()))


def _label_group(
    group: Group,
    project: Project,
    part: Part,
    outcomes: Mapping[str, list[ObjectVersion]],
    store: Store,
) -> Iterator[pa.Table]:
    day, objects = group
    known = _known(outcomes.get(day, []), project, store) if outcomes else None
    for pinned in objects:
        for batch in read_rows(store.open(pinned), pinned.uri):
            yield _labelled(batch.table, pinned.uri, day, known, project, part)


def _labelled(
    table: pa.Table, uri: str, day: str, known: pa.Table | None, project: Project, part: Part
) -> pa.Table:
    key = _column(table, project.row_key, pa.string(), uri)
    if known is None:
        label = _label(table, uri, project)
        nameless = pc.sum(pc.and_(pc.is_null(key), pc.is_valid(label))).as_py()
        if nameless:
            raise UnfitTrainingDataError(
                f"{uri}: {nameless} rows have no {project.row_key}; expected one in each"
            )
    else:
        position = pc.index_in(key, value_set=known[KEY].combine_chunks(), skip_nulls=True)
        label = known[LABEL].combine_chunks().take(position.combine_chunks())
    columns = [_column(table, name, _TYPES[kind], uri) for name, kind in project.features.items()]
    days = _days(table, uri, day, project)
    rows = pa.table([key, days, *columns, label], schema=schema_of(project))
    if isinstance(part, Side):
        return rows.filter(pa.array(part.holds(key.to_numpy(zero_copy_only=False))))
    if project.time == PARTITION:
        return rows
    begun, over = pc.greater_equal(rows[DAY], part.since), pc.greater(rows[DAY], part.until)
    return rows.filter(pc.and_not(begun, over))


def _known(objects: Iterable[ObjectVersion], project: Project, store: Store) -> pa.Table:
    tables = [pa.table({KEY: pa.array([], pa.string()), LABEL: pa.array([], pa.float64())})]
    for pinned in objects:
        for batch in read_rows(store.open(pinned), pinned.uri):
            key = _column(batch.table, project.row_key, pa.string(), pinned.uri)
            tables.append(pa.table({KEY: key, LABEL: _label(batch.table, pinned.uri, project)}))
    together = pa.concat_tables(tables)
    known = together.filter(pc.and_(pc.is_valid(together[LABEL]), pc.is_valid(together[KEY])))
    counts = pc.value_counts(known[KEY].combine_chunks())
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise UnfitTrainingDataError(
            f"The {project.row_key} {twice[0]['values'].as_py()!r} has more than one outcome; expected one"
        )
    return known


def _label(table: pa.Table, uri: str, project: Project) -> pa.ChunkedArray:
    try:
        dataset = project.dataset
        if dataset is None or not hasattr(dataset, "label"):
            label = _column(table, project.label, pa.float64(), uri)
        else:
            made = dataset.label(table.to_pandas())
            label = pa.chunked_array([pa.array(made, pa.float64(), from_pandas=True)])
    except KeyError as error:
        raise UnfitTrainingDataError(f"{uri} has no column {error}, which the label needs") from error
    except (TypeError, ValueError) as error:
        raise UnfitTrainingDataError(f"{uri} holds outcomes that give no label: {error}") from error
    # What is no number says nothing about the row, and so does what is not there.
    label = pc.if_else(pc.is_nan(label), pa.scalar(None, pa.float64()), label)
    if pc.any(pc.is_inf(label)).as_py():
        raise UnfitTrainingDataError(
            f"{uri}: the label {project.label!r} is infinite in a row; clean it upstream"
        )
    return label


def _days(table: pa.Table, uri: str, day: str, project: Project) -> pa.ChunkedArray:
    if project.time is None:
        return pa.chunked_array([pa.nulls(len(table), pa.date32())])
    if project.time == PARTITION:
        return pa.chunked_array([pa.repeat(pa.scalar(dt.date.fromisoformat(day), pa.date32()), len(table))])
    times = _column(table, project.time, pa.timestamp("us"), uri).cast(pa.date32(), safe=False)
    latest = pc.max(times).as_py()
    if times.null_count:
        raise UnfitTrainingDataError(
            f"{uri}: {times.null_count} rows have no {project.time}; expected a time"
        )
    if latest is not None and still_to_come(latest):
        raise UnfitTrainingDataError(f"{uri}: {project.time} goes to {latest}, which is still to come")
    return times


def _ahead(read: Callable[[Group], pa.Table], groups: list[Group]) -> Iterator[pa.Table]:
    # Bounded: all days of a year at once would be the whole year in memory.
    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        waiting = deque(pool.submit(read, group) for group in groups[:_READS_AT_ONCE])
        for group in [*groups[_READS_AT_ONCE:], *[None] * len(waiting)]:
            table = waiting.popleft().result()
            if group is not None:
                waiting.append(pool.submit(read, group))
            yield table


def _column(table: pa.Table, name: str, wanted: pa.DataType, uri: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise UnfitTrainingDataError(f"{uri} has no column {name!r}")
    try:
        return table[name].cast(wanted)
    except pa.ArrowException as error:
        raise UnfitTrainingDataError(
            f"{uri}: the column {name!r} holds {table[name].type}, expected {wanted}: {error}"
        ) from error
