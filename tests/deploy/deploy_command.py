"""Run `python -m deploy` as a user does."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ANY_PORT = {"GREENROOM_S3_PORT": "0", "GREENROOM_MLFLOW_PORT": "0"}


def environment(state_dir: Path, settings: Mapping[str, str] = ANY_PORT) -> dict[str, str]:
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("GREENROOM_", "AWS_"))}
    return {**ours, "GREENROOM_STATE_DIR": str(state_dir), **settings}


def run(
    state_dir: Path, *arguments: str, settings: Mapping[str, str] = ANY_PORT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy", *arguments],
        cwd=REPOSITORY,
        env=environment(state_dir, settings),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
