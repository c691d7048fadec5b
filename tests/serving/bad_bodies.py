"""Bad bodies, each with what is said of it."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from served_house import MARKER

PARQUET = "application/vnd.apache.parquet"
ROW = {"carrier": MARKER, "distance": 1.5, "temp": None, "origin": "AA"}
TYPED = {"flag": True, "count": 1, "small": 2, "ratio": 0.5, "maybe": None, "carrier": MARKER}


@dataclass(frozen=True)
class Case:
    """A body, and what is said of it. `at` is row and column of the first detail."""

    body: bytes
    says: str
    status: int = 400
    at: tuple[int | None, str | None] | None = None
    found: str | None = None
    expected: str | None = None
    model: str = "plain"
    headers: dict[str, str] = field(default_factory=dict)


def records(*rows: object, **more: object) -> bytes:
    return json.dumps({"dataframe_records": rows, **more}).encode()


def spelled(cell: str, column: str = "distance") -> bytes:
    """A record whose JSON is written by hand."""
    others = {name: value for name, value in ROW.items() if name != column}
    return b'{"dataframe_records":[{"%b":%b,%b]}' % (
        column.encode(), cell.encode(), json.dumps(others).encode()[1:]
    )  # fmt: skip


def csv(*lines: str) -> dict[str, Any]:
    return {"body": "\n".join(lines).encode(), "headers": {"content-type": "text/csv"}}


def parquet(table: pa.Table | bytes, **options: Any) -> dict[str, Any]:
    if isinstance(table, bytes):
        return {"body": table, "headers": {"content-type": PARQUET}}
    written = io.BytesIO()
    pq.write_table(table, written, **options)
    return {"body": written.getvalue(), "headers": {"content-type": PARQUET}}


def zipped(body: bytes) -> dict[str, Any]:
    return {"body": body, "headers": {"content-encoding": "gzip"}}


def columns(**changed: Any) -> pa.Table:
    rows = {"carrier": [MARKER], "distance": [1.5], "temp": [2.5], "origin": ["AA"], **changed}
    return pa.table({name: values for name, values in rows.items() if values is not None})


NUMBER, TEXT, LONG = "a number or null", "text or null", "a whole number of 64 bits"
GOOD_PARQUET = parquet(columns())["body"]
CASES = {
    "empty body": Case(b"", "The body is empty, expected JSON with one of 'dataframe_split'"),
    "blank body": Case(b" \n", "The body is empty"),
    "truncated": Case(records(ROW)[:-5], "The body is not JSON"),
    "rubbish": Case(f"this is {MARKER},,, no JSON".encode(), "The body is not JSON"),
    "invalid UTF-8": Case(
        records(ROW).replace(b"AA", b"\xff\xfe"), "The body is not JSON: str is not valid UTF-8"
    ),
    "UTF-16": Case(records(ROW).decode().encode("utf-16"), "The body is not JSON"),
    "byte order mark": Case(b"\xef\xbb\xbf" + records(ROW), "byte order mark"),
    "depth of 101": Case(spelled("[" * 101 + "]" * 101), "found a list", at=(0, "distance"), expected=NUMBER),
    "depth of 2,000": Case(spelled("[" * 2000 + "]" * 2000), "The body is not JSON: depth limit exceeded"),
    "depth of 100,000, unclosed": Case(b"[" * 100_000, "The body is not JSON"),
    "depth below keys": Case(
        b'{"dataframe_split":{"columns":[],"data":[[]],"index":['
        + b'{"a":' * 990
        + b"1"
        + b"}" * 990
        + b"]}}",
        "column 'carrier': found no such column",
    ),
    "5,000 digits": Case(spelled("9" * 5000), "The body is not JSON: number is infinity"),
    "NaN": Case(spelled("NaN"), "JSON has no NaN and no Infinity: send null"),
    "Infinity": Case(spelled("-Infinity"), "The body is not JSON"),
    "1e999": Case(spelled("1e999"), "The body is not JSON: number is infinity"),
    "no object": Case(b"[1]", "The body is a list, expected an object"),
    "a number": Case(b"1", "The body is a whole number, expected an object"),
    "a text": Case(b'"1"', "The body is text, expected an object"),
    "key twice at the top": Case(records(ROW)[:-1] + b',"dataframe_records":[]}', "no rows"),
    "key twice": Case(
        spelled("1.5").replace(b'"temp"', b'"distance":2,"temp"'), "A key comes twice in one object"
    ),
    "key twice, escaped": Case(
        spelled("1.5").replace(b'"temp"', b'"dist\\u0061nce":2,"temp"'), "A key comes twice in one object"
    ),
    "key twice, and a colon in a text": Case(
        spelled('"a:b"', "origin").replace(b'"temp"', b'"distance":2,"temp"'), "A key comes twice"
    ),
    "key twice in split": Case(
        b'{"dataframe_split":{"columns":["x"],"columns":[],"data":[]}}', "no such column"
    ),
    "two formats": Case(
        records(ROW, instances=[ROW]), "has 'dataframe_records', 'instances' at once, expected exactly one"
    ),
    "no format": Case(json.dumps({MARKER: [ROW]}).encode(), "The body has none of them"),
    "unknown key": Case(
        records(ROW, **{MARKER: 1}), "The body has 1 unknown keys beside 'dataframe_records'"
    ),
    "params is a number": Case(records(ROW, params=5), "'params' is not an object"),
    "unknown param": Case(records(ROW, params={MARKER: 1}), "'params' has 1 that the model does not know"),
    "explain is text": Case(records(ROW, params={"explain": MARKER}), "neither true nor false"),
    "records is an object": Case(
        b'{"dataframe_records":{"carrier":["AA"]}}', "is an object, expected a list of objects"
    ),
    "records hold text": Case(records(MARKER), "has in row 0 text, expected an object", at=(0, None)),
    "split is a list": Case(
        b'{"dataframe_split":[]}', "is not an object with 'columns', 'data' and at most 'index'"
    ),
    "split without columns": Case(b'{"dataframe_split":{"data":[[1]]}}', "needs 'columns'"),
    "split with another key": Case(b'{"dataframe_split":{"columns":[],"data":[],"x":1}}', "at most 'index'"),
    "split names a column twice": Case(
        json.dumps({"dataframe_split": {"columns": [*ROW, "temp"], "data": []}}).encode(),
        "names 1 columns more than once",
    ),
    "split with a short row": Case(
        json.dumps(
            {"dataframe_split": {"columns": list(ROW), "data": [["AA", 1, 2, "AA"], ["AA"]]}}
        ).encode(),
        "row 1: found 1 cells, expected a list of 4 cells",
        at=(1, None),
        found="1 cells",
    ),
    "split with another index": Case(
        json.dumps(
            {"dataframe_split": {"columns": list(ROW), "data": [["AA", 1, 2, "AA"]], "index": [1, 2]}}
        ).encode(),
        "an 'index' that is not a list with an entry for each row",
    ),
    "missing column": Case(
        records({n: v for n, v in ROW.items() if n != "temp"}),
        "row 0, column 'temp': found no such column",
        at=(0, "temp"),
        found="no such column",
        expected=NUMBER,
    ),
    "column missing in one record": Case(
        records(ROW, {"carrier": "AA"}), "row 1, column 'distance': found no such column", at=(1, "distance")
    ),
    "unknown column": Case(
        records({**ROW, "dist": 1}),
        "row 0, column 'dist': found a column that the model does not have",
        at=(0, "dist"),
        expected="only carrier, distance, origin, temp",
    ),
    "columns of two lengths": Case(
        json.dumps({"inputs": {**{n: [1] for n in ROW}, "temp": [1, 2]}}).encode(),
        "has columns of 1, 2 values",
    ),
    "nested list": Case(
        records({**ROW, "distance": [1]}), "found a list", at=(0, "distance"), found="a list"
    ),
    "nested object": Case(
        records({**ROW, "carrier": {"a": MARKER}}), "found an object", at=(0, "carrier"), expected=TEXT
    ),
    "text for a number": Case(
        records(ROW, {**ROW, "distance": MARKER}), "row 1, column 'distance': found text", at=(1, "distance")
    ),
    "number in a text": Case(
        records({**ROW, "distance": "1.5"}), "found text", at=(0, "distance"), expected=NUMBER
    ),
    "true for a number": Case(records({**ROW, "distance": True}), "found true or false", at=(0, "distance")),
    "number for a text": Case(
        records({**ROW, "carrier": 7}), "found a whole number", at=(0, "carrier"), expected=TEXT
    ),
    "null in an integer": Case(
        records({**TYPED, "count": None}), "found null", at=(0, "count"), expected=LONG, model="typed"
    ),
    "3.5 for a long": Case(
        records(TYPED, {**TYPED, "count": 3.5}),
        "row 1, column 'count': found a number with decimals",
        at=(1, "count"),
        expected=LONG,
        model="typed",
    ),
    "2^63 for a long": Case(
        records({**TYPED, "count": 2**63}), "found a whole number", at=(0, "count"), model="typed"
    ),
    "2^31 for an integer": Case(
        records({**TYPED, "small": 2**31}), "found a whole number", at=(0, "small"), model="typed"
    ),
    "1 for a boolean": Case(
        records({**TYPED, "flag": 1}),
        "found a whole number, expected true or false",
        at=(0, "flag"),
        model="typed",
    ),
    "lone surrogate": Case(spelled('"\\ud800"', "origin"), "The body is not JSON: no low surrogate"),
    "lone surrogate in a key": Case(spelled("1", "\\udfff"), "The body is not JSON"),
    "no rows": Case(records(), "The request has no rows; expected at least one"),
    "too many rows": Case(
        records(*[{}] * 5001), "has 5,001 rows, expected at most 5,000", status=413, found="5,001 rows"
    ),
    "a thousand faults": Case(records(*[{}] * 1000), "and 3,990 more", at=(0, "carrier")),
    "CSV: empty": Case(
        **csv(""), says="The body is empty, expected a line of names first: carrier,distance,temp,origin"
    ),
    "CSV: header only": Case(**csv("carrier,distance,temp,origin"), says="The request has no rows"),
    "CSV: no header": Case(**csv(f"{MARKER},1,2,AA"), says="The first line names no column of the model"),
    "CSV: long header": Case(**csv("carrier," + "x," * 32_000), says="more than once"),
    "CSV: duplicate column": Case(
        **csv("carrier,distance,temp,origin,temp", "AA,1,2,AA,2"), says="names 1 columns more than once"
    ),
    "CSV: unknown column": Case(
        **csv("carrier,distance,temp,origin,x", "AA,1,2,AA,2"), says="column 'x'", at=(None, "x")
    ),
    "CSV: missing column": Case(
        **csv("carrier,distance,temp", "AA,1,2"), says="column 'origin'", at=(None, "origin")
    ),
    "CSV: extra field": Case(
        **csv("carrier,distance,temp,origin", "AA,1,2,AA", f"AA,1,2,AA,{MARKER}"),
        says="row 1: found 5 cells, expected 4",
    ),
    "CSV: short row": Case(
        **csv("carrier,distance,temp,origin", "AA,1"), says="row 0: found 2 cells", at=(0, None)
    ),
    "CSV: text for a number": Case(
        **csv("carrier,distance,temp,origin", "AA,1,2,AA", f"AA,{MARKER},2,AA"),
        says="row 1, column 'distance': found text",
        at=(1, "distance"),
        expected=NUMBER,
    ),
    "CSV: thousands": Case(
        **csv("carrier,distance,temp,origin", '"AA","1,000",2,AA'), says="found text", at=(0, "distance")
    ),
    "CSV: infinity": Case(
        **csv("carrier,distance,temp,origin", "AA,inf,2,AA"), says="found text", at=(0, "distance")
    ),
    "CSV: 1e999": Case(
        **csv("carrier,distance,temp,origin", "AA,1e999,2,AA"),
        says="a number beyond 64 bits",
        at=(0, "distance"),
    ),
    "CSV: NUL": Case(**csv("carrier,distance,temp,origin", "A\0A,1,2,AA"), says="holds a NUL character"),
    "CSV: unclosed quote": Case(
        **csv("carrier,distance,temp,origin", '"AA,1,2,AA'), says="The body is not CSV"
    ),
    "CSV: huge field": Case(
        **csv("carrier,distance,temp,origin", "A" * 200_000 + ",1,2,AA"), says="The body is not CSV"
    ),
    "CSV: UTF-16": Case(
        "carrier,distance,temp,origin\nAA,1,2,AA".encode("utf-16"),
        "The body is not UTF-8",
        headers={"content-type": "text/csv"},
    ),
    "CSV: Latin-1": Case(
        "carrier,distance,temp,origin\né,1,2,AA".encode("latin-1"),
        "byte 29 is not",
        headers={"content-type": "text/csv"},
    ),
    "CSV: null in an integer": Case(
        **csv("flag,count,small,ratio", "true,,1,0.5"), says="found null", at=(0, "count"), model="typed"
    ),
    "Parquet: empty": Case(**parquet(b""), says="The body is not Parquet"),
    "Parquet: rubbish": Case(
        **parquet(MARKER.encode() * 100), says="The body is not Parquet: its footer cannot be read"
    ),
    "Parquet: truncated": Case(**parquet(GOOD_PARQUET[:-9]), says="The body is not Parquet"),
    "Parquet: corrupt page": Case(
        **parquet(GOOD_PARQUET[:4] + b"\xff" * 60 + GOOD_PARQUET[64:]), says="pages cannot be read"
    ),
    "Parquet: no rows": Case(**parquet(columns().slice(0, 0)), says="The request has no rows"),
    "Parquet: missing column": Case(
        **parquet(columns(temp=None)), says="column 'temp': found no such column", at=(None, "temp")
    ),
    "Parquet: unknown column": Case(**parquet(columns(x=[1])), says="column 'x'", at=(None, "x")),
    "Parquet: text for a number": Case(
        **parquet(columns(distance=[MARKER])),
        says="column 'distance': found values of type string",
        at=(None, "distance"),
        expected=NUMBER,
    ),
    "Parquet: number for a text": Case(
        **parquet(columns(carrier=[7])), says="values of type int64", at=(None, "carrier"), expected=TEXT
    ),
    "Parquet: nested": Case(
        **parquet(columns(distance=[[1.5]])), says="values of type list", at=(None, "distance")
    ),
    "Parquet: decimal": Case(
        **parquet(columns(distance=pa.array([1], pa.decimal128(5, 2)))),
        says="values of type decimal128",
        at=(None, "distance"),
    ),
    "Parquet: time": Case(
        **parquet(columns(distance=pa.array([1], pa.timestamp("ns", "Asia/Tokyo")))),
        says="values of type timestamp",
    ),
    "Parquet: names of a struct": Case(
        **parquet(columns(distance=[{MARKER: 1}])), says="values of type struct,"
    ),
    "Parquet: float for a long": Case(
        **parquet(pa.table({n: [v] for n, v in {**TYPED, "count": 3.5}.items()})),
        says="values of type double",
        at=(None, "count"),
        expected=LONG,
        model="typed",
    ),
    "gzip: none": Case(**zipped(records(ROW)), says="The body is not gzip"),
    "gzip: truncated": Case(**zipped(gzip.compress(records(ROW))[:-4]), says="not one whole gzip stream"),
    "gzip: twice": Case(**zipped(gzip.compress(records(ROW)) * 2), says="not one whole gzip stream"),
    "gzip: bomb": Case(
        **zipped(gzip.compress(b" " * 40_000_000)),
        says="larger than 2,000,000 bytes when it is unzipped",
        status=413,
    ),
    "deflate": Case(
        zlib.compress(records(ROW)),
        "The Content-Encoding is not gzip",
        415,
        headers={"content-encoding": "deflate"},
    ),
    "no Content-Type": Case(
        records(ROW),
        "The request has no Content-Type, expected one of application/json",
        415,
        headers={"content-type": ""},
    ),
    "another Content-Type": Case(
        records(ROW), "none that is read here", 415, headers={"content-type": "application/xml"}
    ),
    "another charset": Case(
        records(ROW),
        "other than charset=utf-8",
        415,
        headers={"content-type": "application/json; charset=latin-1"},
    ),
    "another parameter": Case(
        records(ROW), "other than charset=utf-8", 415, headers={"content-type": "text/csv; header=absent"}
    ),
    "a list of Content-Types": Case(
        records(ROW), "none that is read here", 415, headers={"content-type": "text/csv, application/json"}
    ),
    "too large": Case(b" " * 2_000_001, "The body is larger than 2,000,000 bytes", 413),
}
