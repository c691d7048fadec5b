"""Rows of training that are held back, to compare trials on: the last days, or some of the row keys."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from projects.errors import UnfitTrainingDataError
from projects.parts import Window
from projects.rows.labelling import DAY, KEY, LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projects.declaration import Project
    from projects.parts import Part
    from projects.rows.labelled import LabelledSet
    from projects.training import Rows

_SHARE = 0.2
# Not the hash that splits off validation: its rows would all be on one side. pandas takes 16 characters.
_SPLIT = "greenroom-tuning"


def check_days(project: Project, part: Part) -> None:
    """Raise `UnfitTrainingDataError` where a window has no days left to learn from."""
    days = project.validation_days or 0
    if isinstance(part, Window) and len(part.days) <= days:
        raise UnfitTrainingDataError(
            f"The window {part} has {len(part.days)} days, and the last {days} (validation_days) are held"
            " back to compare trials on; expected more. Choose a longer window"
        )


def hold_back(project: Project, labelled: LabelledSet, part: Part) -> tuple[Rows, Rows]:
    """Return the rows to learn from, and those held back: of time the last `validation_days`."""
    return _rows(project, labelled, part, held=False), _rows(project, labelled, part, held=True)


def _rows(project: Project, labelled: LabelledSet, part: Part, *, held: bool) -> Rows:
    told_by = DAY if isinstance(part, Window) else KEY

    def rows() -> Iterator[pa.Table]:
        for table in labelled.batches([*project.features, LABEL, told_by]):
            back = _is_back(project, part, table[told_by])
            kept = table.filter(back if held else pc.invert(back)).drop_columns([told_by])
            if len(kept):
                yield kept

    return rows


def _is_back(project: Project, part: Part, told: pa.ChunkedArray) -> pa.Array:
    if isinstance(part, Window):
        return pc.greater_equal(told, part.until - dt.timedelta(days=(project.validation_days or 1) - 1))
    keys = told.to_numpy()
    return pa.array(pd.util.hash_array(keys, hash_key=_SPLIT, categorize=False) < _SHARE * 2.0**64)
