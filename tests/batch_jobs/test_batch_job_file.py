from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_model import scorer

from batch_jobs.code import _DECIDES
from batch_jobs.errors import JobFileError
from batch_jobs.job import RESERVED_COLUMNS, ROOT, job_names, parse_job, read_job
from batch_jobs.partition import schema_of
from expectations import load_suite
from projects.declaration import read_project

GOOD = yaml.safe_load((ROOT / "flight_delay.yaml").read_text())


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **changes}


def test_the_job_in_the_repository_is_read() -> None:
    job = read_job("flight_delay")
    assert job.name == "flight_delay"
    assert job.model == "models:/flight-delay/Production"
    assert job.row_key == ("flight_id",)


def test_every_column_of_the_table_is_reserved() -> None:
    assert set(schema_of([]).names) == RESERVED_COLUMNS


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "batch_jobs/j.yaml: found None, expected keys and values"),
        (changed(modle="x"), "batch_jobs/j.yaml: unknown key 'modle'; known are model, input,"),
        ({k: v for k, v in GOOD.items() if k != "output"}, "batch_jobs/j.yaml: the key 'output' is missing"),
        (changed(model=3), "batch_jobs/j.yaml: model is 3, expected text"),
        (changed(input="features"), "input is 'features', expected {date} in it, once"),
        (changed(row_key="id"), "row_key is 'id', expected a list of column names"),
        (changed(row_key=[]), "row_key is [], expected a list of column names"),
        (changed(limits={"quarantined_share": 2}), "limits: quarantined_share is 2, expected 0 to 1"),
        (changed(limits={"quarantined_share": True}), "quarantined_share is True, expected 0 to 1"),
        (changed(limits={"share": 0.1}), "batch_jobs/j.yaml: limits: unknown key 'share'"),
        (changed(suites={"input": "a"}), "batch_jobs/j.yaml: suites: the key 'predictions' is missing"),
        (
            changed(input="s3://b/in/date={date}", output="s3://b/in/out"),
            "input 's3://b/in/date={date}' and output 's3://b/in/out' lie inside each other",
        ),
        (changed(input="a/in/date={date}", output="a"), "lie inside each other, and the job would read"),
        (changed(input="{date}/in", output="out"), "lie inside each other"),
        (changed(data_docs=""), "batch_jobs/j.yaml: data_docs is '', expected text"),
        (
            changed(output="out", data_docs="out/docs"),
            "data_docs 'out/docs' and output 'out' lie inside each",
        ),
        (
            changed(input="in/date={date}", data_docs="in"),
            "data_docs 'in' and input 'in/date=' lie inside each other; expected two folders",
        ),
        (
            changed(row_key=["id", "prediction"]),
            "row_key has 'prediction', a column of the predictions; rename it",
        ),
    ],
)
def test_a_wrong_job_file_is_refused_with_file_key_and_value(found: Any, says: str) -> None:
    with pytest.raises(JobFileError) as refused:
        parse_job("j", found)
    assert says in str(refused.value)


def test_an_unknown_job_names_the_known_ones() -> None:
    with pytest.raises(JobFileError, match="There is no job 'flight'; there is: diamond_price, flight_delay"):
        read_job("flight")


@pytest.mark.parametrize("name", job_names())
def test_every_job_has_its_project_and_its_suites(name: str) -> None:
    job, project = read_job(name), read_project(name)
    assert job.model == f"models:/{project.model}/Production"
    assert job.input == f"{project.sources['features']}/date={{date}}"
    assert job.row_key == (project.row_key,)
    assert {job.input_suite, job.predictions_suite} == {f"{name}/input", f"{name}/predictions"}
    # What a job shows its suite: a column that it does not would stop every day.
    told = {column for each in load_suite(job.input_suite).expectations for column in each.columns}
    assert told <= {project.row_key, *project.features}


def test_every_module_that_decides_what_becomes_of_a_row_is_there() -> None:
    # One that moved would not be noticed: what is not there does not change.
    assert [pattern for pattern in _DECIDES if not list(ROOT.parent.glob(pattern))] == []


def test_what_predicts_decides() -> None:
    predicts = Path(inspect.getfile(type(scorer().side_by_side().evaluator)))
    assert predicts in {path for pattern in _DECIDES for path in ROOT.parent.glob(pattern)}
