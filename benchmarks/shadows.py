"""What the champion's clients notice of a shadow that works, sleeps for 5 s, or dies: nothing, it should be.

One endpoint with one worker, offline, on artifacts that are made here. Ways take turns in short rounds, so
that what the machine does beside them falls on all alike; requests come at a fixed rate, below saturation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from benchmarks.batch_house import COLUMNS, train
from benchmarks.serving_load import UnexpectedAnswerError
from registry import Manifest
from serving.following.view import View, view_path, write_view
from serving.routing.published import ArmView, Places, Published, write_published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The second is the first once more: how far the two are apart is the noise of the machine.
WAYS = ("none", "again", "works", "sleeps", "dies")
MODEL, ARM = "bench", "tried"
_NOWHERE = "http://127.0.0.1:1"
_RATE, _CLIENTS = 300.0, 8
_SETTLE_S, _UP_S = 1.0, 120.0
_LOADED = '"event":"shadow_loaded"'
_CODE = """
import os
import signal
import time

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Bad(PythonModel):
    def predict(self, context, model_input, params=None):
        {bad}
        return np.zeros(len(model_input))


set_model(Bad())
"""
_BAD = {"sleeps": "time.sleep(5)", "dies": "os.kill(os.getpid(), signal.SIGKILL)"}


@dataclass
class Shadowed:
    """For each way, what requests took (ms), round by round, and what its shadow did meanwhile."""

    took_ms: dict[str, list[list[float]]] = field(default_factory=lambda: {way: [] for way in WAYS})
    seen: dict[str, float] = field(default_factory=dict)
    dropped: dict[str, float] = field(default_factory=dict)
    failed: int = 0

    def p99_ms(self, way: str) -> float:
        """Return the 99th percentile over all rounds."""
        return float(np.percentile(np.concatenate(self.took_ms[way]), 99))

    def ratio(self, way: str) -> float:
        """Return the median over rounds of the p99 with a shadow by that without, in the same round."""
        pairs = zip(self.took_ms[way], self.took_ms["none"], strict=True)
        return float(np.median([np.percentile(a, 99) / np.percentile(b, 99) for a, b in pairs]))


def run(rounds: int, seconds: float, notify: Callable[[str], None] = lambda _: None) -> Shadowed:
    """Measure; `notify` hears of each round before it."""
    found = Shadowed()
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as scratch:
        folder = Path(scratch)
        champion = _write_ours(folder / "champion", 0)
        shadows = {"works": _write_ours(folder / "works", 1)}
        shadows |= {way: _write_bad(folder / way, _BAD[way]) for way in _BAD}
        requests = _requests(champion, folder)
        view = view_path(folder / "cache", _NOWHERE, MODEL)
        places = Places.of(view, folder / "routes")
        _publish_champion(view, champion)
        with _endpoint(folder) as port:
            for number in range(rounds):
                notify(f"round {number + 1}")
                # Each way is first as often as any other.
                for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
                    log = folder / "endpoint.log"
                    loaded = log.read_text().count(_LOADED)
                    _publish(places, shadows.get(way))
                    _wait_for(port, shadows.get(way), log, loaded)
                    before = _counts(port)
                    heard = _ask(requests, port, seconds)
                    found.failed += sum(n for status, n in heard["statuses"].items() if status != "200")
                    found.failed += heard["wrong"]
                    found.took_ms[way].append(heard["took_ms"])
                    after = _counts(port)
                    for name, into in (("seen", found.seen), ("dropped", found.dropped)):
                        into[way] = into.get(way, 0) + max(after[name] - before[name], 0)
    return found


def _write_ours(folder: Path, seed: int) -> Path:
    from mlflow.models import Model

    from projects.artifact import save_model

    example = pd.DataFrame({name: np.zeros(2) for name in COLUMNS})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on newer pandas
        save_model(str(folder), Model(), train(seed), dict.fromkeys(COLUMNS, "number"), example)
    return folder


def _write_bad(folder: Path, bad: str) -> Path:
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    script = folder.with_suffix(".py")
    script.write_text(_CODE.replace("{bad}", bad))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(script),
            signature=ModelSignature(inputs=Schema([ColSpec("double", name) for name in COLUMNS])),
            pip_requirements=["mlflow"],
        )
    return folder


def _requests(artifact: Path, folder: Path) -> Path:
    import xgboost as xgb

    values = np.random.default_rng(0).standard_normal((64, 1, len(COLUMNS))).round(4)
    booster = xgb.Booster(model_file=artifact / "model.ubj")
    answers = [booster.inplace_predict(m.astype(np.float32)).tolist() for m in values]
    bodies = [json.dumps({"dataframe_split": {"columns": COLUMNS, "data": m.tolist()}}) for m in values]
    path = folder / "requests.json"
    path.write_text(json.dumps({"bodies": bodies, "answers": {"1": answers}}))
    return path


def _publish_champion(path: Path, folder: Path) -> None:
    manifest = Manifest.of(folder)
    known = {"digest": manifest.digest, "manifest": manifest.to_json(), "folder": str(folder)}
    write_view(
        path,
        View(
            model=MODEL,
            version=1,
            format="xgboost",
            stage="Production",
            seen_at=time.time(),
            reachable=True,
            problem=None,
            refused=None,
            **known,
        ),
    )


def _publish(places: Places, shadow: Path | None) -> None:
    arms: tuple[ArmView, ...] = ()
    if shadow is not None:
        manifest = Manifest.of(shadow)
        form: Literal["xgboost", "pyfunc"] = "pyfunc" if shadow.with_suffix(".py").exists() else "xgboost"
        known = manifest.digest, manifest.to_json(), str(shadow)
        arms = (ArmView(ARM, "shadow", 2, *known, format=form),)
    write_published(places.published, Published(MODEL, arms))


@contextmanager
def _endpoint(folder: Path) -> Iterator[int]:
    environment = {
        **os.environ,
        "GREENROOM_CACHE_DIR": str(folder / "cache"),
        "GREENROOM_ARTIFACT_FORMATS": "xgboost,pyfunc",
        "MLFLOW_TRACKING_URI": _NOWHERE,
    }
    command = [sys.executable, "-m", "serving", "start", MODEL, "--offline", "--port", "0"]
    with (folder / "endpoint.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--routes", str(folder / "routes")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None  # noqa: S101  # it was asked for
    try:
        said = process.stdout.readline()
        if " at http://" not in said:
            raise UnexpectedAnswerError(f"the endpoint did not start: {said!r}")
        yield int(said.rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _wait_for(port: int, shadow: Path | None, log: Path, loaded_before: int) -> None:
    """Wait until the worker has these routes, and the shadow of them is loaded: starts are not measured."""
    import requests

    body = {"dataframe_split": {"columns": COLUMNS, "data": [[0.0] * len(COLUMNS)]}}
    until = time.monotonic() + _UP_S
    while time.monotonic() < until:
        answer = requests.post(f"http://127.0.0.1:{port}/invocations", json=body, timeout=10)
        has_arms = "x-model-arm" in answer.headers
        is_loaded = shadow is None or log.read_text().count(_LOADED) > loaded_before
        if answer.ok and has_arms == (shadow is not None) and is_loaded:
            time.sleep(_SETTLE_S)
            return
        time.sleep(0.1)
    raise UnexpectedAnswerError(f"the routes with {shadow} did not come into effect within {_UP_S:g} s")


def _counts(port: int) -> dict[str, float]:
    """Return how many requests the shadow has seen, and how many copies it had no time for."""
    import requests

    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    found = {}
    for name, metric in (("seen", "arm_requests_total"), ("dropped", "shadow_drops_total")):
        start = f'greenroom_serving_{metric}{{arm="{ARM}",model="{MODEL}"}}'
        lines = [line for line in text.splitlines() if line.startswith(start)]
        found[name] = float(lines[0].rpartition(" ")[2]) if lines else 0.0
    return found


def _ask(file: Path, port: int, seconds: float) -> dict[str, Any]:
    arguments = [str(each) for each in (file, port, _CLIENTS, seconds, _RATE)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.storm_load", *arguments],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnexpectedAnswerError(done.stderr.strip().splitlines()[-1])
    return dict(json.loads(done.stdout))
