"""Quarantined rows are given out, mended, handed in and scored, on the stack, as an operator types it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import As, run_command
from deltalake import DeltaTable

import deploy
from batch_jobs import plan
from batch_jobs.__main__ import main
from storage import S3Settings, Store, vacuum

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TABLE = "s3://greenroom/flight_delay/predictions"
FEATURES = "s3://greenroom/flight_delay/features"
DAYS = count(1)

Row = dict[str, str]


@pytest.fixture(scope="module")
def settings(stack: deploy.Stack) -> S3Settings:
    return S3Settings.from_environment(stack.environment("operator"))


@pytest.fixture(scope="module")
def store(settings: S3Settings) -> Store:
    return Store.connect(settings)


@pytest.fixture(scope="module")
def one_day(in_production: int, store: Store) -> pa.Table:
    assert in_production == 1
    (pinned,) = store.snapshot(f"{FEATURES}/date=2013-07-01").objects
    return pq.read_table(store.open(pinned))


@pytest.fixture
def day(operator: As, one_day: pa.Table, store: Store) -> str:
    """A day of its own: a Parquet file with a null in row 3, a CSV file whose rows 1 and 4 are bad."""
    day = f"2016-03-{next(DAYS):02d}"
    first, second = one_day.slice(0, 500), one_day.slice(500)
    temp = first["temp"].to_pylist()
    temp[3] = None
    buffer = io.BytesIO()
    pq.write_table(first.set_column(first.column_names.index("temp"), "temp", pa.array(temp)), buffer)
    store.write(f"{FEATURES}/date={day}/part-0.parquet", buffer.getvalue())
    store.write(f"{FEATURES}/date={day}/part-1.csv", spoilt(second))
    ran = operator(main, "run", "flight_delay", "--date", day)
    assert "966 rows = 963 scored + 3 quarantined" in ran.out, ran.err
    return day


def spoilt(table: pa.Table) -> bytes:
    text = io.StringIO(newline="")
    rows = [[row[name] for name in table.column_names] for row in table.to_pylist()]
    rows[1][table.column_names.index("distance")] = "=far()"
    rows[4] = rows[4][:2]
    csv.writer(text).writerows([table.column_names, *rows])
    return text.getvalue().encode()


def live(settings: S3Settings, date: str) -> list[dict[str, Any]]:
    table = DeltaTable(TABLE, storage_options=settings.delta_options())
    rows = table.to_pyarrow_dataset(file_pruning_predicate=[("date", "=", date)]).to_table()
    return list(rows.to_pylist())


def given_out(operator: As, day: str, folder: Path) -> list[Row]:
    """Return the rows that `quarantined` writes, in the order of the day."""
    path = folder / f"{day}.csv"
    ran = operator(main, "quarantined", "flight_delay", "--date", day, "--out", str(path))
    assert ran.code == 0, ran.err
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} quarantined rows in {path}" in ran.out
    return sorted(rows, key=lambda row: (row["input_file"], int(row["input_position"])))


def mended(rows: list[Row], one_day: pa.Table) -> list[Row]:
    """Put back what the three rows were before they were spoilt."""
    whole = one_day.to_pylist()
    places = [3, 501, 504]
    cells = [{n: "" if v is None else str(v) for n, v in whole[place].items()} for place in places]
    return [{**row, **good} for row, good in zip(rows, cells, strict=True)]


def write(path: Path, rows: list[Row]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def requeue(operator: As, day: str, file: str, **changed: str) -> Any:
    return operator(main, "requeue", "flight_delay", "--date", day, file, **changed)


def test_mended_rows_are_scored_and_the_rest_is_as_it_was(
    operator: As, day: str, one_day: pa.Table, settings: S3Settings, tmp_path: Path
) -> None:
    rows = given_out(operator, day, tmp_path)
    assert [row["quarantined_because"] for row in rows] == [
        "temp is null",
        "distance is '=far()', expected a number",
        "has 2 columns, expected 17",
    ]
    # To a spreadsheet that is no formula; and what cannot be split is there as its line.
    assert (rows[1]["distance"], rows[2]["flight_id"]) == ("'=far()", "")
    assert rows[2]["quarantined_row"].startswith("2013-07-01")
    before = {(r["input_file"], r["input_position"]): r["prediction"] for r in live(settings, day)}

    good = mended(rows, one_day)
    good[1]["temp"] = "far"
    ran = requeue(operator, day, write(tmp_path / "1.csv", good))
    assert ran.code == 0, ran.err
    assert f"3 rows of {tmp_path}/1.csv are kept as repair 000001 of {day}" in ran.err
    assert "966 rows = 965 scored + 1 quarantined" in ran.out
    (bad,) = given_out(operator, day, tmp_path)
    assert bad["quarantined_because"] == "temp is 'far', expected a number"

    # One that is still bad is handed in alone, as Parquet.
    again = pa.Table.from_pylist([{**bad, "temp": one_day["temp"][501].as_py(), "input_position": 1}])
    pq.write_table(again, tmp_path / "2.parquet")
    ran = requeue(operator, day, str(tmp_path / "2.parquet"))
    assert "966 rows = 966 scored + 0 quarantined" in ran.out, ran.err
    found = live(settings, day)
    repaired = {r["input_position"]: r["repair"] for r in found if r["repair"] is not None}
    assert repaired == {3: "000001", 1: "000002", 4: "000001"}
    assert len({r["repairs_digest"] for r in found}) == 1
    after = {(r["input_file"], r["input_position"]): r["prediction"] for r in found}
    assert all(after[where] == prediction for where, prediction in before.items() if prediction is not None)
    # The same cells are the same prediction, wherever they came from.
    operator(main, "run", "flight_delay", "--date", "2013-07-01")
    plain = {r["flight_id"]: r["prediction"] for r in live(settings, "2013-07-01")}
    assert {r["flight_id"]: r["prediction"] for r in found} == plain


def test_the_same_again_is_nothing_to_do_and_another_version_applies_them(
    operator: As,
    day: str,
    one_day: pa.Table,
    settings: S3Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = write(tmp_path / "mended.csv", mended(given_out(operator, day, tmp_path), one_day))
    # The repairs are kept, whatever comes between.
    assert requeue(operator, day, file, MLFLOW_TRACKING_URI="http://127.0.0.1:1").code == 75
    said = operator(main, "status", "flight_delay", "--from", day, "--to", day).out
    assert "stale" in said
    assert "since then, another repairs" in said
    first, second = requeue(operator, day, file), requeue(operator, day, file)
    assert "were handed in before" in first.err
    assert "966 rows = 966 scored + 0 quarantined" in first.out
    assert "published as version" in first.out
    assert "nothing to do" in second.out
    assert "current" in operator(main, "status", "flight_delay", "--from", day, "--to", day).out
    monkeypatch.setattr(plan, "code_digest", lambda: "another")
    ran = operator(main, "run", "flight_delay", "--date", day, "--json")
    (report,) = json.loads(ran.out)
    assert (report["published"], report["scored"], report["repaired"]) == (True, 966, 3)
    assert {r["code_digest"] for r in live(settings, day)} == {"another"}


def test_a_new_delivery_makes_repairs_void_and_says_so(
    operator: As, day: str, one_day: pa.Table, store: Store, settings: S3Settings, tmp_path: Path
) -> None:
    file = write(tmp_path / "mended.csv", mended(given_out(operator, day, tmp_path), one_day))
    assert requeue(operator, day, file).code == 0
    store.write(f"{FEATURES}/date={day}/part-1.csv", spoilt(one_day.slice(500, 400)))
    late = requeue(operator, day, file)
    assert late.code == 3
    assert f"The input of {day} is not the one that its rows were quarantined from" in late.err
    ran = operator(main, "run", "flight_delay", "--date", day)
    assert "900 rows = 898 scored + 2 quarantined" in ran.out
    assert "warning: 2 repaired rows of s3://" in ran.err
    assert "part-1.csv are void: it was delivered again, or taken away, since" in ran.err
    assert [r["input_position"] for r in live(settings, day) if r["repair"]] == [3]


def test_files_that_are_handed_in_at_once_are_both_kept(
    operator: As,
    roles: dict[str, dict[str, str]],
    day: str,
    one_day: pa.Table,
    settings: S3Settings,
    store: Store,
    tmp_path: Path,
) -> None:
    rows = mended(given_out(operator, day, tmp_path), one_day)
    local = write(tmp_path / "1.csv", rows[:1])
    write(tmp_path / "2.csv", rows[1:])
    store.write(f"s3://greenroom/mended/{day}.csv", (tmp_path / "2.csv").read_bytes())
    command = ["python", "-m", "batch_jobs", "requeue", "flight_delay", "--date", day]
    with ThreadPoolExecutor(2) as pool:
        files = (local, f"s3://greenroom/mended/{day}.csv")
        ran = list(pool.map(lambda file: run_command([*command, file], roles["operator"]), files))
    assert {each.returncode for each in ran} <= {0, 75}, [each.stderr for each in ran]
    ran_again = operator(main, "run", "flight_delay", "--date", day)
    assert "966 rows = 966 scored + 0 quarantined" in ran_again.out, ran_again.err
    assert {r["repair"] for r in live(settings, day)} == {None, "000001", "000002"}


@pytest.fixture(scope="module")
def refusals() -> dict[str, Callable[[list[Row]], list[Row]]]:
    return {
        "1 of 3 rows of": lambda rows: [{**rows[0], "input_position": "7"}, *rows[1:]],
        "2 of 2 rows of": lambda rows: [{**row, "input_file": "s3://greenroom/x"} for row in rows[1:]],
        "more than once; expected once": lambda rows: [rows[0], rows[0]],
        "has the column 'more', which the input does not have": lambda rows: [{**rows[0], "more": "1"}],
        "has no column 'dest', which s3://": lambda rows: [
            {name: cell for name, cell in rows[0].items() if name != "dest"}
        ],
    }


def test_what_is_no_repair_is_refused_and_nothing_is_kept(
    operator: As,
    day: str,
    one_day: pa.Table,
    store: Store,
    tmp_path: Path,
    refusals: dict[str, Callable[[list[Row]], list[Row]]],
) -> None:
    rows = mended(given_out(operator, day, tmp_path), one_day)
    for says, wrong in refusals.items():
        ran = requeue(operator, day, write(tmp_path / "wrong.csv", wrong(rows)))
        assert (ran.code, ran.out) == (3, ""), (says, ran.err)
        assert says in ran.err
    unpublished = requeue(operator, "2031-12-01", write(tmp_path / "right.csv", rows))
    assert unpublished.code == 3
    assert "Nothing of 2031-12-01 is published, so nothing of it is quarantined. Run it" in unpublished.err
    none = operator(main, "quarantined", "flight_delay", "--date", "2031-12-01", "--out", f"{tmp_path}/x.csv")
    assert (none.code, "Nothing of 2031-12-01 is published" in none.err) == (3, True)
    gone = requeue(operator, day, "s3://greenroom/no/such.csv")
    assert (gone.code, "it is not there" in gone.err) == (3, True)
    typo = operator(main, "quarantined", "flight_delay", "--date", day, "--out", "x.xlsx")
    assert (typo.code, "expected a file whose name ends in .csv or .parquet" in typo.err) == (2, True)
    assert store.list_ever(f"{TABLE}/_repairs/date={day}") == []


def test_a_key_that_was_the_fault_may_be_another(
    operator: As, day: str, one_day: pa.Table, settings: S3Settings, tmp_path: Path
) -> None:
    rows = mended(given_out(operator, day, tmp_path), one_day)
    rows[2]["flight_id"] = "mended-key"
    taken = live(settings, day)[0]["flight_id"]
    rows[0]["flight_id"] = taken
    ran = requeue(operator, day, write(tmp_path / "keys.csv", rows))
    # Two rows of one key, in one part: both are set aside, as any doubles are.
    assert "966 rows = 964 scored + 2 quarantined" in ran.out, ran.out + ran.err
    found = live(settings, day)
    assert [r["repair"] for r in found if r["flight_id"] == "mended-key"] == ["000001"]
    assert {r["outcome"] for r in found if r["flight_id"] == taken} == {"quarantined"}


def test_vacuum_leaves_repairs(
    operator: As, day: str, one_day: pa.Table, settings: S3Settings, store: Store, tmp_path: Path
) -> None:
    file = write(tmp_path / "mended.csv", mended(given_out(operator, day, tmp_path), one_day))
    assert requeue(operator, day, file).code == 0
    assert store.list_ever(f"{TABLE}/_repairs/date={day}")
    gone = vacuum(TABLE, dt.timedelta(0), settings, dry_run=True, even_if_young=True)
    assert any(path.startswith("_staging/") for path in gone)
    assert not any("_repairs" in path for path in gone)


def test_quarantined_rows_are_given_out_as_parquet_too(operator: As, day: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.parquet"
    ran = operator(main, "quarantined", "flight_delay", "--date", day, "--out", str(path))
    assert ran.code == 0, ran.err
    found = pq.read_table(path)
    assert (len(found), found.schema.field("input_position").type) == (3, pa.int64())
    assert "=far()" in found["distance"].to_pylist()
