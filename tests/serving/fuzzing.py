"""Feeds the parsers what nobody would write: `python fuzzing.py RUNS SECONDS`, in a process that may die.

A refusal is an answer. Whatever else comes out of a parser, or kills the process, fails it.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # ships no types

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent), str(HERE)]

with atheris.instrument_imports(include=["serving.contract"]):
    from serving.contract.csv_bodies import read_csv
    from serving.contract.json_bodies import read_json
    from serving.contract.parquet_bodies import read_parquet
    from serving.contract.refusals import RequestError
    from serving.contract.signature import InputColumn, Kind, Signature
    from serving.http.bodies import unzip

import numpy as np  # noqa: E402  # after the path is set
from seeds import seeds  # noqa: E402

CODES: dict[str | None, float] = {"AA": 0.0, "a:b": 1.0, "é": 2.0, "": 3.0}
PLAIN = Signature(
    (
        InputColumn("carrier", Kind.STRING, codes=CODES),
        InputColumn("distance"),
        InputColumn("temp"),
        InputColumn("origin", Kind.STRING, codes=CODES),
    )
)
TYPED = Signature(
    (
        InputColumn("flag", Kind.BOOLEAN),
        InputColumn("count", Kind.LONG),
        InputColumn("small", Kind.INTEGER),
        InputColumn("ratio", Kind.FLOAT),
        InputColumn("maybe", required=False),
        InputColumn("carrier", Kind.STRING, required=False, codes=CODES),
    )
)
OPTIONAL = Signature((InputColumn("distance", required=False), InputColumn("temp", required=False)))
MOST_ROWS, MOST_BYTES = 1000, 2**20


def read_one(data: bytes) -> None:
    """Read a body: its first byte says how. Raises whatever is not a refusal."""
    if not data:
        return
    how, body = data[0], data[1:]
    signature = (PLAIN, TYPED, OPTIONAL)[how // 4 % 3]
    try:
        if how % 4 == 0:
            matrix = read_json(body, signature, MOST_ROWS).matrix
        elif how % 4 == 1:
            matrix = read_csv(body, signature, MOST_ROWS).matrix
        elif how % 4 == 2:
            matrix = read_parquet(body, signature, MOST_ROWS, MOST_BYTES).matrix
        else:
            assert len(unzip(body, b"gzip", MOST_BYTES)) <= MOST_BYTES
            return
    except RequestError as refusal:
        _check(refusal)
        return
    assert matrix.dtype == np.float32
    assert matrix.shape[1] == len(signature.columns)
    assert 0 < len(matrix) <= MOST_ROWS


def _check(refusal: RequestError) -> None:
    assert refusal.message.isprintable()
    assert len(refusal.faults) <= 10


def main() -> None:
    runs, seconds = sys.argv[1:3]
    np.seterr(over="ignore", invalid="ignore")
    with tempfile.TemporaryDirectory() as folder:
        for number, (how, body) in enumerate(seeds()):
            for signature in range(3):
                read_one(bytes([how + 4 * signature]) + body)  # whole, before they are taken apart
            (Path(folder) / str(number)).write_bytes(bytes([how]) + body)
        (Path(folder) / "zipped").write_bytes(b"\x03" + gzip.compress(b"{}"))
        options = [f"-runs={runs}", f"-max_total_time={seconds}", "-max_len=8192", "-timeout=20", "-seed=7"]
        # What it finds is left beside the caller, to be run again.
        atheris.Setup(
            ["fuzzing", *options, "-rss_limit_mb=1500", f"-artifact_prefix={folder}-", folder], read_one
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
