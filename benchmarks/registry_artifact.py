"""One tiny model, logged as any other: `python -m benchmarks.registry_artifact` prints where it is.

It runs in a process of its own, as the login of its environment, because MLflow's settings are global.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Artifact:
    """A logged model, and the run that logged it."""

    source: str
    run_id: str

    @property
    def model_id(self) -> str:
        """MLflow's id of its logged model."""
        return self.source.removeprefix("models:/")


def log_as(environment: Mapping[str, str]) -> Artifact:
    """Log the model as the login of `environment`; raises RuntimeError with what MLflow said."""
    command = [sys.executable, "-m", __name__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The model of the benchmark could not be logged: {done.stderr.strip()[-2000:]}")
    return Artifact(**json.loads(done.stdout.splitlines()[-1]))


def _log() -> Artifact:
    import numpy as np
    import pandas as pd
    import xgboost as xgb
    from mlflow import MlflowClient

    from projects.artifact import log_model

    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"distance": rng.uniform(0, 3000, 300)})
    late = (rng.random(300) < 0.3).astype(float)  # noqa: PLR2004  # about as many as are late
    booster = xgb.train({"objective": "binary:logistic"}, xgb.QuantileDMatrix(rows, label=late), 2)
    client = MlflowClient()
    run_id = client.create_run("0").info.run_id
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on newer pandas
        source = log_model(booster, {"distance": "number"}, rows.head(2), run_id)
    client.set_terminated(run_id)
    return Artifact(source, run_id)


if __name__ == "__main__":
    print(json.dumps(asdict(_log())))
