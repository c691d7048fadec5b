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

from registry import NothingOnStageError, UnknownVersionError, list_versions, resolve, translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from batch_jobs.job import BatchJob
    from batch_jobs.monitoring.alerts.events import AlertEvent, EventLog
    from batch_jobs.monitoring.declared import Retraining
    from registry import Registry

_ROOT = Path(__file__).resolve().parent.parent.parent.parent
# A process that was killed leaves its note; after so long, another tries.
_LEASE_S = 6 * 60 * 60
# Marks of an event: that an attempt was begun, and what came of it; both numbered.
_BEGUN, RETRAINED = "retrain-", "retrained-"
_VERDICT = "greenroom.verdict"
_RUN = re.compile(r"\(ID '([0-9a-f]{32})'\)")
# As a training run names its days.
_WINDOW = re.compile(r"\d{4}-\d{2}-\d{2} to (\d{4}-\d{2}-\d{2})")
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class Retrained:
    """What came of a retraining: the version, if one was registered, and whether it waits for review."""

    event: str
    version: int | None
    requested: bool
    said: str
    seconds: float


def retrain_pending(
    job: BatchJob,
    retraining: Retraining,
    log: EventLog,
    until: dt.date,
    registry: Registry,
    environment: Mapping[str, str],
) -> list[Retrained]:
    """Retrain for each alert that asks for it and stands, on days up to `until`, whose outcomes are known.

    Once, also by several processes: each attempt is claimed by a note. While no candidate came of it, it is
    tried again when `again_days` more are known.
    """
    events = log.read()
    last = {event.alert: event for event in events}
    done = []
    for event in events:
        if event.kind != "fired" or event.action != "retrain" or last[event.alert] != event:
            continue
        attempt = _claim(event, log, until, retraining.again_days)
        if attempt is not None:
            found = retrain(job, retraining, event, until, registry, environment)
            log.mark(event, f"{RETRAINED}{attempt:03d}", asdict(found))
            done.append(found)
    return done


def last_of(marks: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return what came of the last retraining for an event, by its marks; None where there is none."""
    names = sorted(name for name in marks if name.startswith(RETRAINED))
    return marks[names[-1]] if names else None


def _claim(event: AlertEvent, log: EventLog, until: dt.date, again_days: int) -> int | None:
    """Return the number of the attempt that this process is to make, if any."""
    marks = log.marks(event)
    attempts = sorted(name for name in marks if name.startswith(_BEGUN))
    number = len(attempts) + 1
    if attempts:
        begun = marks[attempts[-1]]
        ended = marks.get(f"{RETRAINED}{len(attempts):03d}")
        if ended is None and time.time() - begun["at_s"] < _LEASE_S:
            return None
        again = dt.date.fromisoformat(begun["until"]) + dt.timedelta(days=again_days)
        if ended is not None and (ended["requested"] or until < again):
            return None
    mine = log.mark(event, f"{_BEGUN}{number:03d}", {"at_s": time.time(), "until": str(until)})
    return number if mine else None


def retrain(
    job: BatchJob,
    retraining: Retraining,
    event: AlertEvent,
    until: dt.date,
    registry: Registry,
    environment: Mapping[str, str],
) -> Retrained:
    """Train on the newest days that leave enough to validate on, up to `until`; validate; ask for review."""
    started = time.monotonic()
    validated_from = until - dt.timedelta(days=retraining.validation_days - 1)
    trained_until = validated_from - dt.timedelta(days=1)
    window = ["-P", f"until={trained_until}"]
    if retraining.train_days is not None:
        window += ["-P", f"since={trained_until - dt.timedelta(days=retraining.train_days - 1)}"]
    model = job.model.removeprefix("models:/").partition("/")[0].partition("@")[0]
    run = (*_PYTHON, "mlflow", "run", ".", "--env-manager", "local", "--experiment-name", model)
    project = ("-P", f"project={retraining.project}")

    def result(version: int | None, said: str, *, requested: bool = False) -> Retrained:
        return Retrained(event.name, version, requested, said, round(time.monotonic() - started, 1))

    known = _trained_until(job.model, registry)
    if known is not None and trained_until <= known:
        # A candidate that knows less than the version that it is to replace would waste a reviewer's time.
        return result(
            None,
            f"with {retraining.validation_days} days to validate on, it would learn from days until"
            f" {trained_until}, as the version in Production did until {known}: nothing is newer yet",
        )
    trained = _command([*run, *project, *window], environment)
    if trained.returncode:
        return result(None, f"training on days until {trained_until} failed: {_end_of(trained)}")
    version = _version_of(trained, model, registry)
    if version is None:
        return result(
            None, f"training on days until {trained_until} registered no version: {_end_of(trained)}"
        )
    days = ("-P", f"since={validated_from}", "-P", f"until={until}")
    validated = _command([*run, "-e", "validate", *project, "-P", f"version={version}", *days], environment)
    if validated.returncode:
        said = f"version {version}, trained on days until {trained_until}, did not pass its validation on"
        verdict = _verdict_of(validated, registry) or _end_of(validated)
        return result(version, f"{said} {validated_from} to {until}: {verdict}")
    reason = f"retrained on days until {trained_until}, because the alert {event.alert} fired: {event.said}"
    asked = _command([*_PYTHON, "registry", "request", model, str(version), "--reason", reason], environment)
    if asked.returncode:
        said = f"version {version} passed, and its review could not be asked for: {_end_of(asked)}"
        return result(version, said)
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


def _trained_until(model: str, registry: Registry) -> dt.date | None:
    """Return the last day that the version on stage was trained on; None where its run does not say."""
    try:
        version = resolve(registry, model)
    except (NothingOnStageError, UnknownVersionError):
        return None
    if not version.run_id:
        return None
    with translated(f"look at the run {version.run_id}"):
        window = registry.client.get_run(version.run_id).data.params.get("window", "")
    match = _WINDOW.fullmatch(window)
    return dt.date.fromisoformat(match[1]) if match else None


def _verdict_of(ran: subprocess.CompletedProcess[str], registry: Registry) -> str | None:
    """Return what a validation came to, in a word; None where it did not come to anything."""
    for run in _RUN.findall(ran.stderr + ran.stdout):
        with translated(f"look at the run {run}"):
            found: str | None = registry.client.get_run(run).data.tags.get(_VERDICT)
        if found:
            return found
    return None


def _end_of(ran: subprocess.CompletedProcess[str]) -> str:
    said = " ".join((ran.stdout + ran.stderr).split())
    return f"exit code {ran.returncode}: …{said[-_SHOWN_CHARACTERS:]}"
