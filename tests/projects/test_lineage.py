"""Lineage: from one predicted row to the object it was delivered in, and from there down again."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import As

from batch_jobs.__main__ import main as batch_main
from batch_jobs.partition import schema_of
from projects.__main__ import main
from storage import S3Settings, Store, commit_parts, live_columns, write_part

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry import Registry

pytest_plugins = ["projects_fixtures"]

TABLE = "diamond_price/predictions"
DAY, OTHER = "2024-01-02", "2024-01-03"
HEX = r"[0-9a-f]{32}"


@pytest.fixture(scope="module")
def scored(diamonds: list[str]) -> list[str]:
    assert diamonds
    return [DAY, OTHER]


def links(chain: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Every link of a kind, wherever it is in a chain."""
    found = [chain] if chain["kind"] == kind else []
    return found + [each for below in chain["links"] for each in links(below, kind)]


@pytest.fixture
def asked(author: As, operator: As, scored: list[str]) -> Callable[..., dict[str, Any]]:
    for day in scored:
        assert operator(batch_main, "run", "diamond_price", "--date", day).code == 0

    def trace(*arguments: str) -> dict[str, Any]:
        ran = author(main, "lineage", *arguments, "--json")
        assert ran.code == 0, ran.err
        found: dict[str, Any] = json.loads(ran.out)
        return found

    return trace


def test_a_row_leads_to_its_source_object(author: As, asked: Any) -> None:
    assert asked
    ran = author(main, "lineage", TABLE, "--date", DAY, "--key", "diamond_id=diamond-05392")
    assert ran.code == 0, ran.err
    said = ran.out
    in_order = [
        rf"predicted row diamond_id diamond-05392 of {DAY}\n",
        r"  \| table: s3://greenroom/diamond_price/predictions\n",
        r"  \| prediction: \d+\.\d+\n",
        rf"  \| source: s3://greenroom/diamond_price/diamonds/date={DAY}/part-0\.parquet, row \d+\n",
        r"  \| source version: [0-9a-f]+\n",
        rf"  batch run {HEX}\n    \| job: diamond_price\n",
        r"    source input\n",
        r"    version diamond-price 1\n",
        r"      \| validated \(ledger line \d+\): [^\n]+ by author",
        r"      \| approved \(ledger line \d+\): [^\n]+ by reviewer: looked\n",
        rf"      run {HEX}\n",
        r"        \| code: [0-9a-f]{40}",
        r"        rows of training s3://greenroom/diamond_price/labelled/[0-9a-f]{32}\n",
        r"          source features\n",
        r"            \| first: s3://greenroom/diamond_price/diamonds/date=2024-01-01/part-0\.parquet \(ver",
    ]
    at = 0
    for pattern in in_order:
        match = re.compile(pattern).search(said, at)
        assert match, f"{pattern} not after {said[:at]!r} in\n{said}"
        at = match.end()


def test_down_from_the_source_is_what_came_up_from_the_row(asked: Any) -> None:
    up = asked(TABLE, "--date", DAY)
    assert {key: str(value) for key, value in up["facts"].items()}["rows scored"].isdecimal()
    (training,) = links(up, "rows of training")
    (source,) = links(training, "source")
    for digest in (source["facts"]["digest"], training["facts"]["digest"]):
        down = asked(digest, "--down")
        made = {(run["facts"].get("date"), run["facts"]["predictions"]) for run in links(down, "batch run")}
        rows = sum(int(value) for key, value in up["facts"].items() if key.startswith("rows "))
        assert (DAY, f"{rows:,} rows, live") in made
        assert OTHER in {date for date, _ in made}
        assert "passed" in {each["facts"]["verdict"] for each in links(down, "validation")}
        # And it can be asked what it is.
        assert asked(digest)["facts"]["digest"] == digest
    (batch,) = links(up, "batch run")
    assert asked(batch["name"])["facts"]["date"] == DAY
    assert asked("diamond-price/Production") == asked("models:/diamond-price/1")
    (run,) = [each for each in links(up, "run") if each["links"]]
    assert links(asked(run["name"], "--down"), "version")[0]["name"] == "diamond-price 1"


def test_predictions_that_were_replaced_are_not_called_live(asked: Any, at: Registry) -> None:
    assert at.uri
    settings = S3Settings.from_environment(os.environ)
    uri = f"s3://greenroom/{TABLE}"
    schema = schema_of(["diamond_id"])
    rows = live_columns(uri, schema.names, [("date", "=", OTHER), ("outcome", "=", "scored")], settings)
    assert rows is not None
    (batch,) = links(asked(TABLE, "--date", OTHER), "batch run")
    nobody = np.repeat("f" * 32, len(rows)).tolist()
    by_another = rows.set_column(schema.names.index("run_id"), "run_id", [nobody])
    by_another = by_another.drop_columns(["date", "outcome"])
    of_day = {"date": OTHER, "outcome": "scored"}
    part = write_part(uri, of_day, by_another, schema, Store.connect(settings))
    assert part is not None
    commit_parts(uri, [part], schema, ("date", OTHER), ["date", "outcome"], settings)
    down = asked(batch["name"], "--down")
    assert down["facts"]["predictions"] == "replaced since"
    # The run that made what is there now is not to be found, and the chain says so.
    (gone,) = links(asked(TABLE, "--date", OTHER), "batch run")
    assert gone["facts"]["known"] == "no more: the run is deleted, or not for this login to see"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["diamonds!"], 2, "'diamonds!' is no version (NAME/3, NAME/Production), run id or digest; a table"),
        (["diamond-price/99"], 2, "diamond-price has no version 99"),
        (["a" * 64], 1, f"No run that this login can see read data of the digest {'a' * 64}"),
        (["a" * 64, "--down"], 1, "expected that of a snapshot, or of rows with labels"),
        (["b" * 32, "--down"], 1, f"There is no run {'b' * 32} that this login can see"),
        ([TABLE, "--date", "1999-01-01"], 1, "has no predictions for 1999-01-01. Run the job:"),
        ([TABLE, "--date", DAY, "--key", "d1"], 2, "--key is 'd1', expected COLUMN=VALUE"),
        ([TABLE, "--date", DAY, "--key", "stone=d1"], 1, "has no column 'stone'; expected its row key"),
        (
            [TABLE, "--date", DAY, "--key", "diamond_id=d0"],
            1,
            f"has no row of {DAY} where diamond_id is 'd0'",
        ),
        ([TABLE, "--date", DAY, "--down"], 2, "Nothing is made of predictions here; leave --down out"),
        ([TABLE, "--key", "diamond_id=d0"], 2, "--key says a row of a day; give --date, too"),
    ],
)
def test_what_is_not_there_is_said(
    author: As, asked: Any, arguments: list[str], code: int, said: str
) -> None:
    assert asked
    ran = author(main, "lineage", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
