"""How fast a batch job scores beside XGBoost alone and beside other tools, and how its memory grows.

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
from typing import TYPE_CHECKING, Any

import deploy
from benchmarks.batch_figures import ON_RAY, OURS, Figures, Size
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
_SAID_CHARACTERS = 600
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
        ways = len(OWN_WAYS) + 1 + (len(PEERS) + 1 if self.peers else 0)
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
            roles = environments(stack, folder)
            notify("training the model")
            cached = put_in_production(roles["author"], roles["reviewer"])
            # Of their own: MLflow leaves byte code there, and our cache is verified whenever it is read.
            artifact = shutil.copytree(cached, folder / "artifact")
            environment = {**roles["operator"], "BENCH_ARTIFACT": str(artifact)}
            days = asked.days()
            for size, day in days.items():
                notify(f"writing {size:g} million rows")
                write_rows(round(size * _MILLION), day, roles["author"])
            return _measure(asked, days, environment, folder, notify)


def _measure(
    asked: Asked,
    days: Mapping[float, dt.date],
    environment: Mapping[str, str],
    folder: Path,
    notify: Callable[[str], None],
) -> Figures:
    processes = _Processes(environment, folder, notify, {})
    rounds = [_round(asked, days[asked.millions], processes, number) for number in range(asked.rounds)]
    grown = [processes.ours(days[size], f"{size:g} million rows", "growth") for size in asked.growth]
    sizes = tuple(Size(**found) for found in grown if found)
    return Figures(asked.millions, tuple(rounds), sizes, processes.unable)


def _round(asked: Asked, day: dt.date, processes: _Processes, number: int) -> dict[str, float]:
    found = {OURS: processes.ours(day, OURS, number)}
    for way in OWN_WAYS:
        found[way] = processes.measured(way, sys.executable, "-m", "benchmarks.batch_ways", way, day)
    if asked.peers:
        found[ON_RAY] = processes.ours(day, ON_RAY, number)
        script = Path(__file__).with_name("batch_ways.py")
        for way in PEERS:
            found[way] = processes.measured(way, asked.peers, script, way, day)
    return {way: each["rows"] / each["seconds"] for way, each in found.items() if each}


@dataclass(frozen=True)
class _Processes:
    """A process for each measurement; `unable` comes to say which ways could not be measured, and why."""

    environment: Mapping[str, str]
    folder: Path
    notify: Callable[[str], None]
    unable: dict[str, str]

    def ours(self, day: dt.date, name: str, table: object) -> dict[str, Any]:
        # Each run of our job begins with an empty table, as the other ways do with an empty folder.
        more = {"BENCH_TABLE": f"{table}-{name}", "BENCH_ENGINE": "ray" if name == ON_RAY else "local"}
        command = (sys.executable, "-m", "benchmarks.batch_job", day, self.folder)
        return self.measured(name, *command, **more)

    def measured(self, way: str, *command: object, **more: str) -> dict[str, Any]:
        """Run a command; return what its last line says, or nothing where it failed."""
        self.notify(way)
        try:
            done = subprocess.run(
                list(map(str, command)),
                env={**self.environment, **more, "BENCH_BEGAN": str(time.time())},
                cwd=_REPOSITORY,
                capture_output=True,
                text=True,
                timeout=_LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.unable[way] = f"it was not done after {_LONGEST_S} s"
            return {}
        if done.returncode:
            self.unable[way] = done.stderr.strip()[-_SAID_CHARACTERS:]
            return {}
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found


def environments(stack: deploy.Stack, folder: Path) -> dict[str, dict[str, str]]:
    """Return the environment of each role of a stack, with a cache below a folder."""
    inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
    own = {
        "GREENROOM_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": str(_REPOSITORY),
        # It would come after the JSON of our job.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    return {role: {**inherited, **stack.environment(role), **own} for role in deploy.Role}
