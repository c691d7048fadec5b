"""Score one row with one artifact, in a process of its own: `python -m registry.server.try_row FOLDER NAME`.

Reads the row as a JSON object on stdin and prints `{"prediction": …}` or `{"problem": …}`. A model file
is never parsed inside the MLflow server, because a crafted one may crash whatever parses it. The process
has limits and none of the server's keys, but it is no sandbox: it runs as the same user.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from registry.errors import ArtifactError
from registry.scorer import Column, encode, read_artifact

# What the model file can make this process take, before the system ends it.
_MEMORY_BYTES = 8 * 2**30
_CPU_S = 20
_OUTPUT_BYTES = 64 * 1024


def main(arguments: list[str]) -> int:
    """Answer for one row; 0 where there is an answer."""
    _limit()
    # XGBoost imports it where it is installed, which takes half the time of an answer.
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # as the import system writes "not there"
    folder, what = arguments
    row = json.load(sys.stdin)
    try:
        columns, booster = read_artifact(Path(folder), what)
        table = pa.table({column.name: _array(column, row.get(column.name)) for column in columns})
        [answer] = booster.inplace_predict(encode(table, columns))
    except (ArtifactError, pa.ArrowException) as error:
        print(json.dumps({"problem": f"{error}."}))
        return 1
    # As text first: the shortest one that names this float32, and not its 17 digits as a float64.
    print(json.dumps({"prediction": [str(value) for value in answer.reshape(-1)]}))
    return 0


def _array(column: Column, value: Any) -> pa.Array:
    if column.categories is None:
        return pa.array([value], pa.float64())
    return pa.array([None if value is None else str(value)], pa.string())


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_FSIZE, _OUTPUT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    # What Python compiles is longer than that, and it keeps the beginning for every process that comes next.
    sys.dont_write_bytecode = True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
