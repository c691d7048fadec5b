"""Other machines: what is sent to them, and what they must have as the driver has it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from batch_jobs.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batch_jobs.results import SplitResult
    from batch_jobs.splits import Split

# What a worker imports to score. It is sent along, so that no machine has other code than the driver.
_SENT = ("batch_jobs", "expectations", "registry", "storage")
# What decides a prediction, besides the model and our code; it is not sent.
_INSTALLED = ("numpy", "pyarrow", "xgboost")


def rooms() -> list[Path]:
    """Return the folders of code to send."""
    root = Path(__file__).resolve().parent.parent.parent
    return [root / name for name in _SENT]


def installed() -> dict[str, str]:
    """Return the versions of what decides a prediction, here."""
    return {name: importlib.import_module(name).__version__ for name in _INSTALLED}


def score_alike(
    score: Callable[[Split], SplitResult], split: Split, expected: Mapping[str, str]
) -> SplitResult:
    """Score a split on another machine. Raises `JobError` where it has other versions than the driver."""
    for name, version in installed().items():
        if version != expected[name]:
            raise JobError(
                f"A machine of the cluster has {name} {version}, expected {expected[name]} as the driver has."
                " Build its image from the same requirements.lock"
            )
    return score(split)
