"""What a worker has in memory before it answers, and what it has not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from commands import REPOSITORY

HEAVY = "{'mlflow', 'pandas', 'sklearn', 'boto3', 'great_expectations', 'scipy.stats'}"
CODE = f"""
import os, sys
from serving.lean import import_xgboost
import_xgboost(os.environ)
import serving.http.server
print(sorted(name for name in {HEAVY} if sys.modules.get(name)))
import xgboost
print(xgboost.Booster)
"""


@pytest.mark.parametrize(("formats", "heavy"), [("", "[]"), ("xgboost,pyfunc", "'sklearn'")])
def test_workers_import_what_they_need(formats: str, heavy: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=REPOSITORY,
        env={"GREENROOM_ARTIFACT_FORMATS": formats, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    found, booster = ran.stdout.splitlines()
    assert heavy in found
    assert booster == "<class 'xgboost.core.Booster'>"
