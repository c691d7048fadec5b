"""The table of differences from MLflow in docs/serving.md, row by row, against MLflow's own server.

Both are asked over HTTP or ASGI with the same bytes about the same artifact. A new MLflow that answers
otherwise fails here, and the table is to be written anew.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import requests
from endpoints import Endpoint, serving
from local_versions import loaded, publish, write_tiny
from mlflow.models import infer_signature
from mlflow_server import MlflowServer, mlflow_serves

from serving.contract.limits import Limits

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
# What the artifact answers for a short flight, and for one that is long, or of unknown length.
NEAR, FAR = 0.32162535190582275, 0.3243011236190796
ROW = '{"carrier":"AA","distance":1}'
MIB = 1024 * 1024


def of(distance: str) -> str:
    return f'{{"dataframe_records":[{{"carrier":"AA","distance":{distance}}}]}}'


def parquet(**columns: list[object]) -> bytes:
    written = io.BytesIO()
    pd.DataFrame(columns).to_parquet(written)
    return written.getvalue()


@dataclass(frozen=True)
class Difference:
    """A request that MLflow answers with these predictions, and we with this sentence.

    `compat` is whether `--compat mlflow` leaves it to MLflow.
    """

    row: str
    body: str | bytes
    theirs: list[float]
    ours: str
    kind: str = JSON
    model: str = "tiny"
    status: int = 400
    compat: bool = True


ACCEPTED = [
    Difference(
        "3.5 for a whole number",
        of("3.5"),
        [NEAR],
        "row 0, column 'distance': found a number with decimals, expected a whole number of 64 bits",
        model="whole",
    ),
    Difference(
        "a key twice in a row",
        '{"dataframe_records":[{"carrier":"AA","distance":1,"distance":2500}]}',
        [FAR],
        "A key comes twice in one object of the body; which one is meant cannot be told",
    ),
    Difference(
        "a key twice at the top",
        f'{{"dataframe_records":[{ROW}],"dataframe_records":[{{"carrier":"AA","distance":2500}}]}}',
        [FAR],
        "A key comes twice in one object of the body; which one is meant cannot be told",
    ),
    Difference("NaN", of("NaN"), [FAR], "JSON has no NaN and no Infinity: send null"),
    Difference("Infinity", of("Infinity"), [FAR], "JSON has no NaN and no Infinity: send null"),
    Difference("1e999", of("1e999"), [FAR], "number is infinity when parsed as double"),
    Difference(
        "text for a number",
        of('"1.5"'),
        [NEAR],
        "row 0, column 'distance': found text, expected a number or null",
    ),
    Difference(
        "a boolean for a number",
        of("true"),
        [NEAR],
        "row 0, column 'distance': found true or false, expected a number or null",
    ),
    Difference(
        "a number for text",
        '{"dataframe_records":[{"carrier":7,"distance":1}]}',
        [NEAR],
        "row 0, column 'carrier': found a whole number, expected text or null",
    ),
    Difference(
        "a boolean for text",
        '{"dataframe_records":[{"carrier":true,"distance":1}]}',
        [NEAR],
        "row 0, column 'carrier': found true or false, expected text or null",
    ),
    Difference(
        "an unknown column",
        '{"dataframe_records":[{"carrier":"AA","distance":1,"x":2}]}',
        [NEAR],
        "row 0, column 'x': found a column that the model does not have, expected only carrier, distance",
    ),
    Difference(
        "an unknown column in Parquet",
        parquet(carrier=["AA"], distance=[1.0], x=[2]),
        [NEAR],
        "column 'x': found a column that the model does not have, expected only carrier, distance",
        kind=PARQUET,
    ),
    Difference(
        "an unknown key at the top",
        f'{{"dataframe_records":[{ROW}],"foo":1}}',
        [NEAR],
        "The body has 1 unknown keys beside 'dataframe_records', expected at most 'params'",
    ),
    Difference(
        "a column missing in some records",
        f'{{"dataframe_records":[{ROW},{{"carrier":"AA"}}]}}',
        [NEAR, FAR],
        "row 1, column 'distance': found no such column, expected a number or null",
    ),
    Difference(
        "a short row of dataframe_split",
        '{"dataframe_split":{"columns":["carrier","distance"],"data":[["AA",1],["AA"]]}}',
        [NEAR, FAR],
        "row 1: found 1 cells, expected a list of 2 cells",
    ),
    Difference(
        "a column of one cell beside longer ones",
        '{"inputs":{"carrier":["AA","AA"],"distance":1}}',
        [NEAR, NEAR],
        "'inputs' has columns of 1, 2 values, expected one length for all",
    ),
    Difference(
        "no rows",
        '{"dataframe_split":{"columns":["carrier","distance"],"data":[]}}',
        [],
        "The request has no rows; expected at least one",
    ),
    Difference("no rows in CSV", "carrier,distance\n", [], "The request has no rows", kind=CSV),
    Difference(
        "an unknown parameter",
        f'{{"dataframe_records":[{ROW}],"params":{{"explian":true}}}}',
        [NEAR],
        "'params' has 1 that the model does not know; the only one is 'explain'",
    ),
    Difference(
        "params that are none",
        f'{{"dataframe_records":[{ROW}],"params":5}}',
        [NEAR],
        "'params' is not an object; the only parameter is 'explain', true or false",
    ),
    Difference("UTF-16", of("1").encode("utf-16"), [NEAR], "str is not valid UTF-8"),
    Difference(
        "a byte order mark before JSON", b"\xef\xbb\xbf" + of("1").encode(), [NEAR], "byte order mark"
    ),
    Difference(
        "an extra CSV field",
        "carrier,distance\nAA,1,2500\n",
        [FAR],
        "row 0: found 3 cells, expected 2, as the header has",
        kind=CSV,
    ),
    Difference(
        "a short CSV row",
        "carrier,distance\nAA\n",
        [FAR],
        "row 0: found 1 cells, expected 2, as the header has",
        kind=CSV,
    ),
    Difference(
        "a CSV column twice",
        "carrier,distance,distance\nAA,1,2500\n",
        [NEAR],
        "The header names 1 columns more than once",
        kind=CSV,
    ),
    Difference(
        "an unknown CSV column",
        "carrier,distance,x\nAA,1,5\n",
        [NEAR],
        "column 'x': found a column that the model does not have",
        kind=CSV,
    ),
    Difference(
        "inf in CSV",
        "carrier,distance\nAA,inf\n",
        [FAR],
        "row 0, column 'distance': found text, expected a number or null",
        kind=CSV,
    ),
    Difference(
        "1e999 in CSV",
        "carrier,distance\nAA,1e999\n",
        [FAR],
        "row 0, column 'distance': found a number beyond 64 bits, expected a number or null",
        kind=CSV,
    ),
    Difference(
        "True for a number in CSV",
        "carrier,distance\nAA,True\n",
        [NEAR],
        "row 0, column 'distance': found text, expected a number or null",
        kind=CSV,
    ),
    Difference(
        "a NUL in CSV", "carrier,distance\nA\0A,1\n", [NEAR], "The body holds a NUL character", kind=CSV
    ),
    Difference(
        "a body beyond the limit",
        of("1") + " " * (16 * MIB),
        [NEAR],
        "The body is larger than 16,777,216 bytes, which is as much as is read",
        status=413,
        compat=False,
    ),
    Difference(
        "more rows than the limit",
        "carrier,distance\n" + "AA,1\n" * 100_001,
        [NEAR] * 100_001,
        "The request has 100,001 rows, expected at most 100,000",
        kind=CSV,
        status=413,
        compat=False,
    ),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folders(cache: Path) -> dict[str, Path]:
    tiny = write_tiny(cache / "models" / "tiny")
    # As a model whose signature has a whole number, which ours never have.
    whole = cache / "models" / "whole"
    shutil.copytree(tiny, whole)
    described = (whole / "MLmodel").read_text()
    assert '"double"' in described
    (whole / "MLmodel").write_text(described.replace('"double"', '"long"'))
    (whole / "serving_input_example.json").unlink()
    return {"tiny": tiny, "whole": whole}


@pytest.fixture(scope="module")
def theirs(folders: dict[str, Path]) -> Iterator[dict[str, MlflowServer]]:
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with mlflow_serves(folders["tiny"]) as tiny, mlflow_serves(folders["whole"]) as whole:
        yield {"tiny": tiny, "whole": whole}


@pytest.fixture(scope="module")
def environment(cache: Path, folders: dict[str, Path]) -> dict[str, str]:
    publish(cache, "whole", 1, folders["whole"])
    return publish(cache, "tiny", 1, folders["tiny"])


@pytest.fixture(scope="module")
def ours(cache: Path, environment: dict[str, str]) -> Iterator[Endpoint]:
    with serving(cache / "strict", environment, "tiny whole", "--offline") as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def lenient(cache: Path, environment: dict[str, str]) -> Iterator[Endpoint]:
    with serving(cache / "lenient", environment, "tiny whole", "--offline", "--compat", "mlflow") as endpoint:
        yield endpoint


def sent(difference: Difference) -> bytes:
    return difference.body.encode() if isinstance(difference.body, str) else difference.body


def ask(endpoint: Endpoint, difference: Difference) -> requests.Response:
    url = f"{endpoint.url}/models/{difference.model}/invocations"
    return requests.post(url, sent(difference), headers={"Content-Type": difference.kind}, timeout=60)


@pytest.mark.filterwarnings(
    "ignore:Constructing a DataFrame from a list of sequences"
)  # of pandas, in MLflow
@pytest.mark.parametrize("difference", ACCEPTED, ids=lambda difference: difference.row)
def test_mlflow_answers_what_we_refuse(
    theirs: dict[str, MlflowServer], ours: Endpoint, difference: Difference
) -> None:
    said = theirs[difference.model].ask(sent(difference), {"Content-Type": difference.kind})
    assert (said.status, json.loads(said.body)) == (200, {"predictions": difference.theirs})
    answer = ask(ours, difference)
    assert answer.status_code == difference.status
    assert difference.ours in answer.json()["message"]


@pytest.mark.parametrize("difference", ACCEPTED, ids=lambda difference: difference.row)
def test_compat_mlflow_turns_the_lenient_ones_back(lenient: Endpoint, difference: Difference) -> None:
    answer = ask(lenient, difference)
    if difference.compat:
        assert (answer.status_code, answer.json()) == (200, {"predictions": difference.theirs})
    else:
        assert answer.status_code == difference.status


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        pytest.param(of("1"), None, 415, "The request has no Content-Type", id="no Content-Type"),
        pytest.param(of("9" * 5000), JSON, 400, "number is infinity", id="5,000 digits"),
        pytest.param(of("[" * 2000 + "]" * 2000), JSON, 400, "depth limit exceeded", id="2,000 levels"),
    ],
)
def test_mlflow_fails_where_we_refuse(
    theirs: dict[str, MlflowServer], ours: Endpoint, body: str, kind: str | None, status: int, said: str
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    failed = theirs["tiny"].ask(body.encode(), headers)
    assert (failed.status, failed.body) == (500, b"Internal Server Error")
    answer = requests.post(f"{ours.url}/invocations", body.encode(), headers=headers, timeout=10)
    assert answer.status_code == status
    assert said in answer.json()["message"]


def test_mlflow_repeats_data_in_an_error_and_we_do_not(
    theirs: dict[str, MlflowServer], ours: Endpoint
) -> None:
    body = b'{"inputs":{"carrier":["SECRET"],"distance":["SECRET"]}}'
    said = theirs["tiny"].ask(body, {"Content-Type": JSON})
    assert said.status == 400
    assert b"SECRET" in said.body
    answer = requests.post(f"{ours.url}/invocations", body, headers={"Content-Type": JSON}, timeout=10)
    assert answer.status_code == 400
    assert "SECRET" not in answer.text
    assert set(answer.json()) == {"error_code", "message", "request_id", "details"}


def test_mlflow_has_no_gzip_and_we_do(theirs: dict[str, MlflowServer], ours: Endpoint) -> None:
    zipped = gzip.compress(of("1").encode())
    headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
    assert theirs["tiny"].ask(zipped, headers).status == 400
    answer = requests.post(f"{ours.url}/invocations", zipped, headers=headers, timeout=10)
    assert answer.json() == {"predictions": [NEAR]}


def test_params_explain_is_ignored_by_mlflow(theirs: dict[str, MlflowServer], ours: Endpoint) -> None:
    body = f'{{"dataframe_records":[{ROW}],"params":{{"explain":true}}}}'.encode()
    assert json.loads(theirs["tiny"].ask(body, {"Content-Type": JSON}).body) == {"predictions": [NEAR]}
    answer = requests.post(f"{ours.url}/invocations", body, headers={"Content-Type": JSON}, timeout=10)
    assert set(answer.json()["explanations"][0]["contributions"]) == {"carrier", "distance"}


def test_an_unknown_path_has_our_form_of_an_error(theirs: dict[str, MlflowServer], ours: Endpoint) -> None:
    said = theirs["tiny"].ask(b"", {}, "/models/other/invocations")
    assert (said.status, json.loads(said.body)) == (404, {"detail": "Not Found"})
    answer = requests.post(f"{ours.url}/models/other/invocations", json={}, timeout=10)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")


class _Nothing(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow ships no types
    def predict(self, context: object, model_input: pd.DataFrame) -> Any:  # noqa: ARG002
        return np.full(len(model_input), np.nan)


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of models that are classes
def test_a_prediction_that_is_nan_is_null_here_and_no_json_there(tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    signature = infer_signature(pd.DataFrame({"x": [1.5]}), np.array([3.0]))
    mlflow.pyfunc.save_model(
        str(folder), python_model=_Nothing(), signature=signature, pip_requirements=["mlflow"]
    )
    body = b'{"dataframe_records":[{"x":1.5}]}'
    with mlflow_serves(folder) as server:
        assert server.ask(body, {"Content-Type": JSON}).body == b'{"predictions": [NaN]}'
    model = loaded(folder, form="pyfunc")
    assert model.answer(model.read(JSON, body, Limits())).body == b'{"predictions":[null]}'
