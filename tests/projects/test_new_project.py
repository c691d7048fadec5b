"""`python -m projects new`: from delivered data to a project that trains, and what it refuses."""

from __future__ import annotations

import ast
import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from commands import As, Ran
from pyarrow import csv, parquet

import deploy
from batch_jobs import job
from batch_jobs.__main__ import main as batch_jobs
from batch_jobs.job import read_job
from expectations import TableFacts, suite
from expectations.measuring import measure
from projects import declaration
from projects.__main__ import main
from projects.declaration import parse_text, read_project
from projects.drafts.drafting import draft_project
from projects.drafts.spelling import spell_package, spell_project
from registry.__main__ import main as registry
from storage import S3Settings, Store

CUSTOMERS = "s3://greenroom/new/customers"
HOUSES = "houses/sold"


def customers(n: int) -> pa.Table:
    """One day of customers: who left. Beside what can be learnt from, each kind of what cannot."""
    draw = np.random.default_rng(n)
    rows = 150
    visits, plan = draw.integers(0, 30, rows), draw.choice(["basic", "plus", "pro"], rows)
    left = (draw.random(rows) < 1 / (1 + np.exp(visits / 5 - 2 + (plan == "pro")))).astype("int64")
    return pa.table(
        {
            "customer": [f"c{n:02d}{row:04d}" for row in range(rows)],
            "visits": visits,
            "plan": plan,
            "spent": np.where(draw.random(rows) < 0.1, np.nan, draw.gamma(2, 40, rows)),
            "mail": [f"c{n}-{row}@example.org" for row in range(rows)],
            "country": ["NL"] * rows,
            "fax": pa.nulls(rows, pa.string()),
            "closed": left.astype("float64"),
            "since": [dt.date(2020, 1, 1) + dt.timedelta(days=row) for row in range(rows)],
            "asked": draw.random(rows) < 0.5,
            "left": left,
        }
    )


def houses() -> pa.Table:
    draw = np.random.default_rng(7)
    rows = 2500
    size, city = draw.uniform(30, 250, rows).round(1), draw.choice(["Ghent", "Liège", "on: #1"], rows)
    price = size * 2100 + (city == "Ghent") * 60_000 + draw.normal(0, 20_000, rows)
    return pa.table({"house": np.arange(rows), "size m²": size, "city": city, "price": price.round(2)})


@pytest.fixture(scope="module", autouse=True)
def _both_tables(stack: deploy.Stack) -> None:
    store = Store.connect(S3Settings.from_environment(stack.environment("author")))
    for n in range(1, 21):
        buffer = io.BytesIO()
        parquet.write_table(customers(n), buffer)
        store.write(f"{CUSTOMERS}/date=2024-05-{n:02d}/part-0.parquet", buffer.getvalue())
    buffer = io.BytesIO()
    csv.write_csv(houses(), buffer)
    store.write(f"s3://greenroom/{HOUSES}/all.csv", buffer.getvalue())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree, where all three rooms look for their files."""
    monkeypatch.setattr(declaration, "ROOT", tmp_path / "projects")
    monkeypatch.setattr(suite, "ROOT", tmp_path / "expectations")
    monkeypatch.setattr(job, "ROOT", tmp_path / "batch_jobs")
    return tmp_path


def new_churn(author: As, *more: str) -> Ran:
    return author(main, "new", "new_churn", "--data", CUSTOMERS, "--label", "left", "--time", "date", *more)


def test_a_project_with_time_trains_passes_and_scores(
    author: As, reviewer: As, operator: As, root: Path
) -> None:
    ran = new_churn(author, "--key", "customer")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"Drafted new_churn from 3,000 rows under {CUSTOMERS}/",
        "  label    left: binary:logistic; row key customer",
        "  features 2 numbers, 1 categories",
        "  left out mail: it has about as many values as the 3,000 rows: it names them, as an id does",
        "  left out country: it has the same value in every row",
        "  left out fax: it is null in every row",
        "  left out closed: it equals the label in every row: it would not be known when the model is asked",
        "  left out since: it is a time; deliver what matters of it as a number: the hour, the weekday",
        "  left out asked: it is true or false, which a batch job does not take; deliver it as 0 and 1",
        "  wrote    projects/new_churn/__init__.py",
        "  wrote    projects/new_churn/project.yaml",
        "  wrote    expectations/new_churn/input.json",
        "  wrote    expectations/new_churn/predictions.json",
        "  wrote    batch_jobs/new_churn.yaml",
        "  next     decide what says Review in them and edit the suites; then train:",
        "           mlflow run . --env-manager local --experiment-name new-churn -P project=new_churn",
    ]
    text = (root / "projects/new_churn/project.yaml").read_text()
    assert "  plan: category  # 'basic', 'plus', 'pro'\n" in text
    assert "  # country is left out: it has the same value in every row\n" in text
    project = read_project("new_churn")
    assert project.features == {"visits": "number", "plan": "category", "spent": "number"}
    assert (str(project.window), project.validation_days) == ("2024-05-01 to 2024-05-12", 8)
    assert project.sources == {"features": "new/customers"}
    assert project.dataset is None

    trained = author(main, "train", "new_churn")
    assert trained.code == 0, trained.err
    assert "Registered new-churn version 1, trained on 2024-05-01 to 2024-05-12" in trained.out
    judged = author(main, "validate", "new_churn", "--version", "1")
    assert judged.code == 0, judged.out + judged.err
    assert "new-churn version 1: validation passed\n" in judged.out
    assert "judged on 2024-05-13 to 2024-05-20, 1,200 rows; compared with nothing" in judged.out

    assert author(registry, "request", "new-churn", "1", "--reason", "drafted").code == 0
    assert reviewer(registry, "approve", "new-churn", "1", "--reason", "looked").code == 0
    scored = operator(batch_jobs, "run", "new_churn", "--date", "2024-05-20", "--json")
    assert scored.code == 0, scored.err
    (report,) = json.loads(scored.out)
    assert (report["rows"], report["scored"]) == (150, 150)


def test_a_project_without_time_trains_and_passes(author: As, root: Path) -> None:
    ran = author(main, "new", "new_house", "--data", HOUSES, "--label", "price", "--key", "house")
    assert (ran.code, ran.err) == (0, "")
    assert (
        "  label    price: reg:squarederror; row key house\n  features 1 numbers, 1 categories\n" in ran.out
    )
    project = read_project("new_house")
    assert project.features == {"size m²": "number", "city": "category"}
    assert (project.held_out, project.time) == (0.2, None)
    assert project.sources == {"features": HOUSES}
    assert read_job("new_house").input == f"{HOUSES}/date={{date}}"
    assert "# Review: no such folders are there yet" in (root / "batch_jobs/new_house.yaml").read_text()

    assert author(main, "train", "new_house").code == 0
    judged = author(main, "validate", "new_house", "--version", "1")
    assert judged.code == 0, judged.out + judged.err
    assert "new-house version 1: validation passed\n" in judged.out
    nothing = author(main, "deliver", "new_house")
    assert (nothing.code, nothing.out) == (1, "")
    assert "The project new_house has no example data" in nothing.err


def test_a_key_that_is_not_named_is_found(author: As, root: Path) -> None:
    assert "row key customer\n" in new_churn(author).out
    ran = author(main, "new", "new_house", "--data", HOUSES, "--label", "price")
    assert ran.code == 2
    assert "No text column under s3://greenroom/houses/sold/ has another value in each row" in ran.err
    assert not (root / "projects/new_house").exists()


def test_a_time_can_be_a_column(author: As, root: Path) -> None:
    ran = author(main, "new", "new_churn", "--data", CUSTOMERS, "--label", "left", "--time", "since")
    assert ran.code == 0, ran.err
    project = read_project("new_churn")
    # 150 days; a fifth is kept.
    assert (str(project.window), project.validation_days) == ("2020-01-01 to 2020-04-29", 30)
    assert root.exists()


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        (
            {"NAME": "flight-delay"},
            2,
            "The name 'flight-delay' is no project's; expected letters, digits and",
        ),
        ({"NAME": "class"}, 2, "The name 'class' is no project's"),
        ({"NAME": "../up"}, 2, "The name '../up' is no project's"),
        (
            {"NAME": "taken"},
            2,
            "The name 'taken' is taken: expectations/taken is there already; choose anoth",
        ),
        (
            {"--data": "s3://greenroom/nothing"},
            3,
            "There are no rows under s3://greenroom/nothing/; expected",
        ),
        ({"--data": "new"}, 2, "The data lies in s3://greenroom/new, where the project would put what it"),
        (
            {"--label": "gone"},
            3,
            "There is no column 'gone' for the label under s3://greenroom/new/customers/;",
        ),
        (
            {"--label": "plan"},
            2,
            "The label 'plan' holds values that are text, expected numbers, or 0 and 1;",
        ),
        ({"--label": "country"}, 2, "The label 'country' holds values that are text, expected numbers"),
        ({"--key": "left"}, 2, "The column 'left' is named as key and as label; expected two columns"),
        ({"--key": "visits"}, 2, "The column 'visits' has the same value in more than one of 3,000 rows"),
        ({"--key": "spent"}, 2, "The column 'spent' holds no text and no whole numbers, expected another"),
        (
            {"--time": "plan"},
            2,
            "The column 'plan' holds no times, expected dates or timestamps, or date for",
        ),
        ({"--data": HOUSES, "--label": "price", "--key": "house"}, 2, "--time date means folders date=YYYY-"),
        (
            {"--data": f"{CUSTOMERS}/date=2024-05-01"},
            2,
            "The rows cannot be split by day: the only day is 20",
        ),
    ],
)
def test_what_is_refused_leaves_nothing(
    author: As, root: Path, changed: dict[str, str], code: int, said: str
) -> None:
    (root / "expectations/taken").mkdir(parents=True)
    given = {"NAME": "new", "--data": CUSTOMERS, "--label": "left", "--key": "customer", "--time": "date"}
    name, *options = {**given, **changed}.items()
    ran = author(main, "new", name[1], *(word for option in options for word in option))
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(f"projects: {said}")
    assert ran.err.count("\n") == 1
    assert [path.name for path in root.rglob("*")] == ["expectations", "taken"]


def test_any_column_name_can_be_written_down() -> None:
    names = ["a: b", "no", "1", "#", "it's", 'say "x"', "two\nlines", "\\", "{date}", "-", "é", " "]
    values = pa.chunked_array([pa.array([0.5, 1.5, 1.5])])
    columns = {name: measure(name, values, written=False, label=None) for name in names}
    keys = pa.chunked_array([pa.array(["a", "b", "c"])])
    columns["the: key"] = measure("the: key", keys, written=False, label=None)
    facts = TableFacts("s3://b/rows/", columns, (), frozenset())
    draft = draft_project("odd", "rows", facts, label='say "x"', key="the: key", time=None)
    project = parse_text("odd", spell_project(draft).encode())
    assert (project.label, project.row_key) == ('say "x"', "the: key")
    assert [*project.features] == [name for name in names if name != 'say "x"']
    assert ast.get_docstring(ast.parse(spell_package(draft))) == "odd: The number say 'x'."


def test_what_cannot_be_written_is_taken_back(author: As, root: Path) -> None:
    # A file where the last folder has to be: as full as a disk can be.
    (root / "batch_jobs").write_text("")
    ran = new_churn(author)
    assert ran.code == 1
    assert "The project could not be written, and nothing of it is left: " in ran.err
    assert list(root.rglob("new_churn*")) == []
