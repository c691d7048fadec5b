"""Parts and their commit: written by many, checked against S3, live all together or not at all."""

import json
import math
import multiprocessing
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from storage import (
    CommitConflictError,
    ObjectNotFoundError,
    Part,
    S3Settings,
    StorageError,
    Store,
    UnreadableFileError,
    commit_parts,
    count_commits,
    write_part,
)

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))
SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("outcome", pa.string()),
        ("writer", pa.string()),
        ("prediction", pa.float32()),
        ("position", pa.int64()),
        ("reasons", pa.list_(pa.string())),
    ]
)
BY = ["date", "outcome"]
FIRST, SECOND = "2013-07-01", "2013-07-02"


@pytest.fixture
def table(s3: S3Settings) -> str:
    assert s3.endpoint
    return f"s3://greenroom/{uuid.uuid4().hex}/table"


def rows(writer: str, count: int) -> pa.Table:
    return pa.table(
        {
            "writer": pa.array([writer] * count).dictionary_encode(),
            "prediction": pa.array([n / 2 for n in range(count)], pa.float32()),
            "position": pa.array(range(count), pa.int64()),
            "reasons": pa.nulls(count),
        }
    )


def part(table: str, day: str, writer: str, store: Store, count: int = 3, outcome: str = "scored") -> Part:
    made = write_part(table, {"date": day, "outcome": outcome}, rows(writer, count), SCHEMA, store)
    assert made is not None
    return made


def commit(table: str, day: str, parts: Sequence[Part], s3: S3Settings, *, after: int | None = None) -> int:
    return commit_parts(table, parts, SCHEMA, ("date", day), BY, s3, after=after)


def live(table: str, s3: S3Settings) -> Counter[tuple[str, str, str]]:
    found = DeltaTable(table, storage_options=s3.delta_options()).to_pyarrow_table()
    return Counter((str(row["date"]), row["outcome"], row["writer"]) for row in found.to_pylist())


def test_parts_of_many_writers_are_one_commit(s3: S3Settings, store: Store, table: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        scored = [*pool.map(lambda n: part(table, FIRST, f"w{n}", store, 5), range(4))]
    bad = part(table, FIRST, "w9", store, 2, "quarantined")
    assert count_commits(table, ("date", FIRST), s3) == 0
    assert commit(table, FIRST, [*scored, bad], s3) == 1
    assert live(table, s3) == {
        **{(FIRST, "scored", f"w{n}"): 5 for n in range(4)},
        (FIRST, "quarantined", "w9"): 2,
    }
    # Nothing is quarantined any more; and another day is not touched.
    assert commit(table, SECOND, [part(table, SECOND, "other", store)], s3) == 2
    assert commit(table, FIRST, [part(table, FIRST, "again", store)], s3) == 3
    assert live(table, s3) == {(FIRST, "scored", "again"): 3, (SECOND, "scored", "other"): 3}
    assert count_commits(table, ("date", FIRST), s3) == 2
    assert commit(table, FIRST, [], s3) == 4
    assert live(table, s3) == {(SECOND, "scored", "other"): 3}


def test_a_part_is_plain_data_and_says_what_is_in_it(s3: S3Settings, store: Store, table: str) -> None:
    made = part(table, FIRST, "w", store, 3)
    assert Part.from_plain(json.loads(json.dumps(made.to_plain()))) == made
    assert made.path.startswith(f"date={FIRST}/outcome=scored/part-")
    assert (made.rows, made.partition) == (3, {"date": FIRST, "outcome": "scored"})
    assert made.stats["minValues"] == {"writer": "w", "prediction": 0.0, "position": 0}
    assert made.stats["maxValues"] == {"writer": "w", "prediction": 1.0, "position": 2}
    assert made.stats["nullCount"] == {"writer": 0, "prediction": 0, "position": 0}
    commit(table, FIRST, [made], s3)
    actions = pa.table(DeltaTable(table, storage_options=s3.delta_options()).get_add_actions(flatten=True))
    assert actions["num_records"].to_pylist() == [3]
    assert actions["max.position"].to_pylist() == [2]
    with pytest.raises(StorageError, match=r"is not the record of a part"):
        Part.from_plain({"path": "x"})


@pytest.mark.parametrize(
    ("column", "values", "bounds"),
    [
        ("prediction", [1.0, math.nan], None),
        ("prediction", [1.0, math.inf], None),
        ("prediction", [None, 2.0], (2.0, 2.0)),
        ("prediction", [None, None], None),
        ("writer", ["a", "b"], ("a", "b")),
        ("writer", ["x" * 65, "y"], None),
        ("writer", ["a\U0001f600", "é"], ("a\U0001f600", "é")),
    ],
)
def test_bounds_hold_for_every_row_or_are_not_given(
    store: Store, table: str, column: str, values: list[Any], bounds: tuple[Any, Any] | None
) -> None:
    content = rows("w", 2).set_column(
        rows("w", 2).column_names.index(column), column, pa.array(values, SCHEMA.field(column).type)
    )
    made = write_part(table, {"date": FIRST, "outcome": "scored"}, content, SCHEMA, store)
    assert made is not None
    found = (made.stats["minValues"].get(column), made.stats["maxValues"].get(column))
    assert found == (bounds or (None, None))
    assert made.stats["nullCount"][column] == values.count(None)


def test_many_batches_with_other_dictionaries_are_one_file(
    s3: S3Settings, store: Store, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.parts._GROUP_ROWS", 10)
    batches = [batch for n in range(7) for batch in rows(f"w{n}", 4).to_batches()]
    narrow = batches[3].set_column(
        0, "writer", batches[3]["writer"].cast(pa.dictionary(pa.int8(), pa.string()))
    )
    made = write_part(
        table, {"date": FIRST, "outcome": "scored"}, [*batches[:3], narrow, *batches[4:]], SCHEMA, store
    )
    assert made is not None
    assert (made.rows, "writer" in made.stats["minValues"]) == (28, False)
    commit(table, FIRST, [made], s3)
    assert live(table, s3) == {(FIRST, "scored", f"w{n}"): 4 for n in range(7)}


def test_no_rows_are_no_part(store: Store, table: str) -> None:
    assert write_part(table, {"date": FIRST, "outcome": "quarantined"}, rows("w", 0), SCHEMA, store) is None
    assert write_part(table, {"date": FIRST, "outcome": "quarantined"}, [], SCHEMA, store) is None
    assert store.snapshot(table).objects == ()


def test_a_value_that_no_path_may_hold(s3: S3Settings, store: Store, table: str) -> None:
    schema = pa.schema([("day", pa.string()), ("n", pa.int64())])
    for odd in ("O'Hare / 50% = ü", "a b"):
        for n in (1, 2):
            made = write_part(table, {"day": odd}, pa.table({"n": [n]}), schema, store)
            assert made is not None
            commit_parts(table, [made], schema, ("day", odd), ["day"], s3)
    found = DeltaTable(table, storage_options=s3.delta_options()).to_pyarrow_table()
    assert sorted(found["day"].to_pylist()) == ["O'Hare / 50% = ü", "a b"]
    assert found["n"].to_pylist() == [2, 2]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (rows("w", 2).drop_columns(["position"]), "'writer'\\]; expected \\['position', "),
        (rows("w", 2).append_column("more", pa.array([1, 2])), r"columns \['more', "),
        (
            rows("w", 2).set_column(1, "prediction", pa.array([1.0, 2.0])),
            "its column 'prediction' is double; expected float",
        ),
    ],
)
def test_rows_of_another_schema_are_not_written(store: Store, table: str, wrong: pa.Table, said: str) -> None:
    with pytest.raises(StorageError, match=said):
        write_part(table, {"date": FIRST, "outcome": "scored"}, wrong, SCHEMA, store)
    assert store.snapshot(table).objects == ()


def test_a_part_that_is_not_what_it_claims_is_refused(s3: S3Settings, store: Store, table: str) -> None:
    kept = part(table, FIRST, "kept", store)
    commit(table, FIRST, [kept], s3)
    made = part(table, FIRST, "w", store)
    other = SCHEMA.set(4, pa.field("position", pa.int32()))
    narrow = rows("w", 3).set_column(2, "position", pa.array([1, 2, 3], pa.int32()))
    misfit = write_part(table, {"date": FIRST, "outcome": "scored"}, narrow, other, store)
    assert misfit is not None
    short = part(table, FIRST, "short", store)
    store.write(f"{table}/{short.path}", b"PAR1 no footer")
    refused: list[tuple[list[Part], type[StorageError], str]] = [
        (
            [misfit],
            StorageError,
            "does not fit its table: its columns are position: int32; expected position",
        ),
        ([replace(made, rows=4)], StorageError, "has 3 rows; expected 4, as written"),
        ([replace(made, size_bytes=1)], StorageError, "bytes; expected 1, as written"),
        ([replace(made, path="gone.parquet")], ObjectNotFoundError, r"gone\.parquet: it is not there"),
        ([made, made], StorageError, "is named more than once"),
        ([replace(made, partition={"date": SECOND, "outcome": "scored"})], StorageError, "expected date="),
        ([replace(made, partition={"date": FIRST})], StorageError, "and values of date, outcome"),
        ([short], UnreadableFileError, "is no whole Parquet file: its footer is missing"),
    ]
    for parts, kind, said in refused:
        with pytest.raises(kind, match=said):
            commit(table, FIRST, [kept, *parts], s3)
    assert live(table, s3) == {(FIRST, "scored", "kept"): 3}
    assert count_commits(table, ("date", FIRST), s3) == 1


def test_a_table_of_another_schema_is_refused(s3: S3Settings, store: Store, table: str) -> None:
    commit(table, FIRST, [part(table, FIRST, "kept", store)], s3)
    wider = SCHEMA.append(pa.field("new", pa.string()))
    with pytest.raises(
        StorageError, match=r"another schema\. Only in one of the two: Field\(new, .*new table"
    ):
        commit_parts(table, [], wider, ("date", FIRST), BY, s3)
    with pytest.raises(StorageError, match=r"partitioned by \['date', 'outcome'\]; expected \['date'\]"):
        commit_parts(table, [], SCHEMA, ("date", FIRST), ["date"], s3)
    assert live(table, s3) == {(FIRST, "scored", "kept"): 3}


def race(
    table: str, days: Sequence[str], after: Sequence[int], s3: S3Settings, store: Store
) -> list[int | StorageError]:
    ready = threading.Barrier(len(days))
    made = [part(table, day, f"writer {n}", store) for n, day in enumerate(days)]

    def write(n: int) -> int | StorageError:
        ready.wait()
        try:
            return commit(table, days[n], [made[n]], s3, after=after[n])
        except StorageError as error:
            return error

    with ThreadPoolExecutor(len(days)) as pool:
        return list(pool.map(write, range(len(days))))


@pytest.mark.parametrize("before", ["no table", "an empty partition", "a filled partition"])
def test_of_ten_writers_of_one_partition_one_wins(
    s3: S3Settings, store: Store, table: str, before: str
) -> None:
    if before != "no table":
        day = SECOND if before == "an empty partition" else FIRST
        commit(table, day, [part(table, day, "before", store)], s3)
    after = count_commits(table, ("date", FIRST), s3)
    said = race(table, [FIRST] * 10, [after] * 10, s3, store)
    won = [n for n, answer in enumerate(said) if isinstance(answer, int)]
    assert len(won) == 1
    lost = [answer for answer in said if isinstance(answer, CommitConflictError)]
    assert len(lost) == 9
    assert {str(error) for error in lost} == {
        (
            f"Could not commit to {table}: another writer committed to date={FIRST} first. Nothing of this"
            " write is visible; run again to see what is there now"
        )
    }
    found = {key: n for key, n in live(table, s3).items() if key[0] == FIRST}
    assert found == {(FIRST, "scored", f"writer {won[0]}"): 3}
    assert count_commits(table, ("date", FIRST), s3) == after + 1


@pytest.mark.parametrize("filled", [True, False])
def test_writers_of_different_partitions_all_commit(
    s3: S3Settings, store: Store, table: str, *, filled: bool
) -> None:
    days = [f"2013-07-{n:02}" for n in range(1, 9)]
    for day in days if filled else []:
        commit(table, day, [part(table, day, "before", store)], s3)
    said = race(table, days, [int(filled)] * len(days), s3, store)
    assert [answer for answer in said if isinstance(answer, StorageError)] == []
    assert len(set(map(str, said))) == len(days)
    assert live(table, s3) == {(day, "scored", f"writer {n}"): 3 for n, day in enumerate(days)}
    # The version that each was told is the one that brought its rows.
    for n, version in enumerate(said):
        assert isinstance(version, int)
        at = [
            DeltaTable(table, version=v, storage_options=s3.delta_options()).to_pyarrow_table()["writer"]
            for v in (version - 1, version)
        ]
        assert set(at[1].to_pylist()) - set(at[0].to_pylist()) == {f"writer {n}"}


def commit_at(start: float, table: str, made: Part, s3: S3Settings) -> int | str:
    time.sleep(max(0.0, start - time.time()))
    try:
        return commit(table, FIRST, [made], s3, after=0)
    except CommitConflictError as error:
        return str(error)


def test_of_writers_in_processes_of_their_own_one_wins(s3: S3Settings, store: Store, table: str) -> None:
    # deltalake holds Python's lock while it waits for S3: threads meet less often than processes do.
    many = 10 if EXHAUSTIVE else 4
    made = [part(table, FIRST, f"writer {n}", store) for n in range(many)]
    with ProcessPoolExecutor(many, multiprocessing.get_context("spawn")) as pool:
        [*pool.map(time.sleep, [1.0] * many)]
        start = time.time() + 1
        said = [*pool.map(commit_at, [start] * many, [table] * many, made, [s3] * many)]
    (winner,) = [n for n, answer in enumerate(said) if isinstance(answer, int)]
    assert live(table, s3) == {(FIRST, "scored", f"writer {winner}"): 3}
    assert count_commits(table, ("date", FIRST), s3) == 1
