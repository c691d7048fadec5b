"""Lineage, downwards: what was made from a snapshot, a run or a version, as far as it is still live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

import registry
from projects.errors import ProjectError
from projects.lineage.ascent import Link, find_run
from storage import S3Settings, live_columns

if TYPE_CHECKING:
    from mlflow.entities import Run

    from projects.runs import Workplace
    from registry import ModelVersion

# The tags in which runs keep digests of what they read.
_CONTEXTS = ("training", "validation", "tuning")
_READ = (
    *(f"greenroom.labelled.{context}.digest" for context in _CONTEXTS),
    *(f"greenroom.snapshot.{context}.{kind}" for context in _CONTEXTS for kind in ("features", "outcomes")),
    "greenroom.snapshot",
)


def from_digest(digest: str, at: Workplace) -> Link:
    """Say which runs read a snapshot, or rows with labels, of this digest; and what became of them.

    Raises `ProjectError` where none did.
    """
    readers = readers_of(digest, at)
    if not readers:
        raise ProjectError(
            f"No run that this login can see read data of the digest {digest}; expected that of a snapshot,"
            " or of rows with labels, as a run's tags say it"
        )
    return Link.of("data", digest, [_of_run(run, at) for run in readers.values()])


def readers_of(digest: str, at: Workplace) -> dict[str, Run]:
    """Return the runs that read data of a digest, by id."""
    readers: dict[str, Run] = {}
    for tag in _READ:
        readers |= {run.info.run_id: run for run in _search(f"tags.`{tag}` = '{digest}'", at)}
    return readers


def from_run(run_id: str, at: Workplace) -> Link:
    """Say what a run made. Raises `ProjectError` where there is no such run."""
    run = find_run(run_id, at)
    if run is None:
        raise ProjectError(f"There is no run {run_id} that this login can see")
    return _of_run(run, at)


def from_version(version: ModelVersion, at: Workplace) -> Link:
    """Say what validated a version, and which days of predictions it made, live or replaced since."""
    of_it = f"params.model = '{version.name}' and params.model_version = '{version.version}'"
    judged = f"tags.`greenroom.digest` = '{version.digest}' and tags.`greenroom.verdict` != ''"
    links = [_predictions(run, at) for run in _search(of_it, at)]
    links += [
        Link.of("validation", run.info.run_id, verdict=run.data.tags.get("greenroom.verdict"))
        for run in _search(judged, at)
    ]
    return Link.of(
        "version", f"{version.name} {version.version}", links, stage=version.stage, digest=version.digest
    )


def _of_run(run: Run, at: Workplace) -> Link:
    tags = run.data.tags
    if "greenroom.snapshot" in tags:
        return _predictions(run, at)
    versions = at.registry.client.search_model_versions(f"run_id = '{run.info.run_id}'")
    links = [from_version(registry.find_version(at.registry, v.name, int(v.version)), at) for v in versions]
    tuned = _search(f"tags.`greenroom.tuned_by` = '{run.info.run_id}'", at)
    return Link.of(
        "run",
        run.info.run_id,
        [*links, *(_of_run(each, at) for each in tuned)],
        called=run.info.run_name,
        verdict=tags.get("greenroom.verdict"),
    )


def _predictions(run: Run, at: Workplace) -> Link:
    params, table = run.data.params, run.data.tags.get("greenroom.table")
    facts = {"job": params.get("job"), "date": params.get("date")}
    if table is None:
        return Link.of("batch run", run.info.run_id, **facts, predictions="none: it did not come to its end")
    where = [("date", "=", str(params["date"]))]
    rows = live_columns(table, ["run_id"], where, S3Settings.from_environment(at.environment))
    count = pc.sum(pc.equal(rows["run_id"], run.info.run_id)).as_py() if rows is not None else 0
    state = f"{count:,} rows, live" if count else "replaced since"
    return Link.of("batch run", run.info.run_id, **facts, table=table, predictions=state)


def _search(asked: str, at: Workplace) -> list[Run]:
    client = at.registry.client
    with registry.translated("search the runs"):
        experiments = [each.experiment_id for each in client.search_experiments()]
        found: list[Run] = []
        token = None
        while experiments:
            page = client.search_runs(experiments, asked, page_token=token)
            found += page
            token = page.token
            if not token:
                break
        return found
