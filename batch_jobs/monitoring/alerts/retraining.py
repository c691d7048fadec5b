"""The action `retrain`: a candidate of the newest days, validated, and a request for its review.

Every step is a command in a process of its own, as a user types it. It never promotes: that is a reviewer's.
"""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry import list_versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batch_jobs.job import BatchJob
    from batch_jobs.monitoring.alerts.events import AlertEvent, EventLog
    from batch_jobs.monitoring.declared import Retraining
    from registry import Registry

_ROOT = Path(__file__).resolve().parent.parent.parent.parent
# A process that was killed leaves its note; after so long, another tries.
_LEASE_S = 6 * 60 * 60
_ATTEMPTS = 3
_RUN = re.compile(r"\(ID '([0-9a-f]{32})'\)")
_SHOWN_CHARACTERS = 600


@dataclass(frozen=True)
class Retrained:
    """What came of a retraining: the version, if one was registered, and whether it waits for review."""

    event: str
    version: int | None
    requested: bool
    said: str
    seconds: float


def retrain_pending(
    job: BatchJob, retraining: Retraining, log: EventLog, registry: Registry, environment: Mapping[str, str]
) -> list[Retrained]:
    """Retrain for each alert that asks for it, still stands, and was not answered yet.

    Once for each firing, also by several processes: each attempt is claimed by a note. One that failed is
    not tried again, one whose process was killed is.
    """
    events = log.read()
    last = {event.alert: event for event in events}
    done = []
    for event in events:
        asked = event.kind == "fired" and event.action == "retrain" and last[event.alert] == event
        if not asked or not _claim(event, log):
            continue
        found = retrain(job, retraining, event, registry, environment)
        log.mark(event, "retrained", asdict(found))
        done.append(found)
    return done


def _claim(event: AlertEvent, log: EventLog) -> bool:
    marks = log.marks(event)
    attempts = sorted(name for name in marks if name.startswith("retrain-"))
    if "retrained" in marks or len(attempts) >= _ATTEMPTS:
        return False
    if attempts and time.time() - marks[attempts[-1]]["at_s"] < _LEASE_S:
        return False
    return log.mark(event, f"retrain-{len(attempts) + 1}", {"at_s": time.time()})


def retrain(
    job: BatchJob,
    retraining: Retraining,
    event: AlertEvent,
    registry: Registry,
    environment: Mapping[str, str],
) -> Retrained:
    """Train on the newest days whose outcomes leave enough to validate on; validate; ask for review."""
    started = time.monotonic()
    validated_from = event.date - dt.timedelta(days=retraining.validation_days - 1)
    until = validated_from - dt.timedelta(days=1)
    since = until - dt.timedelta(days=retraining.train_days - 1)
    model = job.model.removeprefix("models:/").partition("/")[0].partition("@")[0]
    run = (*_PYTHON, "mlflow", "run", ".", "--env-manager", "local", "--experiment-name", model)
    project = ("-P", f"project={retraining.project}")

    def result(version: int | None, said: str, *, requested: bool = False) -> Retrained:
        return Retrained(event.name, version, requested, said, round(time.monotonic() - started, 1))

    trained = _command([*run, *project, "-P", f"since={since}", "-P", f"until={until}"], environment)
    if trained.returncode:
        return result(None, f"training on {since} to {until} failed: {_end_of(trained)}")
    version = _version_of(trained, model, registry)
    if version is None:
        return result(None, f"training on {since} to {until} registered no version: {_end_of(trained)}")
    window = ("-P", f"since={validated_from}", "-P", f"until={event.date}")
    validated = _command([*run, "-e", "validate", *project, "-P", f"version={version}", *window], environment)
    if validated.returncode:
        return result(version, f"version {version} did not pass its validation: {_end_of(validated)}")
    reason = f"retrained on {since} to {until}, because the alert {event.alert} fired: {event.said}"
    asked = _command([*_PYTHON, "registry", "request", model, str(version), "--reason", reason], environment)
    if asked.returncode:
        return result(
            version, f"version {version} passed, and its review could not be asked for: {_end_of(asked)}"
        )
    return result(version, f"version {version}, {reason}; it waits for a reviewer", requested=True)


_PYTHON = (sys.executable, "-m")


def _command(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    # A run that somebody else began is not this one's.
    found = {name: value for name, value in environment.items() if name != "MLFLOW_RUN_ID"}
    beside = str(Path(sys.executable).parent)
    found["PATH"] = f"{beside}:{found.get('PATH', '')}"
    return subprocess.run(command, cwd=_ROOT, env=found, capture_output=True, text=True, check=False)


def _version_of(ran: subprocess.CompletedProcess[str], model: str, registry: Registry) -> int | None:
    """Return the version that a run registered: MLflow's own output names the run."""
    runs = set(_RUN.findall(ran.stderr + ran.stdout))
    found = [version.version for version in list_versions(registry, model) if version.run_id in runs]
    return max(found) if found else None


def _end_of(ran: subprocess.CompletedProcess[str]) -> str:
    said = " ".join((ran.stdout + ran.stderr).split())
    return f"exit code {ran.returncode}: …{said[-_SHOWN_CHARACTERS:]}"
