"""Bad input: what of it is scored, what is set aside and why, what refuses the file. Nothing is silent."""

from __future__ import annotations

import codecs
import datetime as dt
import decimal
import gzip
import io
import json
import sys
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import run_command
from house import House, Scored, csv, parquet
from tiny_model import between, rules_of, scorer

from batch_jobs.errors import UnfitDataError
from batch_jobs.limits import Band, Limits
from storage import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batch_jobs.scoring import Rules
    from storage import S3Settings, Store

GOOD = ("AA", "500", "50")
HEADER = b"id,carrier,distance,temp\n"
FIRST = b"a,AA,500,50\n"


@pytest.fixture(scope="module")
def house(s3: S3Settings, store: Store, tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(store, s3, scorer(), tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    there = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "temp"}}
    of_input = [between("temp", -50, 120), {**there, "severity": "critical"}]
    return rules_of(tmp_path_factory.mktemp("suites"), of_input, [between("prediction", 0, 1)])


def columns(**changed: Any) -> dict[str, Any]:
    """Return two good rows, `a` and `b`, with other values in some columns."""
    rows = {"id": ["a", "b"], "carrier": ["AA", "UA"], "distance": [500.0, 400.0], "temp": [50.0, 60.0]}
    return {**rows, **changed}


def scored_ids(found: Scored) -> list[str]:
    return [row["id"] for row in found.only("scored")]


def reasons(found: Scored) -> dict[int, list[str]]:
    return {row["input_position"]: row["reasons"] for row in found.only("quarantined")}


@pytest.mark.parametrize(
    ("lines", "scored", "set_aside"),
    [
        pytest.param(
            b"b,AA,far,50\n", ["a"], {1: ["distance is 'far', expected a number"]}, id="text for a number"
        ),
        pytest.param(b"b,AA,500,\n", ["a"], {1: ["temp is null"]}, id="null where the suite wants none"),
        pytest.param(b"b,AA,,50\n", ["a", "b"], {}, id="null where a value may be missing"),
        pytest.param(
            b"b,AA,NaN,50\nc,AA,,50\n", ["a", "c"], {1: ["distance is 'NaN', expected a number"]}, id="NaN"
        ),
        pytest.param(
            b"b,AA,inf,50\nc,AA,-Infinity,50\n",
            ["a"],
            {
                1: ["distance is 'inf', expected a number"],
                2: ["distance is '-Infinity', expected a number"],
            },
            id="infinity",
        ),
        pytest.param(
            b'b,AA,"1,000",50\nc,AA,1,000,50\nd,AA,1 000,50\n',
            ["a"],
            {
                1: ["distance is '1,000', expected a number"],
                2: ["has 5 columns, expected 4"],
                3: ["distance is '1 000', expected a number"],
            },
            id="thousands separators",
        ),
        pytest.param(
            b'b,AA,"3,5",50\nc,AA,3,5,50\n',
            ["a"],
            {1: ["distance is '3,5', expected a number"], 2: ["has 5 columns, expected 4"]},
            id="decimal commas",
        ),
        pytest.param(
            b"b,caf\xe9,500,50\n\xff,AA,500,50\n",
            ["a"],
            {1: [r"carrier is not UTF-8: 'caf\xe9'"], 2: [r"id is not UTF-8: '\xff'"]},
            id="Latin-1",
        ),
        pytest.param(
            b"b,AA,5\x000,50\nc\0,AA,500,50\n",
            ["a", "c\0"],
            {1: ["distance is '5\\x000', expected a number"]},
            id="NUL",
        ),
        pytest.param(
            b"b,AA\nc,AA,500,50,1\n",
            ["a"],
            {1: ["has 2 columns, expected 4"], 2: ["has 5 columns, expected 4"]},
            id="ragged rows",
        ),
        pytest.param(
            b"0,b,AA,500,50\n1,c,AA,500,50\n",
            ["a"],
            {1: ["has 5 columns, expected 4"], 2: ["has 5 columns, expected 4"]},
            id="one leading field too many",
        ),
        pytest.param(
            b"b,AA,500,50\r\nc,AA,500,50\rd,AA,x,50\n",
            ["a", "b", "c"],
            {3: ["distance is 'x', expected a number"]},
            id="CR and CRLF",
        ),
        pytest.param(
            b"b,AA,=cmd|' /C calc'!A0,50\n",
            ["a"],
            {1: ["distance is \"=cmd|' /C calc'!A0\", expected a number"]},
            id="a formula",
        ),
        pytest.param(b"007,AA,500,50\n", ["a", "007"], {}, id="leading zeros"),
        pytest.param(b"b,ZZ,500,50\n", ["a", "b"], {}, id="a category that was not seen"),
        pytest.param(
            b"a,AA,500,50\n",
            [],
            {n: ["id 'a' appears 2 times, expected once"] for n in (0, 1)},
            id="a key twice",
        ),
        pytest.param(b",AA,500,50\n", ["a"], {1: ["id is null"]}, id="no key"),
    ],
)
def test_a_fault_of_a_row_sets_that_row_aside(
    house: House, rules: Rules, lines: bytes, scored: list[str], set_aside: Mapping[int, list[str]]
) -> None:
    found = house.score({"f.csv": HEADER + FIRST + lines}, rules)
    assert scored_ids(found) == scored
    assert reasons(found) == set_aside
    assert all(json.loads(row["row"]) for row in found.only("quarantined"))


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        pytest.param("f.csv", b"", "no header line found", id="zero bytes"),
        pytest.param("f.parquet", b"", "is not a whole PARQUET file: ", id="zero bytes of Parquet"),
        pytest.param(
            "f.csv",
            b"id,carrier,temp\na,AA,50\n",
            "has no column 'distance'; expected id, carrier, distance, temp; found 'id', 'carrier', 'temp'",
            id="a missing column",
        ),
        pytest.param(
            "f.csv",
            b"id,carrier,distance,temp,temp\na,AA,500,50,60\n",
            "has the column 'temp' more than once",
            id="a column twice",
        ),
        pytest.param(
            "f.csv",
            (HEADER + FIRST).replace(b",", b";"),
            "has no column 'id'; expected id, carrier, distance, temp; found 'id;carrier;distance;temp'",
            id="another delimiter",
        ),
        pytest.param("f.csv", (HEADER + FIRST).decode().encode("utf-16"), "as UTF-16 does", id="UTF-16"),
        pytest.param("f.csv", b"id,caf\xe9\na,AA\n", r"the header is not UTF-8: id,caf\xe9", id="a header"),
        pytest.param("f.csv", HEADER.replace(b"p", b"\0") + FIRST, "the header holds a NUL byte", id="NUL"),
        pytest.param(
            "f.csv", HEADER + b'a,AA,500,"50\n' + FIRST, "a quote is opened and never closed", id="a quote"
        ),
        pytest.param(
            "f.csv",
            HEADER + b'a,"AA,500,50\nb,"UA",400,60\n',
            "a quoted value that ends at line 3 has no sound end",
            id="a quote that swallows a row",
        ),
        pytest.param(
            "f.csv",
            HEADER + FIRST + b"b,AA,500," + b"5" * 20 * 2**20 + b"\n",
            "a row is larger than 4 MiB",
            id="a huge field",
        ),
        pytest.param("f.csv", gzip.compress(HEADER + FIRST), "it is compressed by gzip", id="gzip"),
        pytest.param("f.csv.gz", gzip.compress(HEADER), "its name ends in 'gz'; expected", id="gzip by name"),
        pytest.param("f.parquet", parquet(columns())[:-9], "is not a whole PARQUET file: ", id="no footer"),
        pytest.param(
            "f.parquet", parquet(columns())[:-4] + b"PAR2", "is not a whole PARQUET file: ", id="bad magic"
        ),
        pytest.param(
            "f.parquet",
            parquet(columns())[:4] + b"\xff" * 60 + parquet(columns())[64:],
            "is not a whole PARQUET file: ",
            id="a corrupt page",
        ),
        pytest.param(
            "f.parquet",
            parquet(columns(distance=[[500.0], [400.0]])),
            "holds list<element: double> in the column 'distance', expected number",
            id="nested",
        ),
        pytest.param(
            "f.parquet",
            parquet(columns(id=pa.array([dt.datetime(2013, 7, 1, tzinfo=dt.UTC)] * 2))),
            "holds timestamp[us, tz=UTC] in the column 'id', expected text",
            id="a time for a key",
        ),
        pytest.param(
            "f.parquet",
            parquet(columns(id=pa.array([uuid.uuid4().bytes] * 2, pa.uuid()))),
            "holds extension<arrow.uuid> in the column 'id', expected text",
            id="an extension type",
        ),
        pytest.param(
            "f.parquet",
            parquet(columns(id=[1.0, 3.5])),
            "holds double in the column 'id', expected text",
            id="3.5 for a whole number",
        ),
        pytest.param(
            "f.parquet",
            parquet(columns(distance=[True, False])),
            "holds bool in the column 'distance', expected number",
            id="truth for a number",
        ),
    ],
)
def test_a_fault_of_a_file_refuses_it_by_name(
    house: House, rules: Rules, name: str, body: bytes, says: str
) -> None:
    with pytest.raises((UnfitDataError, UnreadableFileError)) as refused:
        house.score({name: body}, rules)
    assert f"/in/{name} " in str(refused.value)
    assert says in str(refused.value)
    assert str(refused.value).endswith("Deliver it again") or "; expected " in str(refused.value)


def test_a_header_alone_is_no_day(house: House, rules: Rules) -> None:
    """Expectations hold of no rows whatever they say, so rows are counted."""
    found = house.score(
        {"f.csv": HEADER, "f.parquet": parquet(columns(id=[], carrier=[], distance=[], temp=[]))}, rules
    )
    with pytest.raises(UnfitDataError, match="The input holds 0 rows, expected at least 1"):
        Limits(Band((0, 1), (0, 1))).judge(found.result, ())


def test_extra_and_reordered_columns_change_nothing(house: House, rules: Rules) -> None:
    plain = house.score({"f.csv": HEADER + FIRST}, rules).rows[0]
    other = house.score({"f.csv": b"temp,more,distance,carrier,id\n50,x,500,AA,a\n"}, rules).rows[0]
    assert (plain["id"], plain["prediction"]) == (other["id"], other["prediction"])


def test_a_byte_order_mark_is_no_part_of_a_name(house: House, rules: Rules) -> None:
    assert scored_ids(house.score({"f.csv": codecs.BOM_UTF8 + HEADER + FIRST}, rules)) == ["a"]


def test_what_is_no_utf_8_is_kept_with_every_byte(house: House, rules: Rules) -> None:
    lines = b"b,caf\xe9\\,500,50\nc,\xe9,500,50,6\n\xff,AA,500,50\n"
    first, second, third = house.score({"f.csv": HEADER + lines}, rules).only("quarantined")
    assert json.loads(first["row"]) == {"id": "b", "carrier": r"caf\xe9\\", "distance": "500", "temp": "50"}
    assert (first["id"], json.loads(second["row"]), third["id"]) == ("b", r"c,\xe9,500,50,6", None)


def predictions(house: House, distance: Sequence[float]) -> list[float]:
    count = len(distance)
    raw = {"carrier": ["AA"] * count, "distance": pa.array(distance, pa.float64()), "temp": [50.0] * count}
    return [float(p) for p in house.scorer.predict(pa.table(raw))]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3.5", 3.5),
        ("9223372036854775808", 2.0**63),
        # Beyond float32, and on the same side of every split of a tree as the largest of those.
        ("1e300", float(np.finfo(np.float32).max)),
        ("-1e999", float(np.finfo(np.float32).min)),
    ],
)
def test_numbers_are_scored_as_what_they_are(house: House, rules: Rules, text: str, number: float) -> None:
    found = house.score({"f.csv": csv([("a", "AA", text, "50")])}, rules)
    assert [row["prediction"] for row in found.only("scored")] == predictions(house, [number])


def test_numbers_out_of_range_are_the_suite_s_to_refuse(house: House, rules: Rules) -> None:
    found = house.score({"f.parquet": parquet(columns(temp=[np.inf, 1e300]))}, rules)
    assert scored_ids(found) == []
    assert reasons(found)[0] == ["temp is inf, expected between -50 and 120"]
    assert json.loads(found.rows[0]["row"])["temp"] == "Infinity"


def test_nan_is_null(house: House, rules: Rules) -> None:
    values = columns(temp=pa.array([np.nan, None], pa.float64()))
    found = house.score({"f.parquet": parquet(values)}, rules)
    assert reasons(found) == {0: ["temp is null"], 1: ["temp is null"]}
    # NaN is no JSON, and few readers take it.
    assert [json.loads(row["row"], parse_constant=pytest.fail)["temp"] for row in found.rows] == [None, None]
    scored = house.score({"f.parquet": parquet(columns(distance=[np.nan, 1.0]))}, rules).only("scored")
    assert scored[0]["prediction"] == predictions(house, [np.nan])[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"distance": pa.array([decimal.Decimal("500.00"), decimal.Decimal("400.00")])},
        {"distance": pa.array([500, 400], pa.uint64())},
        {"carrier": pa.array(["AA", "UA"]).dictionary_encode()},
        {"carrier": pa.array(["AA", "UA"], pa.string_view()), "more": pa.array([b"", b""], pa.binary_view())},
        {"id": pa.array(["a", "b"], pa.large_string()).dictionary_encode()},
    ],
    ids=["decimal", "unsigned", "dictionary", "views", "large dictionary"],
)
def test_types_that_say_the_same_score_the_same(house: House, rules: Rules, changed: dict[str, Any]) -> None:
    plain = house.score({"f.parquet": parquet(columns())}, rules).only("scored")
    found = house.score({"f.parquet": parquet(columns(**changed))}, rules).only("scored")
    assert [(r["id"], r["prediction"]) for r in found] == [(r["id"], r["prediction"]) for r in plain]


def test_whole_numbers_of_any_size_are_keys(house: House, rules: Rules) -> None:
    ids = pa.array([2**63, 2**64 - 1], pa.uint64())
    found = house.score({"f.parquet": parquet(columns(id=ids))}, rules)
    assert scored_ids(found) == ["9223372036854775808", "18446744073709551615"]


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        (pa.array([decimal.Decimal("1.10")]), "1.10"),
        (pa.array([1], pa.timestamp("ns", "+05:30")), "1970-01-01 05:30:00.000000001+0530"),
        (pa.array([1], pa.timestamp("us", "Mars/Phobos")), "1970-01-01 00:00:00.000001Z"),
        (pa.array([2**62], pa.timestamp("us")), "<value out of range: 4611686018427387904>"),
        (pa.array([[2**62]], pa.list_(pa.timestamp("us"))), "[ <value out of range: 4611686018427387904> ]"),
        (pa.array([{"a": [np.nan, np.inf]}]), {"a": [None, "Infinity"]}),
        (pa.array([b"\xff"]), r"b'\xff'"),
        (pa.array([uuid.UUID(int=7).bytes], pa.uuid()), str(uuid.UUID(int=7))),
        (pa.array(["x"]).dictionary_encode(), "x"),
    ],
    ids=["decimal", "zone", "no such zone", "far", "far and nested", "nested", "bytes", "uuid", "dictionary"],
)
def test_a_bad_row_is_kept_whole_whatever_its_types(
    house: House, rules: Rules, more: pa.Array, kept: object
) -> None:
    values = {"id": ["a"], "carrier": ["AA"], "distance": [500.0], "temp": [500.0], "more": more}
    (row,) = house.score({"f.parquet": parquet(values)}, rules).only("quarantined")
    assert json.loads(row["row"])["more"] == kept


def test_files_of_a_day_may_differ_in_their_types(house: House, rules: Rules) -> None:
    files = {
        "1.parquet": parquet(columns()),
        "2.parquet": parquet(columns(id=[1, 2], distance=["500", "x"], temp=pa.array([50, 60], pa.int8()))),
        "3.csv": HEADER + b"c,AA,500,50\n",
    }
    found = house.score(files, rules)
    assert sorted(scored_ids(found)) == ["1", "a", "b", "c"]
    assert [(r["input_file"], r["input_position"], r["reasons"]) for r in found.only("quarantined")] == [
        ("2.parquet", 1, ["distance is 'x', expected a number"])
    ]


def test_row_groups_without_rows_are_passed_over(house: House, rules: Rules) -> None:
    table, buffer = pa.table(columns()), io.BytesIO()
    with pq.ParquetWriter(buffer, table.schema) as writer:
        for some in (table.slice(0, 0), table.slice(0, 1), table.slice(0, 0), table.slice(1)):
            writer.write_table(some)
    assert pq.read_metadata(buffer).num_row_groups == 4
    for split_bytes in (1, 2**20):
        found = house.score({"f.parquet": buffer.getvalue()}, rules, split_bytes)
        assert [(r["id"], r["input_position"]) for r in found.rows] == [("a", 0), ("b", 1)]


@pytest.mark.parametrize(
    "column",
    [
        "same",
        "pa.ListArray.from_arrays(np.maximum(np.arange(3001) - 100, 0).astype(np.int32), same)",
        "pa.StructArray.from_arrays([same], ['inner'])",
        "pa.MapArray.from_arrays(np.arange(3001, dtype=np.int32), pa.array(range(3000)), same)",
    ],
    ids=["text", "lists, some empty", "structs", "maps"],
)
def test_a_decompression_bomb_is_read_in_bounded_memory(column: str) -> None:
    """Nine kilobytes that are 3 GB of text, read in a process that may not have as much."""
    code = f"""
import io, resource
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from storage import read_rows
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3000, np.int32)), pa.array(["x" * 1_000_000]))
buffer = io.BytesIO()
pq.write_table(pa.table({{"column": {column}}}), buffer, compression="zstd", store_schema=False)
assert len(buffer.getvalue()) < 40_000
print(sum(len(batch.table) for batch in read_rows(buffer, "f.parquet")))
"""
    ran = run_command([sys.executable, "-c", code], {"PYTHONPATH": "."})
    assert (ran.returncode, ran.stdout.strip()) == (0, "3000"), ran.stderr


def test_keys_of_any_length_are_written_in_time(
    house: House, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch_jobs.parts._PART_KEY_BYTES", 2**20)
    monkeypatch.setattr("storage.csv_rows._BLOCK_BYTES", 2**17)
    lines = [(f"{n}{'k' * 50_000}", *GOOD) for n in range(60)]
    found = house.score({"f.csv": csv(lines)}, rules)
    assert len(found.result.parts) == 3
    assert found.result.scored == 60


def test_what_jobs_leave_beside_their_data_is_no_input(house: House, rules: Rules) -> None:
    left = (
        "_SUCCESS",
        ".f.csv.crc",
        "f.csv.crc",
        ".hidden.csv",
        "_temporary/0/f.csv",
        ".spark/f.csv",
        "sub/",
    )
    found = house.score({"f.csv": HEADER + FIRST, **dict.fromkeys(left, b"x")}, rules)
    assert [(r["input_file"], r["id"]) for r in found.rows] == [("f.csv", "a")]


def test_a_prefix_of_markers_is_empty(store: Store) -> None:
    root = f"s3://greenroom/{uuid.uuid4().hex}"
    store.write(f"{root}/_SUCCESS", b"")
    assert store.snapshot(root).objects == ()


@pytest.mark.parametrize(
    "name", ["with space.csv", "übung.csv", "a..b.csv", "hour=1/_x=2/f.csv", "a+b%20c&d.csv", "日本/f.csv"]
)
def test_keys_are_what_they_are(house: House, rules: Rules, name: str) -> None:
    root = f"s3://greenroom/{uuid.uuid4().hex}"
    found = house.score({name: HEADER + FIRST}, rules)
    assert [(r["input_file"], r["id"]) for r in found.rows] == [(name.rpartition("/")[2], "a")]
    house.store.write(f"{root}/{name}", b"x")
    assert [each.uri for each in house.store.snapshot(root).objects] == [f"{root}/{name}"]
