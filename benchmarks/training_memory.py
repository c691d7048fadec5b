"""How much memory `mlflow run .` takes on many times the flights, beside XGBoost alone on the same rows.

The embedded stack is started and the flights are delivered to it; then a training writes its labelled rows,
another finds them again, and a bare script (`training_bare`) trains on the same rows from a local file.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import deploy
from benchmarks import training_bare as bare
from benchmarks.training_figures import Figures, Peaks
from benchmarks.training_flights import repeated
from benchmarks.training_peak import MeasurementError, run_measured
from benchmarks.training_rows import write_encoded
from deploy.settings import UNSET
from projects.declaration import read_project
from projects.parts import Window
from projects.rows.delivery import deliver
from storage import S3Settings, Store, data_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from projects.declaration import Project

STEPS = 9

_REPOSITORY = Path(__file__).resolve().parent.parent
_SEED = 2013
_DAY = dt.date(2013, 1, 1)
_YEAR = Window(_DAY, dt.date(2013, 12, 31))
_ONE_DAY = Window(_DAY, _DAY)
_DIGEST = re.compile(r"^  digest +(\S+)$", re.MULTILINE)
# What a training imports sooner or later, but for what MLflow itself loads late.
_OUR_IMPORTS = "import projects.runs, projects.__main__, boto3, deltalake"
_BARE_IMPORTS = "import benchmarks.training_bare"


def run(times: int, notify: Callable[[str], None] = lambda _: None) -> Figures:
    """Measure a year with `times` as many flights; `notify` hears of each step before it.

    Raises DeployError where the stack does not start, or a command fails.
    """
    project = read_project("flight_delay")
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as scratch:
        folder = Path(scratch)
        notify("starting servers")
        with deploy.running(folder / "state", s3_port=0, mlflow_port=0) as stack:
            inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
            environment = {
                **inherited,
                **stack.environment(deploy.Role.AUTHOR),
                "GREENROOM_CACHE_DIR": str(folder / "cache"),
            }
            notify(f"delivering {times} times the flights")
            _deliver(project, times, environment)
            return _measure(project, times, environment, folder, notify)


def _measure(
    project: Project,
    times: int,
    environment: Mapping[str, str],
    folder: Path,
    notify: Callable[[str], None],
) -> Figures:
    def of_imports(statement: str) -> int:
        notify("imports")
        arguments = ("-c", statement)
        return run_measured([sys.executable, *arguments], environment, _REPOSITORY, arguments)[0]

    def of_training(window: Window, what: str) -> tuple[int, Path]:
        notify(f"`mlflow run .` on {what}")
        days = ("-P", f"since={window.since}", "-P", f"until={window.until}")
        command = ["mlflow", "run", ".", "--env-manager", "local", "--experiment-name", project.model, *days]
        peak, said = run_measured(command, environment, _REPOSITORY, ("-m", "projects", "train"))
        found = _DIGEST.search(said)
        if found is None:
            raise MeasurementError(f"`{' '.join(command)}` named no digest; it said {said[-500:]!r}")
        # Where the run itself has loaded the artifact from, verified.
        return peak, folder / "cache" / "models" / found[1] / bare.BOOSTER

    def of_bare(window: Window, what: str) -> tuple[int, Path, int]:
        notify(f"XGBoost alone on {what}")
        home = folder / f"bare-{window.since}-{window.until}"
        rows = write_encoded(project, window, environment, home)
        arguments = ("-m", bare.__name__, str(home))
        peak, _ = run_measured([sys.executable, *arguments], environment, _REPOSITORY, arguments)
        return peak, home / bare.BOOSTER, rows

    imports, bare_imports = of_imports(_OUR_IMPORTS), of_imports(_BARE_IMPORTS)
    day, _ = of_training(_ONE_DAY, "a day")
    first, booster = of_training(_YEAR, "a year, new")
    again, _ = of_training(_YEAR, "a year, found")
    bare_day, _, _ = of_bare(_ONE_DAY, "a day")
    bare_year, bare_booster, rows = of_bare(_YEAR, "a year")
    return Figures(
        times=times,
        rows=rows,
        first=Peaks(imports, day, first),
        again=Peaks(imports, day, again),
        bare=Peaks(bare_imports, bare_day, bare_year),
        same_booster=booster.read_bytes() == bare_booster.read_bytes(),
    )


def _deliver(project: Project, times: int, environment: Mapping[str, str]) -> None:
    locations = {name: data_uri(place, environment) for name, place in project.sources.items()}
    store = Store.connect(S3Settings.from_environment(environment))
    days = repeated(project.deliveries(), times, project.row_key, _SEED)
    deliver(days, locations, store, lambda _day, _rows: None)
