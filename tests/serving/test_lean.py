"""What a worker has in memory before it answers, and what it has not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import REPOSITORY
from local_versions import write_tiny

HEAVY = "{'mlflow', 'pandas', 'sklearn', 'boto3', 'great_expectations'}"
CODE = f"""
import os, sys
from pathlib import Path
from serving.lean import leave_out_what_boosters_do_not_need
leave_out_what_boosters_do_not_need(os.environ, lenient=LENIENT)
import serving.http.server
from serving.contract.limits import Limits
from serving.models.loading import load_booster
from serving.models.served import Version
model = load_booster(Path(sys.argv[1]), Version("tiny", 1, "digest"))
body = b'{{"inputs": {{"carrier": "AA", "distance": 1.5}}, "params": {{"explain": true}}}}'
print(model.answer(model.read("application/json", body, Limits())).body.decode())
print(sorted(name for name in {HEAVY} if sys.modules.get(name)))
"""


@pytest.mark.parametrize(
    ("formats", "lenient", "heavy"),
    [("", False, []), ("xgboost,pyfunc", False, ["pandas", "sklearn"]), ("", True, ["pandas", "sklearn"])],
)
def test_workers_have_what_they_need_and_no_more(
    formats: str, lenient: object, heavy: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    write_tiny(folder)
    ran = subprocess.run(
        [sys.executable, "-c", CODE.replace("LENIENT", str(lenient)), str(folder)],
        cwd=REPOSITORY,
        env={"GREENROOM_ARTIFACT_FORMATS": formats, "PATH": "", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answer, found = ran.stdout.splitlines()
    assert json.loads(answer)["explanations"][0]["contributions"].keys() == {"carrier", "distance"}
    assert found == str(heavy)
