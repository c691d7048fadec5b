"""Figures of the data itself, which gates can judge as they judge metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from evidence import associations
from projects.errors import DeclarationError
from projects.rows.labelling import KEY, LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projects.declaration import Project
    from projects.rows.labelled import LabelledSet
    from projects.training import Rows

# From here on, a training says that a feature looks like the label.
_LIKE_THE_LABEL = 0.999
# A batch of rows: enough to tell, and no more memory than training takes anyway.
_ENOUGH_ROWS = 50_000


def measure_quality(project: Project, labelled: LabelledSet) -> dict[str, float]:
    """Measure the figures on labelled rows; that of the suite, which takes seconds, only for a gate on it."""
    count, missing = 0, dict.fromkeys(project.features, 0)
    for table in labelled.batches(list(project.features)):
        count += len(table)
        for name in missing:
            missing[name] += table[name].null_count
    rows = lambda: labelled.batches([*project.features, LABEL])  # noqa: E731  # as `Rows` are
    found = {
        "rows": float(count),
        "missing_share": max(missing.values()) / count,
        "leakage": max(_associations(project, rows).values(), default=0.0),
    }
    if any(gate.quality == "rejected_share" for gate in project.gates):
        found["rejected_share"] = _rejected(project, labelled) / count
    return found


def suspicion(project: Project, rows: Rows) -> str | None:
    """Return a sentence on a feature that orders the rows as the label does, where there is one."""
    found = _associations(project, rows)
    suspected = [name for name, value in found.items() if value >= _LIKE_THE_LABEL]
    if not suspected:
        return None
    return (
        f"{', '.join(suspected)} of the features orders the rows as the label {project.label} does; if it is"
        " not known when a prediction is made, take it out"
    )


def _associations(project: Project, rows: Rows) -> dict[str, float]:
    some = pa.concat_tables(_first(rows)).slice(0, _ENOUGH_ROWS)
    columns = {name: some[name].to_numpy(zero_copy_only=False) for name in project.features}
    return associations(project.task, some[LABEL].to_numpy(), columns)


def _first(rows: Rows) -> Iterator[pa.Table]:
    count = 0
    for table in rows():
        yield table
        count += len(table)
        if count >= _ENOUGH_ROWS:
            return


def _rejected(project: Project, labelled: LabelledSet) -> int:
    import expectations  # seconds

    try:
        suite = expectations.load_suite(f"{project.name}/input")
    except expectations.SuiteError as error:
        raise DeclarationError(
            f"A gate of the project {project.name} is on rejected_share, which needs a suite: {error}"
        ) from error
    names = [project.row_key, *project.features]
    return sum(
        len(expectations.check(table.rename_columns(names), suite).row_failures)
        for table in labelled.batches([KEY, *project.features])
    )
