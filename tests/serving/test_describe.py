"""What an endpoint says of itself is true: clients made from its OpenAPI document are answered."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import requests
from endpoints import Endpoint, serving
from local_versions import NOWHERE, ODD_NUMBER, ODD_TEXT, loaded, publish, write_odd, write_tiny
from mlflow.models import infer_signature
from routed import publish_routes

from serving.contract.limits import Limits
from serving.http.describe import Describer
from serving.http.stage import Standing
from serving.models.served import BoosterModel
from serving.routing.declaration import Recording
from serving.routing.published import Published
from serving.settings import Settings

TOKEN = "a-token-of-more-than-16-characters"
# What schemathesis has to know: that a CSV body is sent as it was made.
HOOKS = """
import schemathesis

@schemathesis.serializer("text/csv")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def environment(cache: Path) -> dict[str, str]:
    publish(cache, "tiny", 3, write_tiny(cache / "models" / "tiny"))
    # S3 is away, so what clients say of answers stays in the spool.
    for model in ("tiny", "odd.names"):
        publish_routes(cache, Published(model, record=Recording("s3://nowhere/seen", "s3://nowhere/said")))
    away = {"AWS_ENDPOINT_URL_S3": NOWHERE, "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "none"}
    return publish(cache, "odd.names", 1, write_odd(cache / "models" / "odd")) | away


@pytest.fixture(scope="module")
def endpoint(cache: Path, environment: dict[str, str]) -> Iterator[Endpoint]:
    options = ("--offline", "--routes", str(cache / "routes"))
    with serving(cache / "log", environment, "tiny odd.names", *options) as found:
        yield found


@pytest.fixture(scope="module")
def openapi(endpoint: Endpoint) -> Any:
    return requests.get(f"{endpoint.url}/openapi.json", timeout=10).json()


@pytest.fixture(scope="module")
def page(endpoint: Endpoint) -> str:
    answer = requests.get(f"{endpoint.url}/docs", timeout=10)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; style-src 'unsafe-inline'"
    )
    return answer.text


def run_schemathesis(folder: Path, url: str, *options: str) -> str:
    hooks = folder / "greenroom_hooks.py"
    hooks.write_text(HOOKS)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--seed", "2013"]
    command += ["--max-examples", "40", "--phases", "examples,coverage,fuzzing", "--checks", "all", *options]
    search = os.pathsep.join([str(folder), *sys.path])
    env = {**os.environ, "SCHEMATHESIS_HOOKS": "greenroom_hooks", "PYTHONPATH": search}
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_schemathesis_finds_no_request_that_is_answered_otherwise_than_described(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    said = run_schemathesis(tmp_path, endpoint.url)
    assert "No issues found" in said
    counts = endpoint.metrics()
    for model in ("tiny", "odd.names"):
        of_status = 'greenroom_serving_requests_total{{model="{}",status="{}"}}'
        assert counts[of_status.format(model, 200)] > 50
        assert counts[of_status.format(model, 400)] > 50
    assert counts['greenroom_serving_rejections_total{reason="internal"}'] == 0


def test_schemathesis_finds_no_way_around_the_token(
    cache: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    closed = {**environment, "GREENROOM_SERVING_TOKEN": TOKEN}
    bearer = ("-H", f"Authorization: Bearer {TOKEN}")
    options = ("--offline", "--routes", str(cache / "routes"))
    with serving(cache / "closed", closed, "tiny", *options, wait=False) as endpoint:
        endpoint.wait_until("an answer", ready=True)
        assert requests.get(f"{endpoint.url}/openapi.json", timeout=10).status_code == 401
        assert requests.get(f"{endpoint.url}/docs", timeout=10).status_code == 401
        said = run_schemathesis(tmp_path, endpoint.url, *bearer)
    assert "No issues found" in said


def test_the_document_has_every_model_with_its_columns(openapi: Any) -> None:
    assert openapi["openapi"] == "3.1.0"
    assert openapi["info"]["version"] == "3, 1"
    posts = {path for path, operations in openapi["paths"].items() if "post" in operations}
    names = ("/models/tiny", "/models/odd.names", "")
    assert posts == {f"{name}/{verb}" for name in names for verb in ("invocations", "feedback")}
    row = openapi["components"]["schemas"]["tiny.row"]
    assert row["required"] == ["carrier", "distance"]
    assert row["additionalProperties"] is False
    assert row["properties"]["distance"] == {
        "type": ["number", "null"],
        "description": "A number or null.",
    }
    assert row["properties"]["carrier"]["description"] == (
        "Text or null. Known are 'AA', 'B6', 'UA'; another is as missing as null."
    )
    content = openapi["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "text/csv", "application/vnd.apache.parquet"}
    pattern = content["text/csv"]["schema"]["pattern"]
    for sent in ("carrier,distance\nAA,1\n", 'carrier,distance\r\n"A,\n""B",-1.5e3', "carrier,distance\n,"):
        assert re.search(pattern, sent)
    for wrong in (
        "carrier,distance\n",
        "carrier,distance\nAA\n",
        "carrier\nAA\n",
        "carrier,distance\nAA,x\n",
    ):
        assert not re.search(pattern, wrong)


def test_every_example_is_answered_as_the_document_says(endpoint: Endpoint, openapi: Any) -> None:
    for path in ("/invocations", "/models/tiny/invocations", "/models/odd.names/invocations"):
        post = openapi["paths"][path]["post"]
        asked = post["requestBody"]["content"]["application/json"]["example"]
        answer = requests.post(endpoint.url + path, json=asked, timeout=10)
        assert answer.json() == post["responses"]["200"]["content"]["application/json"]["example"]


def test_the_line_to_copy_is_answered_as_the_page_says(page: str) -> None:
    blocks = [html.unescape(found) for found in re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)]
    asked = [n for n, block in enumerate(blocks) if block.startswith("curl ")]
    assert len(asked) == 2
    for n in asked:
        line = ["bash", "-c", blocks[n] + " -s"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=30, check=True)
        assert json.loads(done.stdout) == json.loads(blocks[n + 1]), done


class _Tags(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_escapes_what_an_artifact_brings_and_fetches_nothing(page: str) -> None:
    read = _Tags()
    read.feed(page)
    assert not {"script", "b", "img", "link", "iframe", "object"} & {tag for tag, _ in read.tags}
    for name in (ODD_TEXT, ODD_NUMBER, "<b>x</b>", "日本"):
        assert name in read.text
    targets = [attributes["href"] or "" for _, attributes in read.tags if "href" in attributes]
    assert all(target.startswith(("/", "#")) for target in targets)
    assert {"#tiny", "/openapi.json"} <= set(targets)
    assert not any("src" in attributes or "style" in attributes for _, attributes in read.tags)


@pytest.mark.parametrize(
    "said",
    [
        "version 3",
        "version 1",
        "a number or null",
        "100,000",
        "16 MiB",
        "30 s, then 504",
        '"AA"',
        "explain",
        "503",
    ],
)
def test_the_page_says_what_a_client_needs(page: str, said: str) -> None:
    read = _Tags()
    read.feed(page)
    assert said in read.text


def described(*standings: Standing, **settings: Any) -> tuple[Any, str]:
    names = tuple(standing.name for standing in standings)
    describer = Describer(Settings(models=names, **settings))
    return json.loads(describer.openapi(standings)), describer.page(standings).decode()


def test_another_version_is_another_description(tmp_path: Path) -> None:
    one, two = (loaded(write_tiny(tmp_path / str(n), n), version=n) for n in (1, 2))
    standing = Standing("tiny", tmp_path, serves=one)
    describer = Describer(Settings(models=("tiny",)))
    before = describer.page([standing])
    assert describer.page([standing]) is before
    assert b"version 1<" in before
    standing.serves = two
    assert json.loads(describer.openapi([standing]))["info"]["version"] == "2"
    assert b"version 2<" in describer.page([standing])
    standing.serves = None
    assert b"no version answers" in describer.page([standing])
    assert (
        "no version at the moment"
        in json.loads(describer.openapi([standing]))["paths"]["/invocations"]["post"]["summary"]
    )


def test_a_token_is_in_the_document_and_on_the_page_and_never_itself(tmp_path: Path) -> None:
    standing = Standing("tiny", tmp_path, serves=loaded(write_tiny(tmp_path / "tiny")))
    document, page = described(standing, token=TOKEN, allowed_hosts=("api.example.com",), behind_proxy=True)
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/ping"]["get"]["security"] == []
    assert "401" in document["paths"]["/invocations"]["post"]["responses"]
    assert "https://api.example.com/models/tiny/invocations" in page
    assert "Authorization: Bearer $TOKEN" in page
    assert TOKEN not in page + json.dumps(document)


class _Doubled(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow ships no types
    def predict(self, context: object, model_input: pd.DataFrame) -> Any:  # noqa: ARG002
        return (model_input["x"] * 2).to_numpy()


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of models that are classes
def test_a_model_that_mlflow_answers_for_is_described_by_its_columns(tmp_path: Path) -> None:
    example = pd.DataFrame({"x": [1.5], "on": [True]})
    mlflow.pyfunc.save_model(
        str(tmp_path / "doubled"),
        python_model=_Doubled(),
        signature=infer_signature(example, np.array([3.0])),
        input_example=example,
        pip_requirements=["mlflow"],
    )
    standing = Standing("other", tmp_path, serves=loaded(tmp_path / "doubled", "other", form="pyfunc"))
    document, page = described(standing)
    content = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert content["application/json"]["example"] == {"dataframe_records": [{"x": 1.5, "on": True}]}
    forms = content["application/json"]["schema"]["oneOf"]
    assert {"required": ["dataframe_records"]} in forms
    for said in ("double", "boolean", "read by MLflow"):
        assert said in page


def test_a_missing_number_in_an_example_is_null(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "tiny")
    assert "NaN" in (folder / "serving_input_example.json").read_text()
    model = loaded(folder)
    assert json.loads(model.description.example or b"") == {
        "dataframe_split": {"columns": ["carrier", "distance"], "data": [["AA", 1.0], ["ZZ", None]]}
    }


@pytest.mark.parametrize("number", [1e300, -1e300])
def test_what_is_scored_beyond_float32_is_explained(tmp_path: Path, number: float) -> None:
    model = loaded(write_tiny(tmp_path / "tiny"))
    assert isinstance(model, BoosterModel)
    body = {"dataframe_records": [{"carrier": "AA", "distance": number}], "params": {"explain": True}}
    with np.errstate(over="ignore"):  # as in a worker
        asked = model.read("application/json", json.dumps(body).encode(), Limits())
    said = json.loads(model.answer(asked).body)
    [explained], [prediction] = said["explanations"], said["predictions"]
    margin = explained["base"] + sum(explained["contributions"].values())
    assert 1 / (1 + np.exp(-margin)) == pytest.approx(prediction, rel=1e-6)
