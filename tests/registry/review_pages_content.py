"""What the tests of the review pages look at: a champion, a candidate, the runs behind them."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import requests
from mlflow.entities import Dataset, DatasetInput, InputTag
from tiny_versions import finished_run, register_tiny

import registry
from deploy.mlflow_server import auth_config
from deploy.scratch_server import ScratchServer, running_server
from deploy.state import StateFolder
from projects import plots
from projects.declaration import FeatureKind
from registry import Act, Line, ModelVersion, Registry, Validation

LOGINS: dict[str, tuple[str, ...]] = {
    "author": (),
    "reviewer": ("reviewer",),
    "second": ("reviewer",),
    "stranger": (),
}
MARKUP = "<script>alert('x')</script> & \"quoted\" 'single' {{ 12345679*63 }}"
_SNAPSHOT = "5f1c" * 16
# Each imports MLflow, and nothing that the pages show is kept in one.
_WORKERS = 2 if os.environ.get("GREENROOM_EXHAUSTIVE") else 1


@dataclass(frozen=True)
class Content:
    """A model with version 1 in Production; version 2 waits for a review."""

    model: str
    champion: ModelVersion
    candidate: ModelVersion


@contextmanager
def review_server(folder: Path) -> Iterator[ScratchServer]:
    """A server on which everybody may read all models, and edit only what they made."""
    StateFolder(folder.resolve()).create()
    password = secrets.token_urlsafe(24)
    (folder / "passwords.json").write_text(json.dumps({"admin": password}))
    config = folder / "read_only.ini"
    edits = auth_config(f"sqlite:///{folder.resolve() / 'auth.db'}", password)
    config.write_text(edits.replace("default_permission = EDIT", "default_permission = READ"))
    environment = {
        "GREENROOM_CACHE_DIR": str(folder / "cache"),
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
    }
    database = f"sqlite:///{folder.resolve()}/mlflow.db"
    with running_server(folder, database, logins=LOGINS, workers=_WORKERS, environment=environment) as server:
        grant(server, "author", "experiment", "0", "EDIT")
        yield server


def grant(server: ScratchServer, login: str, kind: str, name: str, permission: str) -> None:
    granted = requests.post(
        f"{server.url}/api/3.0/mlflow/users/permissions/grant",
        json={"username": login, "resource_type": kind, "resource_id": name, "permission": permission},
        auth=("admin", server.passwords["admin"]),
        timeout=30,
    )
    assert granted.ok, granted.text


@contextmanager
def logged_in(server: ScratchServer, login: str) -> Iterator[Registry]:
    """The registry as one login sees it."""
    with mock.patch.dict(os.environ, server.environment(login)):
        yield registry.connect(os.environ)


def make_content(server: ScratchServer, model: str, reason: str) -> Content:
    champion = make_version(server, model, seed=1, auc=0.701, rounds=2)
    ask(server, champion, "the first one")
    approve(server, champion, "looked at its calibration")
    candidate = make_version(server, model, seed=2, auc=0.712, rounds=3, champion=champion)
    ask(server, candidate, reason)
    return Content(model, champion, candidate)


def make_version(
    server: ScratchServer,
    model: str,
    *,
    seed: int = 0,
    auc: float = 0.7,
    rounds: int = 2,
    champion: ModelVersion | None = None,
    features: dict[str, FeatureKind] | None = None,
) -> ModelVersion:
    """Register a version with a training run and a passed validation with intervals and slices."""
    with logged_in(server, "author") as at:
        version = register_tiny(at, model, seed, features)
        assert version.run_id
        _log_training(at, version, rounds)
        run_id = _log_validation(at, version, auc, champion)
        verdict = Validation(
            passed=True,
            digest=version.digest or "",
            run_id=run_id,
            metrics=_measured(auc),
            reasons=(f"auc is {auc}; expected at least 0.62",),
            window="2013-07-01 to 2013-07-31",
            rows=28_116,
            compared_with=f"version {champion.version}"
            if champion
            else "nothing: no version is in Production",
        )
        registry.record_validation(at, version, verdict)
        return version


def register_again(server: ScratchServer, like: ModelVersion, model: str) -> ModelVersion:
    """Register the artifact of another version, which costs no training; validated."""
    assert like.run_id
    with logged_in(server, "author") as at:
        version = registry.register(at, model, like.source, like.run_id)
        verdict = Validation(
            passed=True,
            digest=version.digest or "",
            run_id=finished_run(at),
            metrics={"auc": 0.7},
            reasons=("auc is 0.7",),
        )
        registry.record_validation(at, version, verdict)
        return version


def ask(server: ScratchServer, version: ModelVersion, reason: str) -> None:
    with logged_in(server, "author") as at:
        registry.decide(at, Act.REQUEST, version.name, version.version, reason)


def approve(server: ScratchServer, version: ModelVersion, reason: str = "looked at it") -> None:
    with logged_in(server, "reviewer") as at:
        registry.decide(at, Act.APPROVE, version.name, version.version, reason)


def stage_of(server: ScratchServer, model: str, version: int) -> str:
    with logged_in(server, "author") as at:
        return str(registry.find_version(at, model, version).stage)


def lines_of(server: ScratchServer, model: str) -> list[Line]:
    with logged_in(server, "author") as at:
        return list(registry.read_history(at, model))


def _measured(auc: float) -> dict[str, float]:
    return {
        "auc": auc,
        "auc.low": auc - 0.008,
        "auc.high": auc + 0.008,
        "brier": 0.171 - auc / 100,
        "slice/carrier:UA/rows": 4950.0,
        "slice/carrier:UA/auc": auc + 0.01,
        "slice/carrier:UA/auc.low": auc - 0.012,
        "slice/carrier:UA/auc.high": auc + 0.032,
        "slice/carrier:HA/rows": 31.0,
        "slice/carrier:HA/auc": auc - 0.11,
    }


def _log_training(at: Registry, version: ModelVersion, rounds: int) -> None:
    client, run_id = at.client, version.run_id
    params = {"rounds": rounds, "max_depth": 2, "seed": 7, "window": "2013-01-01 to 2013-06-30"}
    for key, value in params.items():
        client.log_param(run_id, key, value)
    client.set_tag(run_id, "mlflow.source.git.commit", "8f56211c0de18f56211c0de18f56211c0de18f56")
    client.set_tag(run_id, "greenroom.snapshot.training.features", _SNAPSHOT)
    data = Dataset("flight_delay features", _SNAPSHOT[:36], "s3", '{"uri": "s3://greenroom/flights"}')
    client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
    client.log_text(run_id, "key\tversion\n", "snapshots/training_features.tsv")


def _log_validation(at: Registry, version: ModelVersion, auc: float, champion: ModelVersion | None) -> str:
    client = at.client
    run_id = str(client.create_run("0", run_name=f"validate version {version.version}").info.run_id)
    for name, value in _measured(auc).items():
        client.log_metric(run_id, f"candidate_{name}", value)
        if champion:
            client.log_metric(run_id, f"champion_{name}", value - 0.011)
    random = np.random.default_rng(version.version)
    label = (random.random(500) < 0.3).astype(float)
    guess = {"candidate": np.clip(label * 0.2 + random.random(500) * 0.7, 0, 1)}
    for name, figure in plots.quality("classification", label, guess).items():
        client.log_figure(run_id, figure, f"plots/{name}.png")
    client.log_text(run_id, f"# {version.name} version {version.version}\n", "model_card.md")
    client.set_tag(run_id, "greenroom.quality.validation", "8 of 28,124 rows are left out")
    client.set_terminated(run_id)
    return run_id
