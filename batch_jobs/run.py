"""One run of one partition: pin the input, skip or score, commit once, record."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_jobs.errors import UnfitDataError
from batch_jobs.job import refuse_overlap
from batch_jobs.partition import PARTITION_BY, PLAN_COLUMNS, Provenance, partition_rows
from batch_jobs.record import record_counts, recorded_run, repair
from batch_jobs.scoring import Rules, score_rows
from expectations import load_suite
from storage import commit_partition, data_uri, live_columns, read_rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    from batch_jobs.job import BatchJob
    from registry import AnyScorer, Registry
    from storage import RowBatch, S3Settings, Snapshot, Store


@dataclass(frozen=True)
class Workplace:
    """What a run works with: the registry, the data, and who hears of its progress (bytes read).

    `run_id` is the MLflow run to record in, where `mlflow run` started one.
    """

    registry: Registry
    store: Store
    settings: S3Settings
    environment: Mapping[str, str]
    progress: Callable[[int, int], None]
    run_id: str | None = None


@dataclass(frozen=True)
class RunReport:
    """What a run did. `published` is False where the partition was up to date already."""

    job: str
    date: dt.date
    published: bool
    model: str
    model_version: int
    rows: int
    scored: int
    quarantined: int
    reasons: dict[str, int]
    table: str
    table_version: int | None
    run_id: str | None
    seconds: float


def run_partition(job: BatchJob, date: dt.date, scorer: AnyScorer, at: Workplace) -> RunReport:
    """Score one day with an already resolved version, and publish both outcomes in one commit.

    Raises `UnfitDataError` where there is no input, or it is unfit; then nothing is published.
    """
    started = time.monotonic()
    rules = read_rules(job)
    table_uri = data_uri(job.output, at.environment)
    input_uri = data_uri(job.input, at.environment)
    refuse_overlap(input_uri, table_uri, f"batch_jobs/{job.name}.yaml, below GREENROOM_DATA")
    snapshot = at.store.snapshot(input_uri.replace("{date}", str(date)))
    if not snapshot.objects:
        raise UnfitDataError(
            f"There is no input for {date}: no file under {snapshot.prefix}. Was it delivered, and is the"
            " date right?"
        )
    version = scorer.version
    planned = Provenance(
        date=date,
        model=version.name,
        model_version=version.version,
        run_id="",
        snapshot_digest=snapshot.digest,
        artifact_digest=version.digest or "",
        suite_digest=rules_digest(rules),
    )
    live = live_partition(table_uri, date, at)
    if live is not None and live.plan == planned.plan:
        repair(at.registry, live.run_id, live.counts, int(time.time() * 1000))
        return _report(job, planned, live, table_uri, time.monotonic() - started)
    with recorded_run(at.registry, job, date, version, snapshot, at.run_id) as run_id:
        made = Provenance(**{**vars(planned), "run_id": run_id})
        outcome = score_rows(_read(snapshot, at), scorer, rules)
        rows = partition_rows(outcome.good, outcome.bad, job.row_key, made)
        table_version = commit_partition(table_uri, rows, ("date", str(date)), PARTITION_BY, at.settings)
        seconds = time.monotonic() - started
        counts = LivePartition(made.plan, run_id, len(outcome.good.predictions), len(outcome.bad))
        record_counts(
            at.registry,
            run_id,
            {**counts.counts, "seconds": seconds},
            {"greenroom.table": table_uri, "greenroom.table_version": str(table_version)},
            int(time.time() * 1000),
        )
    reasons = dict(outcome.reason_counts.most_common())
    return _report(job, made, counts, table_uri, seconds, reasons=reasons, table_version=table_version)


@dataclass(frozen=True)
class LivePartition:
    """What is live of a partition, or would be."""

    plan: dict[str, object]
    run_id: str
    scored: int
    quarantined: int

    @property
    def counts(self) -> dict[str, float]:
        """The counts, as they are recorded."""
        rows = self.scored + self.quarantined
        return {"rows": rows, "scored": self.scored, "quarantined": self.quarantined}


def live_partition(table_uri: str, date: dt.date, at: Workplace) -> LivePartition | None:
    """Read what a partition was made from, from columns of its live files; None where it is not."""
    columns = [*PLAN_COLUMNS, "run_id", "outcome"]
    rows = live_columns(table_uri, columns, [("date", "=", str(date))], at.settings)
    if rows is None or not len(rows):
        return None
    kinds = rows.group_by(columns).aggregate([([], "count_all")]).to_pylist()
    counts = {kind["outcome"]: kind["count_all"] for kind in kinds}
    first = kinds[0]
    plan = {name: first[name] for name in PLAN_COLUMNS}
    return LivePartition(plan, first["run_id"], counts.get("scored", 0), counts.get("quarantined", 0))


def read_rules(job: BatchJob) -> Rules:
    """Read the job's suites."""
    return Rules(
        row_key=job.row_key,
        input_suite=load_suite(job.input_suite),
        predictions_suite=load_suite(job.predictions_suite),
        quarantined_share=job.quarantined_share,
    )


def rules_digest(rules: Rules) -> str:
    """SHA-256 over everything that decides which rows are scored and which are set aside."""
    parts = (
        rules.input_suite.digest,
        rules.predictions_suite.digest,
        str(rules.quarantined_share),
        *rules.row_key,
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read(snapshot: Snapshot, at: Workplace) -> Iterator[tuple[str, RowBatch]]:
    done = 0
    for pinned in snapshot.objects:
        for batch in read_rows(at.store.open(pinned), pinned.uri):
            yield pinned.uri, batch
        done += pinned.size_bytes
        at.progress(done, snapshot.size_bytes)


def _report(
    job: BatchJob,
    made: Provenance,
    found: LivePartition,
    table_uri: str,
    seconds: float,
    *,
    reasons: dict[str, int] | None = None,
    table_version: int | None = None,
) -> RunReport:
    return RunReport(
        job=job.name,
        date=made.date,
        published=table_version is not None,
        model=made.model,
        model_version=made.model_version,
        rows=found.scored + found.quarantined,
        scored=found.scored,
        quarantined=found.quarantined,
        reasons=reasons or {},
        table=table_uri,
        table_version=table_version,
        run_id=found.run_id,
        seconds=round(seconds, 3),
    )
