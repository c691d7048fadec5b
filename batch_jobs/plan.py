"""What a run would do, whatever the input: the rules of a job, and all that decides what becomes of a row."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from batch_jobs.code import code_digest
from batch_jobs.scoring import Rules
from expectations import Inspector, load_suite

if TYPE_CHECKING:
    from batch_jobs.job import BatchJob
    from registry import ModelVersion


def read_rules(job: BatchJob) -> Rules:
    """Read the job's suites."""
    suites = (load_suite(name) for name in (job.input_suite, job.predictions_suite))
    return Rules(job.row_key, *map(Inspector.of, suites))


def plan_of(job: BatchJob, version: ModelVersion, rules: Rules) -> dict[str, Any]:
    """Return what a run would do now, whatever the input; by the names of the columns that say it."""
    return {
        "model": version.name,
        "model_version": version.version,
        "artifact_digest": version.digest or "",
        "suite_digest": rules_digest(job, rules),
        "code_digest": code_digest(),
    }


def rules_digest(job: BatchJob, rules: Rules) -> str:
    """SHA-256 over everything that decides which rows are scored, and whether a day is published."""
    parts = (rules.input.suite.digest, rules.predictions.suite.digest, repr(job.limits), *job.row_key)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
