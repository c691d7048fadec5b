"""The verbs of `python -m batch_jobs` around bad rows: give them out to be mended, and score mended ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batch_jobs import verbs

if TYPE_CHECKING:
    import argparse


def quarantined(options: argparse.Namespace) -> int:
    """Write the quarantined rows of a day to a file."""
    from batch_jobs.errors import UnfitDataError
    from batch_jobs.job import read_job
    from batch_jobs.mending.quarantine import give_out
    from storage import S3Settings, Store

    job, settings = read_job(options.job), S3Settings.from_environment(os.environ)
    try:
        count = give_out(job, options.since, Path(options.out), Store.connect(settings), settings, os.environ)
    except UnfitDataError as error:
        return _unfit(error)
    print(f"{job.name} {options.since}: {count:,} quarantined rows in {options.out}")
    return 0


def requeue(options: argparse.Namespace) -> int:
    """Keep mended rows as repairs of a day, and score it with them."""
    from batch_jobs.errors import UnfitDataError
    from batch_jobs.job import read_job
    from batch_jobs.mending.requeue import hand_in
    from storage import ObjectNotFoundError, S3Settings, Store, UnreadableFileError

    job, settings = read_job(options.job), S3Settings.from_environment(os.environ)
    try:
        done = hand_in(job, options.since, options.file, Store.connect(settings), settings, os.environ)
    except (UnfitDataError, UnreadableFileError, ObjectNotFoundError) as error:
        return _unfit(error)
    print(f"{job.name} {options.since}: {done}", file=sys.stderr)
    return verbs.run(options)


def _unfit(error: Exception) -> int:
    print(f"batch_jobs: {error}", file=sys.stderr)
    return 3
