"""Data Docs of a day: Great Expectations' pages below a job's `data_docs`, linked from the runs."""

from __future__ import annotations

import datetime as dt
import mimetypes
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from expectations import ExpectationsError
from registry import RegistryError, translated
from storage import StorageError, data_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_jobs.job import BatchJob
    from batch_jobs.results import SplitResult
    from batch_jobs.scoring import Rules
    from batch_jobs.workplace import Workplace

_TAG = "greenroom.data_docs"


def publish_docs(
    job: BatchJob, date: dt.date, rules: Rules, found: SplitResult, run_ids: Sequence[str], at: Workplace
) -> tuple[str, ...]:
    """Write the pages of what the suites found in a day; return a warning where that could not be.

    A day is no less published for want of its pages, and no less unfit.
    """
    if job.data_docs is None or not run_ids or not found.input.rows:
        return ()
    # Great Expectations is imported by whoever wants its pages, after all rows are scored: six seconds.
    from expectations.data_docs import write_site

    uri = f"{data_uri(job.data_docs, at.environment)}/{date}/{run_ids[0]}"
    suites = [(rules.input, found.input), (rules.predictions, found.predictions)]
    try:
        with tempfile.TemporaryDirectory(prefix="greenroom-") as scratch:
            folder = Path(scratch)
            write_site(folder, f"{date}-{run_ids[0][:8]}", dt.datetime.now(dt.UTC), suites)
            for path in filter(Path.is_file, folder.rglob("*")):
                kind = mimetypes.guess_type(path.name)[0]
                at.store.upload(f"{uri}/{path.relative_to(folder).as_posix()}", path, kind)
        for run_id in run_ids:
            with translated(f"link the Data Docs from the run {run_id}"):
                at.registry.client.set_tag(run_id, _TAG, f"{uri}/index.html")
    except (ExpectationsError, RegistryError, StorageError, OSError) as error:
        return (f"the Data Docs are not complete: {error}",)
    return ()
