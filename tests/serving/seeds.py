"""Bodies to begin with: those of the tests, good and bad, each with how it is to be read."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from bad_bodies import CASES, ROW, TYPED

JSON, CSV, PARQUET, GZIP = range(4)
_LONGEST = 8000


def seeds() -> Iterator[tuple[int, bytes]]:
    """Return a number for the format, and the body."""
    for row in (ROW, TYPED):
        columns = list(row)
        yield JSON, json.dumps({"dataframe_records": [row, row], "params": {"explain": True}}).encode()
        yield (
            JSON,
            json.dumps({"dataframe_split": {"columns": columns, "data": [list(row.values())]}}).encode(),
        )
        yield JSON, json.dumps({"inputs": {name: [value] for name, value in row.items()}}).encode()
        yield CSV, (",".join(columns) + "\n" + ",".join(map(str, row.values()))).encode()
        yield GZIP, gzip.compress(json.dumps({"instances": [row]}).encode())
        for compression in ("none", "snappy", "zstd"):
            written = io.BytesIO()
            pq.write_table(pa.table({n: [v] * 5 for n, v in row.items()}), written, compression=compression)
            yield PARQUET, written.getvalue()
    for case in CASES.values():
        if len(case.body) <= _LONGEST:
            kind = case.headers.get("content-type", "")
            is_gzip = "content-encoding" in case.headers
            yield (
                GZIP if is_gzip else CSV if "csv" in kind else PARQUET if "parquet" in kind else JSON,
                case.body,
            )
