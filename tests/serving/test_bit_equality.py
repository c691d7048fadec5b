"""Whatever `mlflow models serve` answers and we answer, is answered with the same bits: in all formats."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from both_doors import Doors
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from served_house import CARRIERS, EXHAUSTIVE

pytest_plugins = ["served_fixtures"]

EXAMPLES = 2000 if EXHAUSTIVE else 25
PARQUET = "application/vnd.apache.parquet"
property_of = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.integers(-1000, 1000),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, -0.0, 1e300, -1e300, 5e-324, 1e-45, 3.4028235677973366e38, 2**24 + 1, 2**53 + 1]),
    st.sampled_from([0.1, 1e16, 2**62 + 1, 2**64, 10**30, 1.0000000596046448, 123456789.123456789]),
)
# A null in a text is "None" to MLflow where it comes by `instances`: a category of that name would be hit.
TEXTS = st.one_of(
    st.sampled_from(CARRIERS), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
).filter(lambda text: text not in {"None", "nan"})
JSON_SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", " :\r\n ")])


@pytest.fixture(scope="module")
def plain(plain_folder: Path) -> Doors:
    return Doors.open(plain_folder)


@pytest.fixture(scope="module")
def typed(typed_folder: Path) -> Doors:
    return Doors.open(typed_folder)


@pytest.fixture(scope="module")
def classes(classes_folder: Path) -> Doors:
    return Doors.open(classes_folder)


def plain_rows(most: int = 6) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries(
        {
            "carrier": st.none() | TEXTS,
            "distance": st.none() | NUMBERS,
            "temp": st.none() | NUMBERS,
            "origin": st.none() | TEXTS,
        }
    )
    return st.lists(row, min_size=1, max_size=most)


def typed_rows() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of the other types; integers in a float column stay below 2^53, where MLflow's formats differ."""
    whole = st.integers(-(2**63), 2**63 - 1)
    # Beside 3.0, pandas makes 2^63 of 2^63 - 1, which as an integer is -2^63; ours stays what it was.
    spelled_as_floats = st.integers(-(2**62), 2**62) | st.sampled_from([3.0, -0.0, 2**53 + 1])
    columns = {
        "flag": st.booleans(),
        "small": st.integers(-(2**31), 2**31 - 1),
        "ratio": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "maybe": st.none() | NUMBERS,
        "carrier": st.none() | TEXTS,
    }
    return st.sampled_from([whole, spelled_as_floats]).flatmap(
        lambda counts: st.lists(st.fixed_dictionaries({**columns, "count": counts}), min_size=1, max_size=5)
    )


def spell(rows: list[dict[str, Any]], form: str, order: Sequence[str]) -> dict[str, Any]:
    """Write rows in one of MLflow's four formats, or a variant of it."""
    if form == "dataframe_split":
        return {form: {"columns": list(order), "data": [[row[n] for n in order] for row in rows]}}
    if form == "dataframe_split with index":
        split = spell(rows, "dataframe_split", order)
        split["dataframe_split"]["index"] = list(range(7, 7 + len(rows)))
        return split
    key, _, by = form.partition(" by ")
    if by == "column":
        return {key: {n: [row[n] for row in rows] for n in order}}
    if by == "value":
        return {key: {n: rows[0][n] for n in order}}
    return {key: [{n: row[n] for n in order} for row in rows]}


FORMS = (
    "dataframe_records", "dataframe_split", "dataframe_split with index", "instances", "inputs",
    "instances by column", "inputs by column", "inputs by value",
)  # fmt: skip


@property_of
@given(data=st.data(), rows=plain_rows(), form=st.sampled_from(FORMS), escapes=st.sampled_from([True, False]))
def test_json(
    plain: Doors, data: st.DataObject, rows: list[dict[str, Any]], form: str, escapes: object
) -> None:
    order = data.draw(st.permutations(list(rows[0])))
    text = json.dumps(
        spell(rows, form, order), ensure_ascii=bool(escapes), separators=data.draw(JSON_SEPARATORS)
    )
    if escapes:
        # A colon may be written so, which is none to those who count them.
        text = text.replace("a:b", "a\\u003ab")
    event(f"{form}: {'both answer' if plain.compare(text.encode()) else 'one refuses'}")


@property_of
@given(data=st.data(), rows=typed_rows(), form=st.sampled_from(FORMS))
def test_json_of_the_other_types(
    typed: Doors, data: st.DataObject, rows: list[dict[str, Any]], form: str
) -> None:
    order = data.draw(st.permutations(list(rows[0])))
    event(
        f"{form}: {'both answer' if typed.compare(json.dumps(spell(rows, form, order)).encode()) else 'no'}"
    )


@property_of
@given(
    rows=plain_rows(),
    order=st.permutations(["carrier", "distance", "temp", "origin"]),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_csv(plain: Doors, rows: list[dict[str, Any]], order: list[str], ends: str) -> None:
    # pandas ends a row at a bare CR in a quoted cell only where it is its line end; NUL ends a text for it.
    written = io.StringIO()
    writer = csv.writer(written, lineterminator=ends)
    writer.writerow(order)
    for row in rows:
        writer.writerow(["" if row[n] is None else row[n] for n in order])
    event("both answer" if plain.compare(written.getvalue().encode(), "text/csv") else "one refuses")


@property_of
@given(rows=typed_rows(), order=st.permutations(["flag", "count", "small", "ratio", "maybe", "carrier"]))
def test_csv_of_the_other_types(typed: Doors, rows: list[dict[str, Any]], order: list[str]) -> None:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(order)
    for row in rows:
        writer.writerow(["" if row[n] is None else row[n] for n in order])
    event("both answer" if typed.compare(written.getvalue().encode(), "text/csv") else "one refuses")


@property_of
@given(
    rows=plain_rows(),
    kind=st.sampled_from([pa.float64(), pa.float32(), pa.int64(), pa.int8(), pa.uint64(), pa.float16()]),
    text=st.sampled_from([pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]),
    layout=st.sampled_from(["plain", "dictionary", "pandas"]),
)
def test_parquet(
    plain: Doors,
    rows: list[dict[str, Any]],
    kind: pa.DataType,
    text: pa.DataType,
    layout: str,
) -> None:
    columns: dict[str, Any] = {}
    for name in rows[0]:
        cells = [row[name] for row in rows]
        if name in {"carrier", "origin"}:
            columns[name] = pa.array(cells, text)
        else:
            numbers = pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
            whole = numbers if pa.types.is_floating(kind) else pa.array([c and int(c) % 100 for c in cells])
            columns[name] = whole.cast(kind, safe=False)
    table = pa.table(columns)
    if layout == "pandas":
        frame = table.to_pandas()
        frame.index = pd.Index(range(5, 5 + len(frame)), name="row")
        table = pa.Table.from_pandas(frame)
    written = io.BytesIO()
    pq.write_table(table, written, use_dictionary=layout != "plain", compression="zstd")
    event(f"{kind}, {text}: {'both answer' if plain.compare(written.getvalue(), PARQUET) else 'one refuses'}")


@property_of
@given(rows=plain_rows(3))
def test_several_classes(classes: Doors, rows: list[dict[str, Any]]) -> None:
    assert classes.compare(json.dumps({"dataframe_records": rows}).encode()) or any(
        _only_mlflow_refuses(row) for row in rows
    )


def _only_mlflow_refuses(row: dict[str, Any]) -> bool:
    """Whole numbers beyond 64 bits, of which pandas makes objects."""
    return any(isinstance(cell, int) and abs(cell) >= 2**63 for cell in row.values())


def test_everything_usual_is_answered_by_both(plain: Doors, typed: Doors, classes: Doors) -> None:
    """So that the properties above do not hold because one of the two refuses everything."""
    rows: list[dict[str, Any]] = [
        {"carrier": "AA", "distance": 1.5, "temp": -2.0, "origin": "é"},
        {"carrier": "a:b", "distance": 1e300, "temp": None, "origin": "nobody"},
    ]
    others: list[dict[str, Any]] = [
        {"flag": True, "count": 2**53 + 1, "small": -7, "ratio": 0.1, "maybe": None, "carrier": "AA"},
        {"flag": False, "count": -1, "small": 7, "ratio": 1e-45, "maybe": 2.5, "carrier": "B6"},
    ]
    asked: list[tuple[Doors, list[dict[str, Any]]]] = [(plain, rows), (typed, others), (classes, rows)]
    for form in FORMS:
        for doors, given_rows in asked:
            body = json.dumps(spell(given_rows, form, list(given_rows[0]))).encode()
            assert doors.compare(body) or "by value" in form, (form, given_rows)
    frame = pd.DataFrame(rows)
    assert plain.compare(frame.to_csv(index=False).encode(), "text/csv")
    assert plain.compare(frame.to_parquet(), PARQUET)
    frame = pd.DataFrame(others).astype({"small": np.int32, "ratio": np.float32})
    assert typed.compare(frame.to_csv(index=False).encode(), "text/csv")
    assert typed.compare(frame.to_parquet(), PARQUET)


def test_optional_columns_may_come_in_some_records_only(typed: Doors) -> None:
    rows = [
        {"flag": True, "count": 1, "small": 1, "ratio": 0.5, "carrier": "AA"},
        {"flag": True, "count": 1, "small": 1, "ratio": 0.5, "carrier": "AA", "maybe": 3.5},
    ]
    assert typed.compare(json.dumps({"dataframe_records": rows}).encode())
    found = typed.ask_ours(json.dumps({"dataframe_records": rows}).encode(), "application/json")
    assert found is not None
    assert found[0][:, 4].tolist()[1] == 3.5
