"""Labelled sets: the rows of one part of a project, written down once, and found again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from projects.errors import ProjectError, UnfitTrainingDataError
from projects.rows.labelling import KEY, LABEL, labelled_rows, schema_of
from projects.rows.sources import find_sources
from storage import (
    CommitConflictError,
    ObjectNotFoundError,
    S3Settings,
    Snapshot,
    Written,
    data_uri,
    find_written,
    stream_rows,
    write_once,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from projects.declaration import Project
    from projects.parts import Part
    from projects.rows.sources import Sources
    from storage import Store

# Counts up when the same sources would give other rows.
_FORMAT = 1
# The bins of a booster depend on how its rows are handed over, so this is part of what is reproduced.
BATCH_ROWS = 65_536
# What the table of a set says of itself.
_UNLABELLED = "rows_without_label"


@dataclass(frozen=True)
class LabelledSet:
    """Rows with their labels, as a Delta table of one commit at `uri`.

    `digest` is of all that it was made from: sources, part, columns and code; `found` says that it was
    there already. `sources` is empty for a set that was opened by its URI. `unlabelled` rows, without a
    label, were left out; None where that was not written down.
    """

    uri: str
    digest: str
    part: str
    rows: int
    unlabelled: int | None
    sources: Mapping[str, Snapshot]
    found: bool
    settings: S3Settings

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Stream some columns in tables of `BATCH_ROWS`, always cut alike."""
        try:
            yield from stream_rows(self.uri, columns, BATCH_ROWS, self.settings)
        except ObjectNotFoundError as error:
            raise ProjectError(_gone(self.part, self.uri)) from error

    @property
    def labels(self) -> npt.NDArray[np.float64]:
        """The label of each row, (rows,), without nulls."""
        return np.concatenate([batch[LABEL].to_numpy() for batch in self.batches([LABEL])])


def find_or_write(project: Project, part: Part, store: Store, environment: Mapping[str, str]) -> LabelledSet:
    """Return the labelled set of a part of a project's rows as they are delivered now.

    Nothing is read but the list of objects where it was made before. Raises `UnfitTrainingDataError` where
    there are no rows, or they are unfit.
    """
    sources = find_sources(project, part, store, environment)
    digest = _digest(project, part, sources)
    uri = data_uri(f"{project.name}/labelled/{digest[:32]}", environment)
    settings = S3Settings.from_environment(environment)
    there = find_written(uri, settings)
    written = there or _write(project, part, sources, store, uri, settings)
    left_out = _left_out(written)
    return LabelledSet(uri, digest, str(part), written.rows, left_out, sources.all, bool(there), settings)


def open_set(uri: str, digest: str, part: str, environment: Mapping[str, str]) -> LabelledSet:
    """Return a set that a run recorded. Raises `ProjectError` where it is gone."""
    settings = S3Settings.from_environment(environment)
    written = find_written(uri, settings)
    if written is None:
        raise ProjectError(_gone(part, uri))
    return LabelledSet(uri, digest, part, written.rows, _left_out(written), {}, found=True, settings=settings)


def _gone(part: str, uri: str) -> str:
    return (
        f"The rows of {part} under {uri} are gone: they were vacuumed away or deleted. Delete what is left"
        " there and train again, which writes them anew"
    )


def _left_out(written: Written) -> int | None:
    return int(json.loads(written.said)[_UNLABELLED]) if written.said else None


def _write(
    project: Project, part: Part, sources: Sources, store: Store, uri: str, settings: S3Settings
) -> Written:
    tally = {_UNLABELLED: 0}
    rows = _checked(project, part, sources, store, tally)
    try:
        return write_once(uri, schema_of(project), rows, settings, partial(json.dumps, tally))
    except CommitConflictError:
        # Another training of the same rows was faster.
        there = find_written(uri, settings)
        if there is None:
            raise
        return there
    finally:
        # Arrow keeps what its readers have used, and training comes on top.
        pa.default_memory_pool().release_unused()


def _checked(
    project: Project, part: Part, sources: Sources, store: Store, tally: dict[str, int]
) -> Iterator[pa.RecordBatch]:
    hashes = []
    for whole in labelled_rows(project, part, sources, store):
        tally[_UNLABELLED] += whole[LABEL].null_count
        table = whole.filter(pc.is_valid(whole[LABEL]))
        _refuse_infinite(project, table)
        hashes.append(pd.util.hash_array(table[KEY].to_numpy(), categorize=False))
        yield from table.to_batches()
    if not sum(map(len, hashes)):
        raise UnfitTrainingDataError(f"No row of {part} under {sources.features.prefix} has an outcome yet")
    _refuse_twice(project, np.concatenate(hashes))


def _refuse_twice(project: Project, hashes: npt.NDArray[np.uint64]) -> None:
    # In place: a set of them would take many times their memory.
    hashes.sort()
    twice = int((hashes[1:] == hashes[:-1]).sum())
    if twice:
        raise UnfitTrainingDataError(
            f"{twice:,} of {len(hashes):,} rows have a {project.row_key} that another row has too; expected"
            " each row once. Deliver them without the doubles"
        )


def _refuse_infinite(project: Project, table: pa.Table) -> None:
    for name, kind in project.features.items():
        # As the booster sees it: 1e300 is infinite in float32.
        if kind == "number" and pc.any(pc.is_inf(table[name].cast(pa.float32()))).as_py():
            raise UnfitTrainingDataError(
                f"The column {name!r} holds a number that is infinite as float32; clean it upstream"
            )


def _digest(project: Project, part: Part, sources: Sources) -> str:
    """SHA-256 over all that decides which rows there are and what they say."""
    dataset = project.dataset
    code = Path(str(dataset.__file__)).read_bytes() if dataset else b""
    said = {
        "format": _FORMAT,
        "sources": {name: snapshot.digest for name, snapshot in sources.all.items()},
        # Exactly; for people, a share is rounded.
        "part": repr(part),
        "time": project.time,
        "key": project.row_key,
        "label": project.label,
        "features": project.features,
        "code": hashlib.sha256(code).hexdigest(),
    }
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
