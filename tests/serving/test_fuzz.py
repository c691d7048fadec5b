"""A short run of the fuzzer over the parsers; half an hour of it under GREENROOM_EXHAUSTIVE=1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from served_house import EXHAUSTIVE

pytest.importorskip("atheris")

FUZZING = Path(__file__).with_name("fuzzing.py")
RUNS, SECONDS = ("10000000", "1800") if EXHAUSTIVE else ("20000", "10")


def test_nothing_but_refusals_comes_out_of_the_parsers(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(FUZZING), RUNS, SECONDS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=int(SECONDS) + 600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-6000:]
    assert "Done " in ran.stderr
