"""One run of one partition: pin the input, skip or score, commit once, record."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batch_jobs.begun import Begun
from batch_jobs.data_docs import publish_docs
from batch_jobs.doubles import refuse_doubles
from batch_jobs.errors import UnfitDataError
from batch_jobs.job import refuse_overlap
from batch_jobs.judging import judge, refuse_unmet
from batch_jobs.live import live_partition, rows_before
from batch_jobs.mending.repairs import read_repairs
from batch_jobs.partition import PARTITION_BY, Provenance, schema_of
from batch_jobs.parts import SplitScorer
from batch_jobs.plan import plan_of, read_rules
from batch_jobs.record import create_run, discard_run, record_counts, recorded_runs, repair
from batch_jobs.results import together
from batch_jobs.scoring import RowScorer
from batch_jobs.splits import plan_splits, split_bytes
from batch_jobs.workplace import Progress, RunReport
from storage import CommitConflictError, commit_parts, count_commits, data_uri

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from batch_jobs.job import BatchJob
    from batch_jobs.live import LivePartition
    from batch_jobs.results import SplitResult
    from batch_jobs.splits import Split
    from batch_jobs.workplace import Workplace
    from registry import AnyScorer


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
    repairs = read_repairs(table_uri, date, snapshot, at.store)
    planned = Provenance(
        date=date,
        run_id="",
        snapshot_digest=snapshot.digest,
        repairs_digest=repairs.digest,
        **plan_of(job, version, rules),
    )
    report = RunReport(job.name, date, version.name, version.version, table_uri, warnings=repairs.warnings)
    before = count_commits(table_uri, ("date", str(date)), at.settings)
    live = live_partition(table_uri, date, at.store, at.settings)
    if live is not None and live.plan == planned.plan:
        repair(at.registry, live.run_id, live.counts, int(time.time() * 1000))
        return _nothing_to_do(report, live, started)
    begun = Begun.of(planned, before, table_uri, at.store)
    run_id = begun.run_id(
        lambda: at.run_id or create_run(at.registry, job), partial(discard_run, at.registry)
    )
    made = replace(planned, run_id=run_id)
    runs = tuple(dict.fromkeys([run_id, *([at.run_id] if at.run_id else [])]))
    with (
        recorded_runs(at.registry, job, date, version, snapshot, runs) as recorded,
        tempfile.TemporaryDirectory(prefix="greenroom-") as folder,
    ):
        scratch = Path(folder)
        scoring = SplitScorer(RowScorer(scorer, rules), made, table_uri, at.settings, scratch, repairs)
        splits = plan_splits(snapshot, at.store, split_bytes(at.environment))
        found, resumed = _score(splits, scoring, begun, at)
        usual = rows_before(table_uri, date, at.settings) if job.limits.usual_rows else ()
        refuse_unmet(repairs, found)
        try:
            warnings = (*repairs.warnings, *judge(job, rules, found, usual))
        except UnfitDataError:
            publish_docs(job, date, rules, found, recorded, at)
            raise
        refuse_doubles(table_uri, found.parts, job.row_key, at.store, at.workers, scratch)
        try:
            table_version = commit_parts(
                table_uri,
                found.parts,
                schema_of(job.row_key),
                ("date", str(date)),
                PARTITION_BY,
                at.settings,
                after=before,
            )
        except CommitConflictError:
            live = live_partition(table_uri, date, at.store, at.settings)
            if live is None or live.plan != planned.plan:
                raise
            # Somebody else did the very same meanwhile, perhaps with parts that we wrote.
            return _nothing_to_do(report, live, started)
        seconds = time.monotonic() - started
        counts = {"rows": found.rows, "scored": found.scored, "quarantined": found.quarantined}
        speed = {"seconds": seconds, "rows_per_second": found.rows / seconds}
        tags = {"greenroom.table": table_uri, "greenroom.table_version": str(table_version)}
        if repairs.digest:
            tags["greenroom.repairs"] = repairs.digest
        if warnings:
            tags["greenroom.warning"] = "\n".join(warnings)
        for each in recorded:
            record_counts(at.registry, each, counts | speed, tags, int(time.time() * 1000))
        warnings += publish_docs(job, date, rules, found, recorded, at)
    return replace(
        report,
        published=True,
        rows=found.rows,
        scored=found.scored,
        quarantined=found.quarantined,
        reasons=dict(found.reasons),
        warnings=warnings,
        table_version=table_version,
        run_id=run_id,
        seconds=round(seconds, 3),
        resumed_splits=resumed,
        repaired=found.repaired,
    )


def _score(
    splits: Sequence[Split], scoring: SplitScorer, begun: Begun, at: Workplace
) -> tuple[SplitResult, int]:
    """Score what is not scored yet; return what became of all splits, and how many were scored before."""
    results = {split.name: done for split in splits if (done := begun.finished(split)) is not None}
    resumed, of_bytes = len(results), sum(split.size_bytes for split in splits)
    done_bytes = sum(split.size_bytes for split in splits if split.name in results)
    for split, result in at.engine.map(scoring, [s for s in splits if s.name not in results]):
        results[split.name] = begun.finish(split, result)
        done_bytes += split.size_bytes
        counts = results.values()
        at.progress(
            Progress(done_bytes, of_bytes, sum(r.scored for r in counts), sum(r.quarantined for r in counts))
        )
    return together(results[split.name] for split in splits), resumed


def _nothing_to_do(report: RunReport, live: LivePartition, started: float) -> RunReport:
    return replace(
        report,
        rows=live.scored + live.quarantined,
        scored=live.scored,
        quarantined=live.quarantined,
        run_id=live.run_id,
        seconds=round(time.monotonic() - started, 3),
    )
