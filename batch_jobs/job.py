"""What a job file declares, read and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from batch_jobs.errors import JobFileError
from batch_jobs.limits import Band, Limits
from batch_jobs.monitoring.declaration import parse_monitor
from batch_jobs.parsing import exactly
from batch_jobs.scheduling.schedule import Schedule, parse_schedule

if TYPE_CHECKING:
    from typing import Any

    from batch_jobs.monitoring.declared import Monitor

ROOT = Path(__file__).parent
# Of the table that `batch_jobs/partition.py` lays out.
RESERVED_COLUMNS = frozenset(
    {
        *("date", "outcome", "prediction", "reasons", "row", "input_file", "input_position"),
        *("model", "model_version", "run_id", "snapshot_digest", "artifact_digest", "suite_digest"),
        *("code_digest", "repair", "repairs_digest"),
    }
)


@dataclass(frozen=True)
class BatchJob:
    """One batch job. The fields are the keys of its file; `name` is the file's name.

    `input` holds `{date}` where the day (YYYY-MM-DD) goes. `data_docs` is a folder for Great Expectations'
    pages of each run, None for no pages.
    """

    name: str
    model: str
    input: str
    output: str
    row_key: tuple[str, ...]
    input_suite: str
    predictions_suite: str
    limits: Limits
    schedule: Schedule | None = None
    data_docs: str | None = None
    monitor: Monitor | None = None


def job_names() -> list[str]:
    """Return the names of all jobs."""
    return sorted(path.stem for path in ROOT.glob("*.yaml"))


def read_job(name: str) -> BatchJob:
    """Read `batch_jobs/NAME.yaml`. Raises `JobFileError` naming file, key and value."""
    if name not in job_names():
        raise JobFileError(
            f"There is no job {name[:80]!r}; there is: {', '.join(job_names())}. A job is a file"
            " batch_jobs/NAME.yaml"
        )
    try:
        found = yaml.safe_load((ROOT / f"{name}.yaml").read_text())
    except yaml.YAMLError as error:
        raise JobFileError(f"batch_jobs/{name}.yaml is not YAML: {error}") from error
    return parse_job(name, found)


def parse_job(name: str, found: Any) -> BatchJob:
    """Check the content of a job file."""
    where = f"batch_jobs/{name}.yaml"
    keys = ("model", "input", "output", "row_key", "suites", "limits")
    top = exactly(found, keys, where, optional=("schedule", "data_docs", "monitor"))
    suites = exactly(top["suites"], ("input", "predictions"), f"{where}: suites")
    texts = {key: top[key] for key in ("model", "input", "output", "data_docs") if key in top} | suites
    for key, value in texts.items():
        if not isinstance(value, str) or not value:
            raise JobFileError(f"{where}: {key} is {value!r}, expected text")
    if top["input"].count("{date}") != 1:
        raise JobFileError(f"{where}: input is {top['input']!r}, expected {{date}} in it, once")
    row_key = top["row_key"]
    if not isinstance(row_key, list) or not row_key or not all(isinstance(c, str) for c in row_key):
        raise JobFileError(f"{where}: row_key is {row_key!r}, expected a list of column names")
    if reserved := set(row_key) & RESERVED_COLUMNS:
        raise JobFileError(
            f"{where}: row_key has {min(reserved)!r}, a column of the predictions; rename it upstream"
        )
    refuse_overlap(top["input"], top["output"], where)
    if "data_docs" in top:
        for key in ("input", "output"):
            _refuse_docs_among(key, top[key].partition("{date}")[0], top["data_docs"], where)
    return BatchJob(
        name=name,
        model=top["model"],
        input=top["input"],
        output=top["output"],
        row_key=tuple(row_key),
        input_suite=suites["input"],
        predictions_suite=suites["predictions"],
        limits=parse_limits(top["limits"], f"{where}: limits"),
        schedule=parse_schedule(top["schedule"], f"{where}: schedule") if "schedule" in top else None,
        data_docs=top.get("data_docs"),
        monitor=parse_monitor(top["monitor"], row_key, top["output"], f"{where}: monitor")
        if "monitor" in top
        else None,
    )


def refuse_overlap(read_from: str, write_to: str, where: str) -> None:
    """Raise `JobFileError` where a job would read what it wrote, or write among what it reads."""
    read_below = read_from.partition("{date}")[0].rpartition("/")[0].strip("/")
    written = write_to.strip("/")
    inside = f"{written}/".startswith(f"{read_below}/")
    if not read_below or inside or f"{read_below}/".startswith(f"{written}/"):
        raise JobFileError(
            f"{where}: input {read_from!r} and output {write_to!r} lie inside each other, and the job would"
            " read what it wrote; expected two folders"
        )


def _refuse_docs_among(key: str, location: str, docs: str, where: str) -> None:
    one, other = f"{location.strip('/')}/", f"{docs.strip('/')}/"
    if one.startswith(other) or other.startswith(one):
        raise JobFileError(
            f"{where}: data_docs {docs!r} and {key} {location!r} lie inside each other; expected two folders"
        )


def parse_limits(found: Any, where: str) -> Limits:
    """Check the limits of a job; what is only a number is where nothing is published any more."""
    limits = exactly(found, ("quarantined_share",), where, optional=("usual_rows",))
    share = limits["quarantined_share"]
    there = f"{where}: quarantined_share"
    if not isinstance(share, dict):
        share = {"stop": _number(share, 0, 1, there)}
    ends = exactly(share, ("stop",), there, ("warn",))
    stop = _number(ends["stop"], 0, 1, f"{there}: stop")
    warn = _number(ends.get("warn", stop), 0, 1, f"{there}: warn")
    if warn > stop:
        raise JobFileError(f"{there}: warn is {warn}, expected at most stop, which is {stop}")
    rows = None
    if "usual_rows" in limits:
        there = f"{where}: usual_rows"
        given = exactly(limits["usual_rows"], (), there, ("warn", "stop"))
        always = [0, math.inf]
        rows = Band(*(_pair(given.get(end, always), f"{there}: {end}") for end in ("warn", "stop")))
    return Limits(Band((0, warn), (0, stop)), rows)


def _number(found: Any, low: float, high: float, where: str) -> float:
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not low <= found <= high:
        raise JobFileError(f"{where} is {found!r}, expected {low} to {high}")
    return float(found)


def _pair(found: Any, where: str) -> tuple[float, float]:
    if not isinstance(found, list) or len(found) != 2:  # noqa: PLR2004  # two ends
        raise JobFileError(f"{where} is {found!r}, expected two numbers, as [0.5, 2]")
    low, high = (_number(end, 0, math.inf, where) for end in found)
    if low > high:
        raise JobFileError(f"{where} is {found!r}, expected the smaller number first")
    return low, high
