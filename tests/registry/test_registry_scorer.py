"""The fast scorer encodes as a plain loop would, and answers as the artifact's own loader does."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_versions import CATEGORIES, booster, unregistered

from registry import LOADER, Scorer
from registry.greenroom_pyfunc import Model, _load_pyfunc
from registry.scorer import Column, encode

EXAMPLES = 3000 if os.environ.get("GREENROOM_EXHAUSTIVE") else 60

COLUMNS = (
    Column("carrier", pa.array(CATEGORIES)),
    Column("distance"),
    Column("origin", pa.array(["", "EWR", "ü"])),
    Column("count"),
)
extremes = st.sampled_from([math.inf, -math.inf, math.nan, 1e300, -1e300, 3.4028235e38, 1e-300, -0.0])
floats = st.none() | extremes | st.floats()
integers = st.none() | st.sampled_from([2**63 - 1, -(2**63), 2**53 + 1, 16777217]) | st.integers(-9, 9)
carriers = st.none() | st.sampled_from([*CATEGORIES, "ZZ", "aa", ""])
origins = st.none() | st.sampled_from(["", "EWR", "ü", "u\u0308", "JFK"]) | st.text(max_size=3)
rows = st.lists(st.tuples(carriers, floats, origins, integers), max_size=20)
text_types = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]


def as_number(value: Any, categories: list[str] | None) -> np.float32:
    """Encode one cell, the slow and plain way."""
    if value is None:
        return np.float32(math.nan)
    if categories is not None:
        return np.float32(categories.index(value) if value in categories else math.nan)
    with np.errstate(over="ignore"):
        return np.float32(float(value))


@given(rows=rows, text=st.sampled_from(text_types), parts=st.integers(1, 3), data=st.data())
@settings(max_examples=EXAMPLES)
def test_encoding_is_what_a_plain_loop_does(
    rows: list[tuple[Any, ...]], text: pa.DataType, parts: int, data: st.DataObject
) -> None:
    types = [text, data.draw(st.sampled_from([pa.float64(), pa.float32()])), text, pa.int64()]
    columns = [[row[number] for row in rows] for number in range(4)]
    arrays = [
        pa.array(c, pa.string()).cast(t) if t is text else pa.array(c, t)
        for c, t in zip(columns, types, strict=True)
    ]
    table = pa.table({column.name: array for column, array in zip(COLUMNS, arrays, strict=True)})
    table = table.append_column("unasked", pa.array([None] * len(rows), pa.string()))
    table = table.select(data.draw(st.permutations(table.column_names)))
    cut = len(rows) // parts
    table = pa.concat_tables([table.slice(0, cut), table.slice(cut)])

    found = encode(table, COLUMNS)
    assert found.shape == (len(rows), 4)
    assert found.dtype == np.float32
    expected = [
        [
            as_number(cell, column.categories.to_pylist() if column.categories is not None else None)
            for cell, column in zip(row, COLUMNS, strict=True)
        ]
        for row in rows
    ]
    np.testing.assert_array_equal(found, np.array(expected, np.float32).reshape(len(rows), 4))


def test_number_types_are_all_numbers() -> None:
    for values in (
        pa.array([1, None], pa.int8()),
        pa.array([1, None], pa.uint64()),
        pa.array([1.0, None], pa.float32()),
        pa.array([True, None]),
        pa.array([1, None], pa.decimal128(5, 2)),
    ):
        np.testing.assert_array_equal(
            encode(pa.table({"distance": values}), (Column("distance"),)), [[1.0], [math.nan]]
        )
    np.testing.assert_array_equal(
        encode(pa.table({"distance": pa.nulls(2)}), (Column("distance"),)), [[math.nan], [math.nan]]
    )


def test_no_rows_are_an_empty_matrix() -> None:
    none = pa.table({"distance": pa.chunked_array([], pa.float64())})
    assert encode(none, (Column("distance"),)).shape == (0, 1)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scorer, Model]:
    path = tmp_path_factory.mktemp("tiny") / "model.ubj"
    trained = booster()
    trained.save_model(path)
    columns = (Column("carrier", pa.array(CATEGORIES)), Column("distance"))
    model = _load_pyfunc(str(path))
    for each in (trained, model.booster):
        each.set_param({"nthread": 1})  # threads cost more than these few rows
    return Scorer(unregistered(), columns, trained), model


@given(rows=st.lists(st.tuples(carriers, floats), min_size=1, max_size=20))
@settings(max_examples=EXAMPLES)
def test_both_doors_answer_with_the_same_bits(
    loaded: tuple[Scorer, Model], rows: list[tuple[str | None, float | None]]
) -> None:
    scorer, model = loaded
    table = pa.table(
        {
            "carrier": pa.array([row[0] for row in rows], pa.string()),
            "distance": pa.array([row[1] for row in rows], pa.float64()),
        }
    )
    fast = scorer.predict(table)
    frame = pd.DataFrame(
        {
            "carrier": pd.Series([row[0] for row in rows], dtype=object),
            "distance": pd.Series([row[1] for row in rows], dtype="float64"),
        }
    )
    assert fast.dtype == np.float32
    assert fast.tobytes() == model.predict(frame).tobytes()
    assert fast.tobytes() == model.predict(table.to_pandas()).tobytes()
    wanted = np.arange(len(rows)) % 3 != 0
    assert scorer.predict(table, wanted).tobytes() == fast[wanted].tobytes()


def test_the_loader_needs_nothing_of_greenroom() -> None:
    text = Path(LOADER).read_text()
    assert [line for line in text.splitlines() if line.startswith(("import ", "from "))] == [
        "from __future__ import annotations",
        "from typing import Any",
        "import numpy as np",
        "import pandas as pd",
        "import xgboost as xgb",
    ]
