"""`python -m serving.following.trial FOLDER`: loads a verified artifact and scores its example.

In a process of its own, which may die over it: bytes that XGBoost does not expect can crash it, and code
that an artifact brings can do anything.
"""

from __future__ import annotations

import argparse
import ctypes
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 60.0
_PR_SET_PDEATHSIG = 1
# What a model answers with needs no login of ours, and code that it brings should find none.
_OURS = ("MLFLOW_TRACKING_", "AWS_")
_LAST_WORDS = 300


def try_artifact(
    folder: Path, what: str, kind: str, environment: Mapping[str, str], timeout_s: float = TIMEOUT_S
) -> str | None:
    """Try an artifact in a new process; return why it can not be served, None where it can.

    `kind` is its format. A crash, and no end after `timeout_s` seconds, are a no like any other.
    """
    command = [sys.executable, "-m", "serving.following.trial", str(folder)]
    done = subprocess.run(
        [*command, "--what", what, "--format", kind, "--timeout-s", str(timeout_s)],
        # One processor: the workers of the endpoint are busy beside it.
        env={
            **{name: value for name, value in environment.items() if not name.startswith(_OURS)},
            "OMP_NUM_THREADS": "1",
        },
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return None
    said = (done.stdout if done.returncode == 1 else "").strip().splitlines()
    if said:
        return said[-1]
    if done.returncode == -signal.SIGALRM:
        return f"{what} did not load and answer its example within {timeout_s:g} s"
    ended = f"ended with {done.returncode}"
    if done.returncode < 0:
        ended = f"was killed by {signal.Signals(-done.returncode).name}"
    words = " ".join(done.stderr.split())[-_LAST_WORDS:] or "it said nothing"
    return f"{what} could not be tried: the process that loaded it {ended}: {words}"


def main(arguments: list[str] | None = None) -> int:
    """Exit with 0, or print one sentence and exit with 1; SIGALRM ends what takes too long."""
    options = _parser().parse_args(arguments)
    # By the kernel: a thread that hangs in native code hears nothing else.
    signal.setitimer(signal.ITIMER_REAL, options.timeout_s)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        (_through_mlflow if options.format == "pyfunc" else _as_booster)(options.folder, options.what)
    except Exception as error:  # noqa: BLE001  # whatever it raises, it is a no
        print(_sentence(error, options.what))
        return 1
    return 0


def _as_booster(folder: Path, what: str) -> None:
    # XGBoost imports it where it finds it, and that takes longer than all the rest; no prediction needs it.
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # how Python spells "there is none"
    from registry.example import answer_example, check_example
    from registry.scorer import read_artifact
    from registry.trees import choose_evaluator

    columns, booster = read_artifact(folder, what)
    check_example(folder, what, answer_example(folder, columns, booster))
    choose_evaluator(booster)  # as workers do, who are not to die over it


def _through_mlflow(folder: Path, what: str) -> None:
    import mlflow.pyfunc
    import numpy as np

    from registry.example import check_example

    model = mlflow.pyfunc.load_model(str(folder))
    example = model.input_example
    answered = None if example is None else np.asarray(model.predict(example), dtype=np.float32)
    check_example(folder, what, answered)


def _sentence(error: Exception, what: str) -> str:
    from registry.errors import RegistryError

    if isinstance(error, RegistryError):
        return " ".join(str(error).split())
    said = next((line for line in str(error).splitlines() if line.strip()), "it did not say why")
    return f"{what} can not be served: {type(error).__name__}: {said.strip():.300}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.following.trial",
        description="Load a verified artifact, score its example, compare with what was recorded.",
    )
    parser.add_argument("folder", type=Path, help="the artifact")
    parser.add_argument("--what", default="the artifact", help="what to call it in a sentence")
    parser.add_argument("--format", choices=("xgboost", "pyfunc"), default="xgboost")
    parser.add_argument("--timeout-s", type=float, default=TIMEOUT_S)
    return parser


if __name__ == "__main__":
    sys.exit(main())
