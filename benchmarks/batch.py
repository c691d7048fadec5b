"""How fast a batch job scores beside the trees alone and beside other tools, and how its memory grows.

On an embedded stack of its own: rows on S3, a model in Production, and a process for each measurement. Ways
are measured one after the other, round by round, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import deploy
from benchmarks.batch_figures import OURS, Figures, Size
from benchmarks.batch_house import put_in_production, write_rows
from deploy.settings import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# What runs in the environment of the project, and what needs packages that it does not have.
OWN_WAYS = ("limit", "by_hand", "pyfunc")
PEERS = ("polars", "daft", "ray_data", "spark_udf")

_REPOSITORY = Path(__file__).resolve().parent.parent
_MILLION = 1_000_000
_FIRST_DAY = dt.date(2024, 1, 1)
_SAID_CHARACTERS = 300
_LONGEST_S = 1800


@dataclass(frozen=True)
class Asked:
    """What to measure: rows in millions and rounds of the comparison, sizes in millions of the growth.

    `peers` is the Python that has the other tools; None leaves them out.
    """

    millions: float
    rounds: int
    growth: Sequence[float]
    peers: Path | None

    @property
    def steps(self) -> int:
        """How many times `notify` is called."""
        ways = len(OWN_WAYS) + 1 + (len(PEERS) if self.peers else 0)
        return 2 + len(self._sizes) + self.rounds * ways + len(self.growth)

    @property
    def _sizes(self) -> list[float]:
        return sorted({self.millions, *self.growth})

    def days(self) -> dict[float, dt.date]:
        """Return a day for each size."""
        return {size: _FIRST_DAY + dt.timedelta(days=n) for n, size in enumerate(self._sizes)}


def run(asked: Asked, notify: Callable[[str], None] = lambda _: None) -> Figures:
    """Measure; `notify` hears of each step before it. Raises DeployError where the stack does not start."""
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as scratch:
        folder = Path(scratch)
        notify("starting servers")
        with deploy.running(folder / "state", s3_port=0, mlflow_port=0) as stack:
            environments = _environments(stack, folder)
            notify("training the model")
            cached = put_in_production(environments["author"], environments["reviewer"])
            # Of their own: MLflow leaves byte code there, and our cache is verified whenever it is read.
            artifact = shutil.copytree(cached, folder / "artifact")
            environment = {**environments["operator"], "BENCH_ARTIFACT": str(artifact)}
            days = asked.days()
            for size, day in days.items():
                notify(f"writing {size:g} million rows")
                write_rows(round(size * _MILLION), day, environments["author"])
            return _measure(asked, days, environment, folder, notify)


def _measure(
    asked: Asked,
    days: Mapping[float, dt.date],
    environment: Mapping[str, str],
    folder: Path,
    notify: Callable[[str], None],
) -> Figures:
    rounds: list[dict[str, float]] = []
    unable: dict[str, str] = {}
    day = days[asked.millions]

    def measured(way: str, *command: object) -> dict[str, float]:
        notify(way)
        # Each run of our job begins with an empty table, as the other ways do with an empty folder.
        fresh = {**environment, "BENCH_TABLE": f"{len(rounds)}-{way}", "BENCH_BEGAN": str(time.time())}
        try:
            done = subprocess.run(
                list(map(str, command)),
                env=fresh,
                cwd=_REPOSITORY,
                capture_output=True,
                text=True,
                timeout=_LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            unable[way] = f"it was not done after {_LONGEST_S} s"
            return {}
        if done.returncode:
            unable[way] = done.stderr.strip()[-_SAID_CHARACTERS:]
            return {}
        found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    def ours(of: dt.date, name: str) -> dict[str, float]:
        return measured(name, sys.executable, "-m", "benchmarks.batch_job", of, folder)

    for _ in range(asked.rounds):
        found = {OURS: ours(day, OURS)}
        for way in OWN_WAYS:
            found[way] = measured(way, sys.executable, "-m", "benchmarks.batch_ways", way, day)
        for way in PEERS if asked.peers else ():
            script = Path(__file__).with_name("batch_ways.py")
            found[way] = measured(way, asked.peers, script, way, day)
        rounds.append({way: each["rows"] / each["seconds"] for way, each in found.items() if each})
    sizes = []
    for size in asked.growth:
        grown = ours(days[size], f"{size:g} million rows")
        if grown:
            sizes.append(Size(**grown))  # type: ignore[arg-type]  # JSON has whole numbers where it should
    return Figures(asked.millions, tuple(rounds), tuple(sizes), unable)


def _environments(stack: deploy.Stack, folder: Path) -> dict[str, dict[str, str]]:
    inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
    own = {
        "GREENROOM_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": str(_REPOSITORY),
        # It would come after the JSON of our job.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    return {role: {**inherited, **stack.environment(role), **own} for role in deploy.Role}
