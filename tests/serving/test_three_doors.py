"""The three doors to one artifact answer with the same bits, over a whole month of real rows."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from commands import REPOSITORY, As

import registry
from batch_jobs import job as job_module
from batch_jobs.__main__ import main as batch_jobs
from projects.__main__ import main as projects
from serving.__main__ import main as serving
from storage import S3Settings, Store

MODEL = "models:/flight-delay/Production"
FEATURES = "s3://greenroom/flight_delay/features"


@pytest.fixture(scope="module")
def environment(roles: dict[str, dict[str, str]], in_production: int) -> Iterator[dict[str, str]]:
    assert in_production == 1
    with pytest.MonkeyPatch.context() as patch:
        for name, value in roles["operator"].items():
            patch.setenv(name, value)
        yield roles["operator"]


@pytest.fixture(scope="module")
def scorer(environment: dict[str, str]) -> registry.Scorer:
    loaded = registry.load(registry.connect(environment), MODEL)
    assert isinstance(loaded, registry.Scorer)
    return loaded


@pytest.fixture(scope="module")
def july(environment: dict[str, str], scorer: registry.Scorer) -> pd.DataFrame:
    """Every flight of July, and on top of it what real rows do not hold."""
    store = Store.connect(S3Settings.from_environment(environment))
    days = [o for o in store.snapshot(FEATURES).objects if "date=2013-07" in o.uri]
    table = pa.concat_tables([pq.read_table(io.BytesIO(store.open(day).read())) for day in days])
    assert len(table) == 29_425
    frame: pd.DataFrame = table.select([column.name for column in scorer.columns]).to_pandas()
    rng = np.random.default_rng(2013)

    def some() -> npt.NDArray[np.int64]:
        return rng.choice(len(frame), 200, replace=False)

    for column in ("carrier", "origin", "dest"):
        frame.loc[some(), column] = None
        frame.loc[some(), column] = "ZZ"
        frame.loc[some(), column] = ""
    for column in ("temp", "distance", "sched_dep_time", "pressure"):
        for value in (np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-320, 16_777_217.0, -0.0):
            frame.loc[some(), column] = value
    return frame


@pytest.fixture(scope="module")
def fast(scorer: registry.Scorer, july: pd.DataFrame) -> npt.NDArray[np.float32]:
    return scorer.predict(pa.Table.from_pandas(july, preserve_index=False))


def bits(values: Any) -> npt.NDArray[np.uint32]:
    return np.asarray(values, dtype=np.float32).view(np.uint32)


def test_pyfunc_and_the_fast_scorer_agree(
    july: pd.DataFrame, fast: npt.NDArray[np.float32], environment: dict[str, str]
) -> None:
    assert environment
    model = mlflow.pyfunc.load_model(MODEL)
    answered = model.predict(july)
    assert answered.dtype == fast.dtype == np.float32
    assert (bits(answered) == bits(fast)).all()


def test_mlflow_models_serve_and_the_fast_scorer_agree(
    july: pd.DataFrame, fast: npt.NDArray[np.float32], endpoint: str
) -> None:
    # JSON has no infinity: the rows that hold one cannot be asked over HTTP.
    finite = np.isfinite(july.select_dtypes("number").fillna(0.0).to_numpy()).all(axis=1)
    rows = july[finite]
    answers: list[float] = []
    for start in range(0, len(rows), 2000):
        records = rows.iloc[start : start + 2000].to_dict(orient="records")
        clean = [{k: None if _missing(v) else v for k, v in record.items()} for record in records]
        response = requests.post(f"{endpoint}/invocations", json={"dataframe_records": clean}, timeout=60)
        assert response.status_code == 200, response.text
        answers += response.json()["predictions"]
    assert len(answers) > 25_000
    assert (bits(answers) == bits(fast[finite])).all()


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def test_one_row_alone_gets_the_same_bits_as_in_its_month(
    scorer: registry.Scorer, july: pd.DataFrame, fast: npt.NDArray[np.float32]
) -> None:
    for row in range(0, len(july), 997):
        one = scorer.predict(pa.Table.from_pandas(july.iloc[row : row + 1], preserve_index=False))
        assert bits(one)[0] == bits(fast)[row]


def test_an_unseen_carrier_is_a_missing_one_and_no_error(endpoint: str) -> None:
    row = {
        "carrier": "ZZ", "origin": "JFK", "dest": "LAX", "sched_dep_time": 900, "sched_arr_time": 1200,
        "weekday": 1, "distance": 2475, "temp": 60.1, "dewp": 50, "humid": 70, "wind_dir": 10,
        "wind_speed": 8, "wind_gust": None, "precip": 0, "pressure": 1012, "visib": 10,
    }  # fmt: skip
    asked = {"dataframe_records": [row, {**row, "carrier": None}, {**row, "carrier": "UA"}]}
    response = requests.post(f"{endpoint}/invocations", json=asked, timeout=60)
    unseen, missing, known = response.json()["predictions"]
    assert unseen == missing
    assert unseen != known


def test_smoke_compares_the_endpoint_with_the_batch_table(operator: As, endpoint: str) -> None:
    assert operator(batch_jobs, "run", "flight_delay", "--date", "2013-07-09").code == 0
    arguments = ["smoke", "flight_delay/predictions", "--date", "2013-07-09", "--url", endpoint]
    ran = operator(serving, *arguments)
    assert ran.code == 0, ran.err
    assert "1,001 rows of 2013-07-09 answered bit for bit as the batch job wrote them" in ran.out
    assert "(flight-delay version 1)" in ran.out


def test_smoke_tells_when_the_answers_differ(operator: As, endpoint: str, author: As, tmp_path: Path) -> None:
    """The endpoint serves version 1; the day is scored by another version, trained on less."""
    trained = author(projects, "train", "flight_delay", "--sample", "0.05").out
    number = trained.split("version ")[1].split(",")[0]
    text = (job_module.ROOT / "flight_delay.yaml").read_text()
    (tmp_path / "flight_delay.yaml").write_text(
        text.replace("flight-delay/Production", f"flight-delay/{number}")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_module, "ROOT", tmp_path)
        assert operator(batch_jobs, "run", "flight_delay", "--date", "2013-07-10").code == 0
    ran = operator(serving, "smoke", "flight_delay/predictions", "--date", "2013-07-10", "--url", endpoint)
    assert ran.code == 1
    assert "rows differently from the batch job; the first is row 0: found 0." in ran.err
    assert f"as version {number} wrote. Does the endpoint serve another version?" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ["--date", "2013-07-09", "--url", "http://127.0.0.1:1"],
            75,
            "Nothing answers at http://127.0.0.1:1",
        ),
        (["--date", "2013-01-01"], 1, "has no scored rows for 2013-01-01; run the batch job first"),
        (["--date", "July"], 2, "'July' is not a date; expected YYYY-MM-DD"),
        (["--date", "2013-07-09", "--rows", "0"], 2, "'0' is not a count; expected at least 1"),
    ],
)
def test_smoke_says_what_it_cannot_do(
    operator: As, endpoint: str, arguments: list[str], code: int, says: str
) -> None:
    assert endpoint
    ran = operator(serving, "smoke", "flight_delay/predictions", *arguments)
    assert (ran.code, says in ran.err) == (code, True), ran.err


def test_help_is_quick() -> None:
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "serving", "--help"], cwd=REPOSITORY, check=True, capture_output=True
        )
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.5
