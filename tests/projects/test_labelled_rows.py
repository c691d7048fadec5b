"""Labelled rows: equal to a plain join; unfit data is a clear refusal that registers nothing."""

import datetime as dt
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import As, Ran

import deploy
from projects.__main__ import main
from projects.declaration import read_project
from projects.errors import ProjectError, UnfitTrainingDataError
from projects.flight_delay import dataset
from projects.parts import Window
from projects.rows.delivery import Delivery, deliver
from projects.rows.labelled import LabelledSet, find_or_write, open_set
from projects.rows.labelling import DAY, LABEL
from projects.validation.validate import columns_of
from storage import S3Settings, Store

DAYS = ("2013-01-01", "2013-01-02")
TWO_DAYS = Window(dt.date(2013, 1, 1), dt.date(2013, 1, 2))
FEATURES = "flight_delay/features"
OUTCOMES = "flight_delay/outcomes"
Changes = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class Data(Store):
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    features: pa.Table
    label: np.ndarray
    labelled: LabelledSet


@pytest.fixture(scope="module")
def data(stack: deploy.Stack) -> Data:
    environment = stack.environment("author")
    return Data(Store.connect(S3Settings.from_environment(environment)).client, environment)


@cache
def two_days() -> tuple[Delivery, ...]:
    flights = dataset.read_source("flights.csv.zip").query("month == 1 and day <= 2").reset_index(drop=True)
    features = dataset.build_features(flights, dataset.read_source("weather.csv"))
    outcomes = dataset.build_outcomes(flights)
    days = dataset.departure_day(flights)
    return tuple(
        Delivery(
            day,
            pa.Table.from_pandas(features[days == day], preserve_index=False),
            pa.Table.from_pandas(outcomes[days == day], preserve_index=False),
        )
        for day in DAYS
    )


def unchanged(table: pa.Table) -> pa.Table:
    return table


def delivered_as(
    data: Store,
    root: str,
    *,
    features: Changes = unchanged,
    outcomes: Changes = unchanged,
    both_days: bool = False,
) -> str:
    """Deliver both days below `root`, the second one changed, or both."""
    changed = [
        replace(each, features=features(each.features), outcomes=outcomes(pa.table(each.outcomes)))
        for each in two_days()
    ]
    deliver(
        iter(changed if both_days else [two_days()[0], changed[1]]),
        {"features": f"{root}/{FEATURES}", "outcomes": f"{root}/{OUTCOMES}"},
        data,
        lambda *_: None,
    )
    return root


def read(data: Data, root: str, window: Window = TWO_DAYS) -> Read:
    project = read_project("flight_delay")
    found = find_or_write(project, window, data, {**data.environment, "GREENROOM_DATA": root})
    table = pa.concat_tables(found.batches([*project.features, LABEL]))
    assert found.rows == len(table)
    return Read(table.drop_columns([LABEL]), table[LABEL].to_numpy(), found)


def put(name: str, values: Any) -> Changes:
    """Replace a column."""

    def change(table: pa.Table) -> pa.Table:
        column = values(table[name]) if callable(values) else pa.array([values] * len(table))
        return table.set_column(table.column_names.index(name), name, column)

    return change


def first_is(value: float) -> Callable[[pa.ChunkedArray], pa.Array]:
    return lambda column: pa.array([value, *column.to_pylist()[1:]], pa.float64())


def test_a_window_equals_a_plain_join(data: Data, delivered: str) -> None:
    assert "Delivered 336,776 rows, 2013-01-01 to 2013-12-31, to s3://greenroom/flight_delay/f" in delivered
    window = Window(dt.date(2013, 2, 8), dt.date(2013, 2, 14))  # a snow storm: many cancelled
    rows = read(data, "s3://greenroom", window)

    flights = dataset.read_source("flights.csv.zip").query("month == 2 and 8 <= day <= 14")
    flights = flights.reset_index(drop=True)
    joined = dataset.build_features(flights, dataset.read_source("weather.csv")).merge(
        dataset.build_outcomes(flights), on="flight_id", validate="one_to_one"
    )
    known = joined[joined["arr_delay"].notna()].reset_index(drop=True)
    project = read_project("flight_delay")
    assert 4_000 < len(known) < len(joined) - 600
    pd.testing.assert_frame_equal(rows.features.to_pandas(), known[list(project.features)], check_dtype=False)
    np.testing.assert_array_equal(rows.label, (known["arr_delay"] > 15).astype("float64"))
    for snapshot in rows.labelled.sources.values():
        assert len(snapshot.objects) == len(window.days)
        assert all(o.version_id for o in snapshot.objects)


def test_rows_can_be_sliced_by_the_month_of_their_day(data: Data, delivered: str) -> None:
    assert delivered
    labelled = read(data, "s3://greenroom", Window(dt.date(2013, 1, 31), dt.date(2013, 2, 1))).labelled
    project = replace(read_project("flight_delay"), slices={"month": None})
    columns = columns_of(project, labelled)
    assert columns.keys() == {"month", DAY}
    assert {*columns["month"]} == {"2013-01", "2013-02"}
    assert (columns["month"] == columns[DAY].astype(str).astype("U7")).all()


def test_both_ends_of_a_window_belong_to_it(data: Data, delivered: str) -> None:
    assert delivered
    day = dt.date(2013, 12, 31)
    rows = read(data, "s3://greenroom", Window(day, day))
    assert [o.uri.split("/")[-2] for o in rows.labelled.sources["features"].objects] == ["date=2013-12-31"]


def test_order_of_columns_extra_columns_and_order_of_outcomes_play_no_part(data: Data) -> None:
    plain = read(data, delivered_as(data, "s3://greenroom/labelled/plain"))

    def mixed(table: pa.Table) -> pa.Table:
        return table.select(table.column_names[::-1]).append_column("note", pa.array(["x"] * len(table)))

    def backwards(table: pa.Table) -> pa.Table:
        return mixed(table.take(pa.array(range(len(table) - 1, -1, -1))))

    root = delivered_as(data, "s3://greenroom/labelled/mixed", features=mixed, outcomes=backwards)
    found = read(data, root)
    assert found.features.equals(plain.features)
    np.testing.assert_array_equal(found.label, plain.label)


def test_a_null_key_has_no_outcome(data: Data) -> None:
    plain = read(data, delivered_as(data, "s3://greenroom/labelled/plain"))

    def no_key(column: pa.ChunkedArray) -> pa.Array:
        return pa.array([None, *column.to_pylist()[1:]], pa.string())

    root = "s3://greenroom/labelled/keys"
    change = put("flight_id", no_key)
    delivered_as(data, root, features=change, outcomes=change)
    assert len(read(data, root).label) == len(plain.label) - 1


def test_what_lies_outside_the_days_is_passed_over(data: Data) -> None:
    root = delivered_as(data, "s3://greenroom/labelled/beside")
    before = read(data, root)
    for name in ("date=2013-01-03/part-0.parquet", "date=2013-13-45/part-0.parquet", "notes.parquet"):
        data.write(f"{root}/{FEATURES}/{name}", b"not read")
    data.write(f"{root}/{FEATURES}/date=2013-01-01/_SUCCESS", b"")
    assert read(data, root).features.equals(before.features)


def test_a_csv_of_features_is_read_as_its_kinds(data: Data) -> None:
    root = delivered_as(data, "s3://greenroom/labelled/csv")
    plain = read(data, root)
    from pyarrow import csv

    for delivery in two_days():
        buffer = io.BytesIO()
        csv.write_csv(delivery.features, buffer)
        day = f"date={delivery.day}"
        data.write(f"{root}-text/{FEATURES}/{day}/part-0.csv", buffer.getvalue())
        outcomes = io.BytesIO()
        pq.write_table(delivery.outcomes, outcomes)
        data.write(f"{root}-text/{OUTCOMES}/{day}/part-0.parquet", outcomes.getvalue())
    assert read(data, f"{root}-text").features.equals(plain.features)


def test_a_window_without_data_says_where_it_looked(data: Data, delivered: str) -> None:
    assert delivered
    window = Window(dt.date(2015, 1, 1), dt.date(2015, 1, 31))
    with pytest.raises(UnfitTrainingDataError) as refusal:
        read(data, "s3://greenroom", window)
    assert str(refusal.value) == (
        "There is no data for 2015-01-01 to 2015-01-31 under s3://greenroom/flight_delay/features/;"
        " expected files date=YYYY-MM-DD/…. Choose another window, or deliver them"
    )


def test_a_window_that_is_not_over_is_refused(data: Data) -> None:
    root = delivered_as(data, "s3://greenroom/labelled/plain")
    for name, table in (("features", two_days()[0].features), ("outcomes", two_days()[0].outcomes)):
        body = io.BytesIO()
        pq.write_table(table, body)
        data.write(f"{root}-ahead/flight_delay/{name}/date=2099-01-01/part-0.parquet", body.getvalue())
    day = dt.date(2099, 1, 1)
    with pytest.raises(UnfitTrainingDataError) as refusal:
        read(data, f"{root}-ahead", Window(day, day))
    assert str(refusal.value) == (
        "The window 2099-01-01 to 2099-01-01 goes to days that are still to come, whose outcomes nobody"
        " knows. Choose one that has ended"
    )


def test_features_that_came_before_any_outcome_say_so(data: Data) -> None:
    root = "s3://greenroom/labelled/early"
    delivered_as(data, root)
    body = io.BytesIO()
    pq.write_table(two_days()[0].features, body)
    data.write(f"{root}-only/{FEATURES}/date=2013-01-01/part-0.parquet", body.getvalue())
    with pytest.raises(UnfitTrainingDataError, match=r"no data for .* under .*/flight_delay/outcomes/;"):
        read(data, f"{root}-only")


def doubled(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 1)])


UNFIT = [
    pytest.param({"features": lambda t: t.drop_columns(["temp"])}, "has no column 'temp'", id="no feature"),
    pytest.param(
        {"features": lambda t: t.drop_columns(["flight_id"])}, "has no column 'flight_id'", id="no key"
    ),
    pytest.param(
        {"outcomes": lambda t: t.drop_columns(["flight_id"])}, "has no column 'flight_id'", id="no key after"
    ),
    pytest.param(
        {"outcomes": lambda t: t.drop_columns(["arr_delay"])},
        "has no column 'arr_delay', which the label needs",
        id="no outcome",
    ),
    pytest.param(
        {"features": put("distance", "far")},
        "the column 'distance' holds string, expected double: Failed to parse string: 'far'",
        id="text for a number",
    ),
    pytest.param(
        {"features": put("carrier", [1])},
        "the column 'carrier' holds list<element: int64>, expected string",
        id="list for a category",
    ),
    pytest.param({"outcomes": put("arr_delay", "late")}, "holds outcomes that give no label", id="text"),
]


@pytest.mark.parametrize(("changes", "message"), UNFIT)
def test_an_unfit_file_is_named(
    data: Data, request: pytest.FixtureRequest, changes: dict[str, Any], message: str
) -> None:
    name = request.node.callspec.id.replace(" ", "-")
    root = delivered_as(data, f"s3://greenroom/labelled/{name}", **changes)
    with pytest.raises(UnfitTrainingDataError) as refusal:
        read(data, root)
    assert message in str(refusal.value)
    assert f"{root}/flight_delay/{next(iter(changes))}/date=2013-01-02/part-0.parquet" in str(refusal.value)


def test_a_row_that_is_there_twice_is_refused(data: Data) -> None:
    root = delivered_as(data, "s3://greenroom/labelled/twice-features", features=doubled)
    with pytest.raises(UnfitTrainingDataError) as refusal:
        read(data, root)
    assert re.search(
        r"1 of 1,7\d\d rows have a flight_id that another row has too; expected", str(refusal.value)
    )
    root = delivered_as(data, "s3://greenroom/labelled/twice-outcomes", outcomes=doubled)
    key = pa.table(two_days()[1].outcomes)["flight_id"][0].as_py()
    with pytest.raises(UnfitTrainingDataError) as refusal:
        read(data, root)
    assert str(refusal.value) == f"The flight_id {key!r} has more than one outcome; expected one"


def sold(**changed: list[Any]) -> pa.Table:
    """Four diamonds with the moment of their sale: rows whose label and time are columns."""
    days = ["2024-01-01 09:00:00", "2024-01-02T23:59:59", "2024-01-03", "2024-01-04 00:00:00"]
    columns = {"diamond_id": ["a", "b", "c", "d"], "carat": [1, 2, 3, 4], "price": [10.0, 20.0, 30.0, 40.0]}
    return pa.table({**columns, "sold_at": days, **changed})


def read_sold(data: Data, table: pa.Table, name: str) -> tuple[LabelledSet, pa.Table]:
    project = replace(
        read_project("diamond_price"),
        features={"carat": "number"},
        time="sold_at",
        held_out=None,
        sources={"features": f"sold/{name}"},
    )
    body = io.BytesIO()
    pq.write_table(table, body)
    data.write(f"s3://greenroom/sold/{name}/all.parquet", body.getvalue())
    window = Window(dt.date(2024, 1, 2), dt.date(2024, 1, 3))
    found = find_or_write(project, window, data, {**data.environment, "GREENROOM_DATA": "s3://greenroom"})
    return found, pa.concat_tables(found.batches(["carat", "_day", LABEL]))


def test_a_column_can_say_the_time(data: Data) -> None:
    _, found = read_sold(data, sold(), "plain")
    assert found.to_pydict() == {
        "carat": [2.0, 3.0],
        "_day": [dt.date(2024, 1, 2), dt.date(2024, 1, 3)],
        LABEL: [20.0, 30.0],
    }


def test_a_row_whose_label_is_no_number_is_left_out_and_counted(data: Data) -> None:
    nan = sold(price=[None, float("nan"), 30.0, 40.0])
    for found_again in (False, True):
        labelled, rows = read_sold(data, nan, "nan")
        assert rows[LABEL].to_pylist() == [30.0]
        # The one before the window is not its business.
        assert (labelled.found, labelled.rows, labelled.unlabelled) == (found_again, 1, 1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"sold_at": ["2024-01-02", None, "2024-01-03", "2024-01-02"]},
            "1 rows have no sold_at; expected a time",
        ),
        (
            {"sold_at": ["2024-01-02"] * 3 + ["2099-01-01"]},
            "sold_at goes to 2099-01-01, which is still to come",
        ),
        ({"sold_at": ["noon"] * 4}, "the column 'sold_at' holds string, expected timestamp[us]"),
        (
            {"price": [10.0, float("inf"), 30.0, 40.0]},
            "the label 'price' is infinite in a row; clean it upstream",
        ),
        ({"price": ["dear"] * 4}, "the column 'price' holds string, expected double"),
        ({"diamond_id": ["a", None, "c", "d"]}, "1 rows have no diamond_id; expected one in each"),
        ({"diamond_id": ["a", "b", "b", "d"]}, "1 of 2 rows have a diamond_id that another row has too"),
        ({"price": [None] * 4}, "No row of 2024-01-02 to 2024-01-03 under s3://greenroom/sold/"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else next(iter(value)),
)
def test_rows_with_a_time_of_their_own_are_checked(
    data: Data, request: pytest.FixtureRequest, changed: dict[str, list[Any]], message: str
) -> None:
    name = f"bad-{abs(hash(request.node.name))}"
    with pytest.raises(UnfitTrainingDataError) as refusal:
        read_sold(data, sold(**changed), name)
    assert message in str(refusal.value)


def test_a_set_that_is_gone_says_so(data: Data) -> None:
    found = read(data, delivered_as(data, "s3://greenroom/labelled/gone")).labelled
    for each in data.snapshot(found.uri).objects:
        bucket, _, key = each.uri.removeprefix("s3://").partition("/")
        if key.endswith(".parquet"):
            data.client.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(ProjectError) as refusal:
        list(found.batches([LABEL]))
    assert str(refusal.value) == (
        f"The rows of {TWO_DAYS} under {found.uri} are gone: they were vacuumed away or deleted. Delete what"
        " is left there and train again, which writes them anew"
    )
    bucket, _, prefix = found.uri.removeprefix("s3://").partition("/")
    for left in data.client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"]:
        data.client.delete_object(Bucket=bucket, Key=left["Key"])
    with pytest.raises(ProjectError, match=f"The rows of {TWO_DAYS} under {found.uri} are gone: "):
        open_set(found.uri, found.digest, found.part, data.environment)
    anew = read(data, "s3://greenroom/labelled/gone").labelled
    assert (anew.uri, anew.digest, anew.rows, anew.found) == (found.uri, found.digest, found.rows, False)


@pytest.fixture
def registers_nothing(stack: deploy.Stack, in_production: int, author: As) -> Iterator[None]:
    """Whatever the test does: no version is added, and no run is left open."""
    assert in_production

    def versions_and_open_runs(_: list[str]) -> int:
        from mlflow import MlflowClient

        client = MlflowClient(stack.mlflow_uri, stack.mlflow_uri)
        [experiment] = [e for e in client.search_experiments() if e.name == "flight-delay"]
        is_open = client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
        assert is_open == []
        seen.append({v.version for v in client.search_model_versions("name = 'flight-delay'")})
        return 0

    seen: list[set[str]] = []
    author(versions_and_open_runs)
    yield
    author(versions_and_open_runs)
    assert seen[0] == seen[1]


def train_on(author: As, **changed: str) -> Ran:
    return author(main, "train", "flight_delay", "--since", DAYS[0], "--until", DAYS[1], **changed)


UNFIT_FOR_A_MODEL = [
    pytest.param(
        {"features": put("temp", first_is(1e300))},
        "The column 'temp' holds a number that is infinite as float32; clean it upstream",
        id="1e300",
    ),
    pytest.param(
        {"features": put("temp", first_is(float("inf")))},
        "The column 'temp' holds a number that is infinite as float32; clean it upstream",
        id="infinite",
    ),
    pytest.param({"features": lambda t: t.drop_columns(["temp"])}, " has no column 'temp'", id="no column"),
    pytest.param({"features": put("distance", "far")}, ": Failed to parse string: 'far'", id="text"),
    pytest.param(
        {"outcomes": put("arr_delay", 99.0), "both_days": True},
        "Every one of the 1785 rows has the label 1; a classifier needs both classes. Choose a longer window",
        id="one class",
    ),
    pytest.param(
        {"outcomes": put("arr_delay", lambda c: pa.nulls(len(c), pa.float64())), "both_days": True},
        "No row of 2013-01-01 to 2013-01-02 under ",
        id="no outcome yet",
    ),
]


@pytest.mark.usefixtures("registers_nothing")
@pytest.mark.parametrize(("changes", "message"), UNFIT_FOR_A_MODEL)
def test_training_on_unfit_rows_exits_with_3(
    author: As, data: Data, request: pytest.FixtureRequest, changes: dict[str, Any], message: str
) -> None:
    name = request.node.callspec.id.replace(" ", "-")
    ran = train_on(author, GREENROOM_DATA=delivered_as(data, f"s3://greenroom/unfit/{name}", **changes))
    assert ran.code == 3
    assert ran.err.startswith("projects: ")
    assert message in ran.err
    assert "Registered" not in ran.out


@pytest.mark.usefixtures("registers_nothing")
def test_validating_on_one_class_exits_with_3(author: As, data: Data) -> None:
    table = data.snapshot("s3://greenroom/flight_delay/outcomes/date=2013-07-01").objects[0]
    early = pq.read_table(data.open(table))
    position = early.column_names.index("arr_delay")
    early = early.set_column(position, "arr_delay", pa.array([-1.0] * len(early)))
    root, days = "s3://greenroom/unfit/early", ("--since", "2013-07-01", "--until", "2013-07-01")
    buffer = io.BytesIO()
    pq.write_table(early, buffer)
    data.write(f"{root}/flight_delay/outcomes/date=2013-07-01/part-0.parquet", buffer.getvalue())
    features = data.snapshot("s3://greenroom/flight_delay/features/date=2013-07-01").objects[0]
    data.write(f"{root}/flight_delay/features/date=2013-07-01/part-0.parquet", data.open(features).read())
    ran = author(main, "validate", "flight_delay", "--version", "1", *days, GREENROOM_DATA=root)
    assert ran.code == 3
    assert "has the label 0; a classifier needs both classes" in ran.err


@pytest.mark.usefixtures("registers_nothing")
@pytest.mark.parametrize("verb", ["train", "validate --version 1"])
def test_a_window_outside_the_data_exits_with_3(author: As, verb: str) -> None:
    first, *options = verb.split()
    days = ("--since", "2015-01-01", "--until", "2015-01-31")
    ran = author(main, first, "flight_delay", *options, *days)
    assert ran.code == 3
    assert "There is no data for 2015-01-01 to 2015-01-31 under s3://greenroom/flight_delay" in ran.err


@pytest.mark.usefixtures("registers_nothing")
def test_a_broken_file_exits_with_3(author: As, data: Data) -> None:
    root = delivered_as(data, "s3://greenroom/unfit/broken")
    uri = f"{root}/{FEATURES}/date=2013-01-02/part-0.parquet"
    data.write(uri, b"PAR1 and no more")
    ran = train_on(author, GREENROOM_DATA=root)
    assert ran.code == 3
    assert f"{uri} is not a whole PARQUET file" in ran.err


@pytest.mark.usefixtures("registers_nothing")
def test_a_sample_of_nothing_exits_with_3(author: As, data: Data) -> None:
    root = delivered_as(data, "s3://greenroom/labelled/plain")
    ran = author(
        *(main, "train", "flight_delay", "--since", DAYS[0], "--until", DAYS[1], "--sample", "1e-12"),
        GREENROOM_DATA=root,
    )
    assert ran.code == 3
    assert "No row is left of the sample. Choose a longer window or a larger share" in ran.err


@pytest.mark.usefixtures("registers_nothing")
@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        ({"GREENROOM_DATA": "s3://not-ours"}, 1, "S3 refused (AccessDenied)"),
        ({"GREENROOM_DATA": ""}, 1, "The location 'flight_delay/features' is relative, and GREENROOM_DATA"),
        ({"GREENROOM_DATA": "/tmp/data"}, 1, "is not an S3 location; expected s3://BUCKET/KEY"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, 1, "S3 refused"),
        (
            {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"},
            75,
            "S3 does not answer (Could not connect to the endpoint URL",
        ),
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}, 75, "the MLflow server does not answer."),
        ({"MLFLOW_TRACKING_URI": ""}, 1, "MLFLOW_TRACKING_URI is not set, so there is no registry to ask."),
        ({"MLFLOW_TRACKING_PASSWORD": "wrong-password"}, 1, "MLflow does not accept this login."),
    ],
)
def test_what_is_not_there_or_not_allowed(
    author: As, delivered: str, changed: dict[str, str], code: int, message: str
) -> None:
    assert delivered
    ran = train_on(author, MLFLOW_HTTP_REQUEST_MAX_RETRIES="1", **changed)
    assert ran.code == code
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err


@pytest.mark.usefixtures("registers_nothing")
@pytest.mark.parametrize("verb", ["train", "deliver"])
def test_a_bucket_that_is_not_there(author: As, roles: dict[str, dict[str, str]], verb: str) -> None:
    # Only who may see all buckets is told that one is not there.
    keys = {name: value for name, value in roles["admin"].items() if name.startswith("AWS_")}
    ran = author(main, verb, "flight_delay", **{**keys, "GREENROOM_DATA": "s3://no-such-bucket"})
    assert ran.code == 1
    assert "there is no bucket 'no-such-bucket'. Create it, or correct GREENROOM_DATA" in ran.err


def test_delivering_where_nothing_answers(author: As) -> None:
    ran = author(main, "deliver", "flight_delay", AWS_ENDPOINT_URL_S3="http://127.0.0.1:1")
    assert (ran.code, ran.out) == (75, "")
    assert "S3 does not answer" in ran.err


def test_delivering_again_gives_the_same_snapshot(data: Data) -> None:
    root = delivered_as(data, "s3://greenroom/labelled/twice")
    before = read(data, root)
    after = read(data, delivered_as(data, root))
    assert after.labelled.digest == before.labelled.digest
    assert (before.labelled.found, after.labelled.found) == (False, True)
    assert after.labelled.sources != before.labelled.sources, "new versions of the same bytes"
