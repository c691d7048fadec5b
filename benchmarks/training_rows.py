"""The rows of a training, encoded into one local Parquet file, for a process that knows nothing of us."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import training_bare as bare
from projects.rows.labelled import BATCH_ROWS, find_or_write
from projects.rows.labelling import LABEL
from storage import S3Settings, Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from projects.declaration import Project
    from projects.parts import Part
    from projects.rows.labelled import LabelledSet


def write_encoded(project: Project, part: Part, environment: Mapping[str, str], folder: Path) -> int:
    """Write the rows that a training has used, and what is declared of it; return how many there were."""
    store = Store.connect(S3Settings.from_environment(environment))
    labelled = find_or_write(project, part, store, environment)
    categories = {
        name: _words(labelled, name) for name, kind in project.features.items() if kind == "category"
    }
    fields = [(name, pa.int32() if name in categories else pa.float32()) for name in project.features]
    schema = pa.schema([*fields, (bare.LABEL, pa.float64())])
    folder.mkdir()
    with pq.ParquetWriter(folder / bare.ROWS, schema, compression="zstd") as writer:
        for table in labelled.batches([*project.features, LABEL]):
            columns = [
                pc.index_in(table[name], value_set=pa.array(categories[name], pa.string()))
                if name in categories
                else table[name].cast(pa.float32())
                for name in project.features
            ]
            writer.write_table(pa.table([*columns, table[LABEL]], schema=schema))
    parameters = {
        "tree_method": "hist",
        **project.parameters,
        "objective": project.objective,
        "seed": project.seed,
    }
    declared = {
        "batch_rows": BATCH_ROWS,
        "categories": categories,
        "parameters": parameters,
        "rounds": project.rounds,
    }
    (folder / bare.DECLARED).write_text(json.dumps(declared))
    return labelled.rows


def _words(labelled: LabelledSet, name: str) -> list[str]:
    found: set[str] = set()
    for table in labelled.batches([name]):
        found.update(pc.unique(table[name]).drop_null().to_pylist())
    return sorted(found)
