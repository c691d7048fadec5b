"""What a job file declares, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from batch_jobs.errors import JobFileError

if TYPE_CHECKING:
    from typing import Any

ROOT = Path(__file__).parent
# Of the table that `batch_jobs/partition.py` lays out.
RESERVED_COLUMNS = frozenset(
    {
        *("date", "outcome", "prediction", "reasons", "row", "input_file", "input_position"),
        *("model", "model_version", "run_id", "snapshot_digest", "artifact_digest", "suite_digest"),
    }
)


@dataclass(frozen=True)
class BatchJob:
    """One batch job. The fields are the keys of its file; `name` is the file's name.

    `input` holds `{date}` where the day (YYYY-MM-DD) goes; `quarantined_share` is a limit in [0, 1].
    """

    name: str
    model: str
    input: str
    output: str
    row_key: tuple[str, ...]
    input_suite: str
    predictions_suite: str
    quarantined_share: float


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
    top = _exactly(found, keys, where)
    suites = _exactly(top["suites"], ("input", "predictions"), f"{where}: suites")
    limits = _exactly(top["limits"], ("quarantined_share",), f"{where}: limits")
    texts = {key: top[key] for key in ("model", "input", "output")} | suites
    for key, value in texts.items():
        if not isinstance(value, str) or not value:
            raise JobFileError(f"{where}: {key} is {value!r}, expected text")
    if top["input"].count("{date}") != 1:
        raise JobFileError(f"{where}: input is {top['input']!r}, expected {{date}} in it, once")
    row_key = top["row_key"]
    if not isinstance(row_key, list) or not row_key or not all(isinstance(c, str) for c in row_key):
        raise JobFileError(f"{where}: row_key is {row_key!r}, expected a list of column names")
    share = limits["quarantined_share"]
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise JobFileError(f"{where}: limits: quarantined_share is {share!r}, expected 0 to 1")
    if reserved := set(row_key) & RESERVED_COLUMNS:
        raise JobFileError(
            f"{where}: row_key has {min(reserved)!r}, a column of the predictions; rename it upstream"
        )
    refuse_overlap(top["input"], top["output"], where)
    return BatchJob(
        name=name,
        model=top["model"],
        input=top["input"],
        output=top["output"],
        row_key=tuple(row_key),
        input_suite=suites["input"],
        predictions_suite=suites["predictions"],
        quarantined_share=float(share),
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


def _exactly(found: Any, keys: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise JobFileError(f"{where}: found {found!r}, expected keys and values")
    for key in found:
        if key not in keys:
            raise JobFileError(f"{where}: unknown key {key!r}; known are {', '.join(keys)}")
    for key in keys:
        if key not in found:
            raise JobFileError(f"{where}: the key {key!r} is missing")
    return found
