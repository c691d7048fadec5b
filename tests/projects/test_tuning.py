"""Tuning: what is tried on which rows, what a kill leaves, and what a training makes of the result."""

from __future__ import annotations

import datetime as dt
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from commands import REPOSITORY, As

from projects.__main__ import main
from projects.declaration import Project, read_project
from projects.errors import ProjectError, UnfitTrainingDataError
from projects.parts import Window
from projects.rows.labelled import find_or_write
from projects.rows.labelling import LABEL
from projects.runs import Workplace
from projects.tuning.held_back import hold_back
from projects.tuning.search import Choice, Range, Search
from projects.tuning.tune import tune

if TYPE_CHECKING:
    from mlflow.entities import Run

    from registry import Registry

pytest_plugins = ["projects_fixtures"]

DAYS = Window(dt.date(2024, 1, 1), dt.date(2024, 1, 10))
SEARCH = Search(
    metric="rmse",
    trials=4,
    rounds=30,
    patience=5,
    space={"max_depth": Range(2, 6), "grow_policy": Choice(("depthwise", "lossguide"))},
)
SOURCE = "tuned/sales"


def sales(**changed: object) -> Project:
    """A project whose rows know their day, small enough to be searched in a test."""
    project = replace(
        read_project("diamond_price"),
        model="diamond-sales",
        features={"carat": "number", "color": "category"},
        time="sold_at",
        window=DAYS,
        validation_days=3,
        held_out=None,
        slices={},
        sources={"features": SOURCE},
        rounds=10,
        parameters={
            **read_project("diamond_price").parameters,
            "grow_policy": "depthwise",
            "colsample_bytree": 1.0,
        },
        search=SEARCH,
    )
    return replace(project, **changed)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def work(at: Registry) -> Workplace:  # noqa: ARG001  # the environment is the author's
    place = Workplace.connect(os.environ)
    rng = np.random.default_rng(5)
    rows = 3000
    carat, day = rng.uniform(0.2, 3, rows), rng.integers(0, 10, rows)
    table = pa.table(
        {
            "diamond_id": [f"d{n}" for n in range(rows)],
            "carat": carat,
            "color": rng.choice(["D", "E", "F"], rows),
            "sold_at": pa.array((np.datetime64("2024-01-01") + day).astype("datetime64[us]")),
            "price": 4000 * carat**1.5 + rng.normal(0, 500, rows),
        }
    )
    body = io.BytesIO()
    pq.write_table(table, body)
    place.store.write(f"s3://greenroom/{SOURCE}/all.parquet", body.getvalue())
    return place


def children(work: Workplace, run_id: str) -> list[Run]:
    client = work.registry.client
    experiment = client.get_run(run_id).info.experiment_id
    found = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return sorted(found, key=lambda child: int(child.info.run_name.removeprefix("trial ")))


def test_the_last_days_are_held_back(work: Workplace) -> None:
    labelled = find_or_write(sales(), DAYS, work.store, work.environment)
    learn, held = hold_back(sales(), labelled, DAYS)
    prices = {label for rows in (learn, held) for table in rows() for label in table[LABEL].to_pylist()}
    late = {
        price
        for table in labelled.batches(["_day", LABEL])
        for day, price in zip(table["_day"].to_pylist(), table[LABEL].to_pylist(), strict=True)
        if day >= dt.date(2024, 1, 8)
    }
    assert {label for table in held() for label in table[LABEL].to_pylist()} == late
    assert len(prices) == 3000


def test_the_same_keys_are_held_back_where_there_is_no_time(author: As, work: Workplace) -> None:
    author(main, "deliver", "diamond_price")
    project = read_project("diamond_price")
    part = project.training_part()
    labelled = find_or_write(project, part, work.store, work.environment)
    learn, held = hold_back(project, labelled, part)
    some, others = (sum(len(table) for table in rows()) for rows in (learn, held))
    assert some + others == sum(len(table) for table in labelled.batches([LABEL]))
    assert 0.19 < others / (some + others) < 0.21


def test_trials_are_runs_and_the_best_is_not_worse_than_what_is_declared(work: Workplace) -> None:
    heard: list[str] = []
    place = replace(work, progress=lambda what, _done, _total: heard.append(what))
    found = tune(sales(seed=1), DAYS, None, place)

    assert (found.trials, found.before) == (4, 0)
    assert found.declared is not None
    assert found.best <= found.declared
    assert [re.sub(r"[\d.]+$", "…", what) for what in heard[-4:]][1] == "Trial 2 of 4, best rmse …"
    run = work.registry.client.get_run(found.run_id)
    assert run.data.metrics["best_rmse"] == found.best
    assert run.data.params["best_max_depth"] == str(found.parameters["max_depth"])
    trials = children(work, found.run_id)
    assert [trial.info.status for trial in trials] == ["FINISHED"] * 4
    best = min(trials, key=lambda trial: trial.data.metrics["best_rmse"])
    assert best.data.metrics["best_rmse"] == found.best
    assert best.data.metrics["rounds"] == found.rounds
    curve = work.registry.client.get_metric_history(best.info.run_id, "rmse")
    assert min(point.value for point in curve) == found.best
    plots = {f.path for f in work.registry.client.list_artifacts(found.run_id, "plots")}
    assert plots == {"plots/history.png", "plots/parameters.png"}


def test_a_search_is_repeated_to_the_digit(work: Workplace, tmp_path: object) -> None:
    found = [
        tune(sales(seed=2), DAYS, 3, replace(work, environment={**work.environment, "GREENROOM_STUDIES": db}))
        for db in (f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/two.db")
    ]
    assert (found[0].best, found[0].parameters) == (found[1].best, found[1].parameters)


KILLED = """
import os, signal, sys
sys.path.insert(0, "tests/projects")
import optuna
from projects.runs import Workplace
from projects.tuning.tune import tune
from test_tuning import DAYS, sales

report = optuna.Trial.report
def die_in_the_third(trial, value, step):
    if trial.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    report(trial, value, step)
optuna.Trial.report = die_in_the_third
tune(sales(seed=3), DAYS, None, Workplace.connect(os.environ))
"""


def test_a_search_that_was_killed_goes_on(work: Workplace) -> None:
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    died = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert died.returncode == -9, died.stderr
    client = work.registry.client
    experiment = client.get_experiment_by_name("diamond-sales").experiment_id
    (left,) = client.search_runs([experiment], "attributes.status = 'RUNNING'")
    assert len(children(work, left.info.run_id)) == 2

    found = tune(sales(seed=3), DAYS, None, work)
    assert (found.trials, found.before) == (4, 2)
    assert [trial.info.run_name for trial in children(work, found.run_id)] == [
        "trial 0",
        "trial 1",
        "trial 3",
        "trial 4",
    ]
    assert client.get_run(left.info.run_id).info.status == "KILLED"
    # Nothing is left to be done.
    again = tune(sales(seed=3), DAYS, None, work)
    assert (again.trials, again.before, again.best) == (4, 4, found.best)


def test_what_it_found_is_trained_and_reproduced(author: As, work: Workplace) -> None:
    author(main, "deliver", "diamond_price")
    short = replace(SEARCH, trials=2, rounds=15, space={"max_depth": Range(3, 6)})
    project = read_project("diamond_price")
    found = tune(replace(project, search=short), project.training_part(), None, work)
    trained = author(main, "train", "diamond_price", "--tuned", found.run_id)
    assert trained.code == 0, trained.err
    newest = max(
        work.registry.client.search_model_versions("name='diamond-price'"), key=lambda v: int(v.version)
    )
    run = work.registry.client.get_run(newest.run_id)
    assert run.data.params["max_depth"] == str(found.parameters["max_depth"])
    assert run.data.params["rounds"] == str(found.rounds)
    assert run.data.tags["greenroom.tuned_by"] == found.run_id
    again = author(main, "reproduce", newest.run_id)
    assert again.out.endswith("trained again: the same artifact, to the byte\n"), again.out

    ran = author(main, "train", "flight_delay", "--tuned", found.run_id)
    assert ran.code == 1
    assert f"The run {found.run_id} is of the project diamond_price, expected flight_delay" in ran.err
    ran = author(main, "train", "diamond_price", "--tuned", newest.run_id)
    assert f"The run {newest.run_id} keeps no tuned/project.yaml; expected" in ran.err


def test_what_cannot_be_searched_is_said(work: Workplace) -> None:
    with pytest.raises(ProjectError) as refusal:
        tune(sales(search=None), DAYS, None, work)
    assert str(refusal.value).startswith("The project diamond_price declares no search; add the key `search`")
    with pytest.raises(UnfitTrainingDataError) as short:
        tune(sales(), Window(dt.date(2024, 1, 1), dt.date(2024, 1, 3)), None, work)
    assert "has 3 days, and the last 3 (validation_days) are held back" in str(short.value)
    strange = replace(SEARCH, space={"grow_policy": Choice(("sideways",))})
    with pytest.raises(ProjectError, match=r"^XGBoost refuses the parameters .*'grow_policy': 'sideways'"):
        tune(sales(search=strange), DAYS, None, work)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "GREENROOM_STUDIES, the database that keeps studies, is not set; expected an address"),
        ("nowhere", "GREENROOM_STUDIES is no address of a database; expected"),
        ("sqlite:////no/such/folder/studies.db", "Could not open the studies in sqlite:////no/such/folder"),
    ],
)
def test_studies_need_a_database(work: Workplace, address: str, said: str) -> None:
    place = replace(work, environment={**work.environment, "GREENROOM_STUDIES": address})
    with pytest.raises(ProjectError) as refusal:
        tune(sales(), DAYS, None, place)
    assert str(refusal.value).startswith(said)


SPACE = {"max_depth": {"from": 3, "to": 9}}
GOOD = {"metric": "mae", "trials": 3, "rounds": 50, "patience": 5, "space": SPACE}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trial": 3}, "search: unknown key 'trial'; known are metric, trials, rounds, patience, space"),
        ({"trials": 0}, "search: trials is 0, expected at least 1"),
        ({"metric": "auc"}, "search: metric: auc is no metric of regression; for regression there is: rmse"),
        ({"metric": "bias"}, "search: metric: bias is best in the middle; expected one that is better"),
        ({"space": {}}, "search: space is empty, expected at least one parameter"),
        ({"space": {"eta": {"from": 1, "to": 1}}}, "search: space: eta: it goes from 1 to 1; expected two"),
        ({"space": {"eta": {"from": 0, "to": 1, "scale": "log"}}}, "eta: it goes from 0; on a log scale"),
        (
            {"space": {"eta": {"from": 1, "to": 2, "scale": "cubic"}}},
            "eta: scale is 'cubic', expected linear",
        ),
        ({"space": {"eta": {"among": []}}}, "eta: among is [], expected numbers or words"),
        ({"space": {"eta": {"up_to": 3}}}, "eta: unknown key 'up_to'; known are from, to, scale"),
        ({"space": {"eta": 3}}, "eta: found 3, expected keys and values"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_search_that_makes_no_sense_is_refused(changed: dict[str, object], said: str) -> None:
    from projects.errors import DeclarationError
    from projects.parsing import parse_project

    declared = yaml.safe_load(read_project("diamond_price").text)
    declared["search"] = {**GOOD, **changed}
    with pytest.raises(DeclarationError) as refusal:
        parse_project("diamond_price", declared)
    assert said in str(refusal.value)
