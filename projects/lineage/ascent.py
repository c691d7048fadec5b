"""Lineage, upwards: from predictions, or anything on the way, to the source objects they were made of.

Read from columns of live files, from runs and from the registry; not from commit histories, which are
cleaned up.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

import registry
from projects.errors import ProjectError
from storage import S3Settings, data_uri, live_columns

if TYPE_CHECKING:
    from mlflow.entities import Run

    from projects.runs import Workplace
    from registry import ModelVersion

# The table of predictions says these of each row; `batch_jobs.partition` describes them.
_MADE_BY = ["outcome", "model", "model_version", "run_id", "snapshot_digest"]
_OF_ROW = ["prediction", "reasons", "input_file", "input_position"]


@dataclass(frozen=True)
class Link:
    """One thing in a chain: what it is, what is known of it, and what it was made of, or what of it."""

    kind: str
    name: str
    facts: tuple[tuple[str, str], ...] = ()
    links: tuple[Link, ...] = ()

    @classmethod
    def of(cls, kind: str, name: str, links: list[Link] | None = None, **facts: object) -> Link:
        """Make a link of the facts that are known."""
        known = (
            (key.replace("_", " "), str(value)) for key, value in facts.items() if value not in {None, ""}
        )
        return cls(kind, name, tuple(known), tuple(links or ()))


def of_predictions(location: str, date: dt.date, key: tuple[str, str] | None, at: Workplace) -> Link:
    """Say what the live predictions of a day came from, or those of one row, by column and value.

    Raises `ProjectError` where there are none.
    """
    uri = data_uri(location, at.environment)
    columns = [*_MADE_BY, *([*_OF_ROW, key[0]] if key else [])]
    where = [("date", "=", str(date))]
    try:
        rows = live_columns(uri, columns, where, S3Settings.from_environment(at.environment))
    except pa.ArrowInvalid as error:
        raise ProjectError(f"{uri} has no column {key[0] if key else ''!r}; expected its row key") from error
    if rows is None or not len(rows):
        raise ProjectError(f"{uri} has no predictions for {date}. Run the job: python -m batch_jobs run")
    made = rows.slice(0, 1).to_pylist()[0]
    batch = of_batch_run(made["run_id"], at)
    if key is None:
        counts = {
            f"rows {each['values']}": each["counts"] for each in rows["outcome"].value_counts().to_pylist()
        }
        return Link.of("predictions", f"{uri} of {date}", [batch], **counts)
    found = rows.filter(pc.equal(rows[key[0]], key[1])).to_pylist()
    if not found:
        raise ProjectError(f"{uri} has no row of {date} where {key[0]} is {key[1]!r}")
    row = found[0]
    return Link.of(
        "predicted row",
        f"{key[0]} {key[1]} of {date}",
        [batch],
        table=uri,
        outcome=row["outcome"],
        prediction=row["prediction"],
        reasons="; ".join(row["reasons"] or ()),
        source=f"{row['input_file']}, row {row['input_position']}",
        source_version=_version_id(row["input_file"], made["run_id"], at),
    )


def of_run(run_id: str, at: Workplace) -> Link:
    """Say what a run was made of, whichever kind it is."""
    run = find_run(run_id, at)
    if run is None:
        return _gone("run", run_id)
    return of_batch_run(run_id, at) if _is_batch(run) else of_training(run_id, at)


def of_batch_run(run_id: str, at: Workplace) -> Link:
    """Say which version a batch run scored with, and which snapshot."""
    run = find_run(run_id, at)
    if run is None:
        return _gone("batch run", run_id)
    params, tags = run.data.params, run.data.tags
    version = registry.find_version(at.registry, params["model"], int(params["model_version"]))
    snapshot = _source("input", tags["greenroom.snapshot"], run, "snapshots/input.tsv", at)
    return Link.of(
        "batch run",
        run_id,
        [snapshot, of_version(version, at)],
        job=params["job"],
        date=params["date"],
        by=tags.get("mlflow.user"),
        at=_moment(run),
    )


def of_version(version: ModelVersion, at: Workplace) -> Link:
    """Say what a version was trained on, and who validated, asked for and approved it."""
    review = registry.read_review(at.registry, version.name, version.version)
    events = [line for line in review.lines if line.version == version.version]
    said = {
        f"{line.action} (ledger line {line.number})": f"{line.at} by {line.by}"
        + (f": {line.reason}" if line.reason else "")
        for line in events
    }
    training = [of_training(version.run_id, at)] if version.run_id else []
    facts = {"digest": version.digest, "stage": version.stage, "author": version.author}
    known = [(key, str(value)) for key, value in {**facts, **said}.items() if value]
    return Link("version", f"{version.name} {version.version}", tuple(known), tuple(training))


def of_training(run_id: str, at: Workplace) -> Link:
    """Say which rows a run read, where it trained or validated, with which code, and what tuned it."""
    run = find_run(run_id, at)
    if run is None:
        return _gone("training run", run_id)
    tags, params = run.data.tags, run.data.params
    links = [_of_labelled(context, run, at) for context in ("training", "validation", "tuning")]
    tuned = tags.get("greenroom.tuned_by")
    return Link.of(
        "run",
        run_id,
        [*(link for link in links if link), *([of_training(tuned, at)] if tuned else [])],
        called=run.info.run_name,
        project=tags.get("greenroom.project"),
        window=params.get("window"),
        by=tags.get("mlflow.user"),
        at=_moment(run),
        code=tags.get("greenroom.commit") or tags.get("mlflow.source.git.commit"),
        xgboost=tags.get("greenroom.xgboost"),
    )


def find_run(run_id: str, at: Workplace) -> Run | None:
    """Return a run; None where it is purged, which a chain must survive."""
    try:
        with registry.translated(f"find the run {run_id}"):
            return at.registry.client.get_run(run_id)
    except registry.RegistryUnavailableError:
        raise
    except registry.RegistryError:
        return None


def _of_labelled(context: str, run: Run, at: Workplace) -> Link | None:
    tags = run.data.tags
    digest = tags.get(f"greenroom.labelled.{context}.digest")
    if digest is None:
        return None
    prefix = f"greenroom.snapshot.{context}."
    kinds = {key.removeprefix(prefix): value for key, value in tags.items() if key.startswith(prefix)}
    sources = [
        _source(kind, value, run, f"snapshots/{context}_{kind}.tsv", at) for kind, value in kinds.items()
    ]
    return Link.of(f"rows of {context}", tags[f"greenroom.labelled.{context}"], sources, digest=digest)


def _source(kind: str, digest: str, run: Run, path: str, at: Workplace) -> Link:
    objects = _objects(run, path, at)
    first = f"{objects[0][0]} (version {objects[0][1] or 'not kept'})" if objects else None
    return Link.of(
        "source",
        kind,
        digest=digest,
        objects=f"{len(objects)}, listed in {path} of the run {run.info.run_id}" if objects else "not known",
        first=first,
        last=objects[-1][0] if len(objects) > 1 else None,
    )


def _objects(run: Run, path: str, at: Workplace) -> list[list[str]]:
    import mlflow

    with registry.translated(f"read {path} of the run {run.info.run_id}"):
        known = {f.path for f in at.registry.client.list_artifacts(run.info.run_id, "snapshots")}
        if path not in known:
            return []
        text = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{path}")
    return [line.split("\t") for line in text.splitlines()[1:]]


def _version_id(uri: str, run_id: str, at: Workplace) -> str | None:
    run = find_run(run_id, at)
    objects = _objects(run, "snapshots/input.tsv", at) if run else []
    return next((fields[1] for fields in objects if fields[0] == uri), None)


def _is_batch(run: Run) -> bool:
    return "greenroom.snapshot" in run.data.tags


def _moment(run: Run) -> str:
    return f"{dt.datetime.fromtimestamp(run.info.start_time / 1000, dt.UTC):%Y-%m-%d %H:%M} UTC"


def _gone(kind: str, run_id: str) -> Link:
    return Link.of(kind, run_id, known="no more: the run is deleted, or not for this login to see")
