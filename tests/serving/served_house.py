"""Endpoints without a registry: artifacts written by hand, a view that names them, a real server process."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pyarrow as pa
import requests
import xgboost as xgb
import yaml
from endpoints import Endpoint, serving
from local_versions import NOWHERE
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, Schema

from projects.artifact import save_model
from registry.manifest import Manifest
from serving.models.served import Version

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))
# Whatever a caller sends holds it somewhere; no answer and no log line may.
MARKER = "xq7marker"
CARRIERS = ("AA", "B6", "a:b", "", "é", "日本", 'said "so"', "tab\there", " blank ", "UA,1", "new\nline")

# Neighbours of float32 far from zero, so that a number that was rounded twice ends on another leaf.
_EDGES = np.array(
    [0.0, 1.0, 2.0**24, 2.0**53, 2.0**53 + 2.0**30, 2.0**62, 1e30, 3e38, -1.0, -(2.0**53), 1e-40]
)
_PLAIN = {"carrier": "string", "distance": "double", "temp": "double", "origin": "string"}
_TYPED = {
    "flag": "boolean", "count": "long", "small": "integer", "ratio": "float", "maybe": "double",
    "carrier": "string",
}  # fmt: skip
OPTIONAL = ("maybe", "carrier")


def train(types: Mapping[str, str], seed: int = 0, rounds: int = 8, **parameters: Any) -> xgb.Booster:
    """Train on noise, with every column in the trees."""
    rng = np.random.default_rng(seed)
    rows = 600
    columns: dict[str, Any] = {}
    for name, kind in types.items():
        if kind == "string":
            codes = pa.array(rng.integers(0, len(CARRIERS), rows).astype(np.int32))
            columns[name] = pa.DictionaryArray.from_arrays(codes, pa.array(CARRIERS))
        elif kind == "boolean":
            columns[name] = rng.integers(0, 2, rows).astype(np.float32)
        else:
            columns[name] = np.where(
                rng.random(rows) < 0.5, rng.choice(_EDGES, rows), rng.normal(size=rows) * 100
            ).astype(np.float32)
    classes = parameters.get("num_class", 2)
    label = rng.integers(0, classes, rows).astype(float)
    matrix = xgb.QuantileDMatrix(pa.table(columns), label=label, enable_categorical=True)
    settings = {"objective": "binary:logistic", "max_depth": 6, "min_child_weight": 0, **parameters}
    return xgb.train(settings, matrix, rounds)


def write_plain(folder: Path, **parameters: Any) -> Path:
    """Write an artifact of ours with numbers and categories."""
    example = pd.DataFrame(
        {"carrier": ["AA", "ZZ"], "distance": [1.0, 2.0], "temp": [None, -3.5], "origin": ["B6", None]}
    )
    _save(folder, _PLAIN, example, **parameters)
    return folder


def write_typed(folder: Path, *, optional: Sequence[str] = OPTIONAL) -> Path:
    """Write one with the other column types of MLflow, two of the columns optional."""
    example = pd.DataFrame(
        {"flag": [True], "count": [7], "small": [-7], "ratio": [0.1], "maybe": [1.5], "carrier": ["AA"]}
    )
    _save(folder, _TYPED, example)
    described = folder / "MLmodel"
    mlmodel = yaml.safe_load(described.read_text())
    columns = [{"type": kind, "name": n, "required": n not in optional} for n, kind in _TYPED.items()]
    mlmodel["signature"]["inputs"] = json.dumps(columns)
    described.write_text(yaml.safe_dump(mlmodel))
    return folder


def _save(folder: Path, types: Mapping[str, str], example: pd.DataFrame, **parameters: Any) -> None:
    kinds = {name: "category" if kind == "string" else "number" for name, kind in types.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        save_model(str(folder), Model(), train(types, **parameters), kinds, example)  # type: ignore[arg-type]


_FOREIGN = '''
import time

import numpy as np
from mlflow.pyfunc import PythonModel


class Told(PythonModel):
    """Does to a request what the request says: its first number is for how long to sleep, its text how."""

    def predict(self, context, model_input, params=None):
        how = model_input["how"].iloc[0]
        time.sleep(float(model_input["sleep_s"].iloc[0]))
        if how == "raise":
            raise ValueError(f"cannot bear {list(model_input['what'])}")
        if how == "nan":
            return np.full(len(model_input), np.nan)
        return np.arange(len(model_input), dtype=np.float64)
'''


def write_foreign(folder: Path) -> Path:
    """Write a `pyfunc` with code of its own: it sleeps, raises, or answers NaN, as it is asked to."""
    code = folder.with_name(f"{folder.name}-code")
    code.mkdir(parents=True)
    (code / "greenroom_told.py").write_text(_FOREIGN + "\n\nmodel = Told()\n")
    script = code / "as_code.py"
    script.write_text(
        "from greenroom_told import Told\nfrom mlflow.models import set_model\n\nset_model(Told())\n"
    )
    inputs = Schema([ColSpec("double", "sleep_s"), ColSpec("string", "how"), ColSpec("string", "what")])
    sys.path.insert(0, str(code))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mlflow.pyfunc.save_model(
                str(folder),
                python_model=str(script),
                code_paths=[str(code / "greenroom_told.py")],
                signature=ModelSignature(inputs=inputs),
                pip_requirements=["mlflow"],
            )
    finally:
        sys.path.remove(str(code))
    for stray in folder.rglob("__pycache__"):
        for file in stray.iterdir():
            file.unlink()
        stray.rmdir()
    return folder


def version_of(folder: Path, model: str = "tiny", number: int = 3) -> Version:
    return Version(model, number, Manifest.of(folder).digest)


@dataclass(frozen=True)
class Reply:
    """An answer as it came over a socket; `rest` is what came after it."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class House:
    """An endpoint that runs, and ways to ask it."""

    endpoint: Endpoint
    token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def url(self) -> str:
        return self.endpoint.url

    @property
    def log(self) -> str:
        return self.endpoint.log.read_text()

    def post(self, body: Any, path: str = "/invocations", **options: Any) -> requests.Response:
        """Ask for predictions; `body` is JSON, or bytes with a Content-Type of their own."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **self.headers, **options.pop("headers", {})}
        return requests.post(self.url + path, data=content, headers=headers, timeout=60, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return requests.get(self.url + path, headers=headers, timeout=60, **options)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.endpoint.port), timeout=60)

    def raw(self, sent: bytes, *, is_over: bool = False) -> bytes:
        """Send bytes as they are, and read until the endpoint closes the connection or nothing more comes."""
        with self.connect() as connection:
            connection.sendall(sent)
            if is_over:
                connection.shutdown(socket.SHUT_WR)
            return drain(connection)

    def metric(self, name: str, **labels: str) -> float:
        text = self.get("/metrics").text
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        total = 0.0
        for line in text.splitlines():
            found = re.fullmatch(r"greenroom_serving_(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name and wanted <= set((found[2] or "").split(",")):
                total += float(found[3])
        return total

    def settle(self) -> None:
        """Wait until nothing is under way but the question whether something is."""
        wait_for(lambda: self.metric("in_flight_requests") == 1)


def drain(connection: socket.socket, timeout_s: float = 60) -> bytes:
    """Read all that comes until the other side closes."""
    connection.settimeout(timeout_s)
    found = b""
    try:
        while more := connection.recv(65536):
            found += more
    except ConnectionResetError:
        pass
    return found


def read_reply(connection: socket.socket, before: bytes = b"", *, is_head: bool = False) -> Reply:
    """Read one answer from a connection that stays open."""
    found = before
    while b"\r\n\r\n" not in found:
        more = connection.recv(65536)
        assert more, f"the connection was closed after {found!r}"
        found += more
    reply = parse_reply(found)
    missing = 0 if is_head else int(reply.headers.get("content-length", "0"))
    while len(reply.body) + len(reply.rest) < missing:
        found += connection.recv(65536)
        reply = parse_reply(found)
    return reply


def parse_reply(found: bytes) -> Reply:
    """Take an answer apart. Fails where there is none."""
    head, blank, body = found.partition(b"\r\n\r\n")
    assert blank, f"no answer: {found!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    matched = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", first)
    assert matched, first
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    return Reply(int(matched[1]), headers, body[:length], body[length:])


def wait_for(holds: Any, timeout_s: float = 150) -> None:
    """Wait until something holds; fails where it never does."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


@contextmanager
def open_house(
    cache: Path, models: Sequence[str], *options: str, token: str | None = None
) -> Iterator[House]:
    """Start an endpoint of the views below `cache`, and end it. Code of models may run."""
    settings = {
        "GREENROOM_CACHE_DIR": str(cache),
        "GREENROOM_ARTIFACT_FORMATS": "xgboost,pyfunc",
        "GREENROOM_SERVING_TOKEN": token or "",
        "MLFLOW_TRACKING_URI": NOWHERE,
    }
    with serving(cache / "log", settings, models[0], *models[1:], *options) as endpoint:
        yield House(endpoint, token)
