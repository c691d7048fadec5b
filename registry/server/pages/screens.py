"""What the pages show, put together from what was read. Pure: the templates only lay it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.policy import Act
from registry.server.pages import comparison, times
from registry.server.pages.choices import EXPOSURES, Choice, choices_of
from registry.server.pages.comparison import CANDIDATE, CHAMPION, DIFFERENCE, with_prefix
from registry.stages import Stage

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from registry.rules import Rules
    from registry.server.pages.comparison import Comparison, MetricRow, ValueRow
    from registry.server.pages.live import LiveComparison
    from registry.server.pages.runs import DataSet, Run
    from registry.server.reading import Dossier
    from registry.server.versions import Version
    from registry.validation import Validation

# In the queue; the page of a version shows all.
_MOST_METRICS = 3
_ABBREVIATIONS = {"roc", "shap", "pr"}
_GIT_COMMIT, _SOURCE, _ENTRY = "mlflow.source.git.commit", "mlflow.source.name", "mlflow.project.entryPoint"


@dataclass(frozen=True)
class Waiting:
    """A request in the queue."""

    version: Version
    asked_ago: str
    needed: int

    @property
    def validation(self) -> Validation | None:
        """The verdict on it."""
        return self.version.standing.validation

    @property
    def metrics(self) -> tuple[MetricRow, ...]:
        """The first of its metrics."""
        found = comparison.compare(self.validation.metrics, {}).metrics if self.validation else ()
        return found[:_MOST_METRICS]


@dataclass(frozen=True)
class Plot:
    """A picture of a run; `path` is below the run's artifacts."""

    run_id: str
    path: str
    title: str
    of: str


@dataclass(frozen=True)
class Snapshot:
    """Data that was read for the candidate, and whether the champion's training read the same."""

    data: DataSet
    is_champions: bool


@dataclass(frozen=True)
class FileRow:
    """A file of the candidate's artifact."""

    path: str
    size_bytes: int
    sha256: str
    in_champion: str


@dataclass(frozen=True)
class Evidence:
    """What the runs behind the versions say; each may be missing."""

    training: Run | None = None
    validation: Run | None = None
    champions_training: Run | None = None
    live: LiveComparison | None = None

    @property
    def problems(self) -> list[str]:
        """What could not be read, one sentence each."""
        return [
            run.problem
            for run in (self.training, self.validation, self.champions_training)
            if run and run.problem
        ]


@dataclass(frozen=True)
class VersionScreen:
    """Everything on the page of one version."""

    dossier: Dossier
    champion: Version | None
    evidence: Evidence
    facts: tuple[ValueRow, ...]
    comparison: Comparison
    basis: tuple[str, ...]
    parameters: tuple[ValueRow, ...]
    plots: tuple[Plot, ...]
    snapshots: tuple[Snapshot, ...]
    files: tuple[FileRow, ...]
    choices: tuple[Choice, ...]
    needed: int
    live: LiveComparison | None

    @property
    def waits(self) -> bool:
        """Whether a request is open."""
        candidate = self.dossier.candidate
        return candidate.stage is Stage.STAGING and candidate.standing.request is not None

    @property
    def decisions(self) -> tuple[Choice, ...]:
        """Approve and reject, while a request is open."""
        return tuple(c for c in self.choices if self.waits and c.act in (Act.APPROVE, Act.REJECT))

    @property
    def others(self) -> tuple[Choice, ...]:
        """What else the caller may do with it."""
        elsewhere = (Act.APPROVE, Act.REJECT, *EXPOSURES)
        return tuple(c for c in self.choices if c.allowed and c.act not in elsewhere)

    @property
    def exposing(self) -> tuple[Choice, ...]:
        """What the caller may do about its exposure to clients."""
        return tuple(c for c in self.choices if c.allowed and c.act in EXPOSURES)

    @property
    def exposure_obstacles(self) -> tuple[str, ...]:
        """What the rules say against the next step to its exposure."""
        exposure = self.dossier.candidate.standing.exposure
        wanted = Act.APPROVE_EXPOSURE if exposure.request else Act.REQUEST_EXPOSURE
        return () if exposure.begun else next((c.refusals for c in self.choices if c.act is wanted), ())

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What the rules say against what would come next for it."""
        stage, wanted = self.dossier.candidate.stage, [Act.REQUEST]
        if self.waits:
            wanted = [Act.APPROVE, Act.REJECT]
        elif stage is Stage.PRODUCTION:
            wanted = []
        elif self.dossier.candidate.standing.was_in_production:
            wanted = [Act.ROLLBACK, Act.REQUEST]
        said = (sentence for c in self.choices if c.act in wanted for sentence in c.refusals)
        return tuple(dict.fromkeys(said))


def queue(waiting: Iterable[Version], rules: Rules, now: dt.datetime) -> list[Waiting]:
    """Lay out the queue, in the order given."""
    return [
        Waiting(version, times.ago(version.standing.request.at, now), rules.approvals)
        for version in waiting
        if version.standing.request is not None
    ]


def version_screen(dossier: Dossier, evidence: Evidence, rules: Rules, *, may_edit: bool) -> VersionScreen:
    """Put the page of a version together."""
    candidate = dossier.candidate
    champion = dossier.champion if dossier.champion and dossier.champion.number != candidate.number else None
    compared, basis = _metrics(candidate, champion, evidence)
    theirs = evidence.champions_training
    return VersionScreen(
        dossier=dossier,
        champion=champion,
        evidence=evidence,
        facts=_facts(candidate, champion, evidence),
        comparison=compared,
        basis=tuple(basis),
        parameters=comparison.values(
            evidence.training.params if evidence.training else {},
            theirs.params if theirs and champion and not theirs.problem else None,
        ),
        plots=tuple(_plots(evidence, candidate, champion)),
        snapshots=_snapshots(evidence),
        files=_files(candidate, champion),
        choices=choices_of(dossier, rules, may_edit=may_edit),
        needed=rules.approvals,
        live=evidence.live,
    )


def _metrics(
    candidate: Version, champion: Version | None, evidence: Evidence
) -> tuple[Comparison, list[str]]:
    validation, run = candidate.standing.validation, evidence.validation
    if validation is None:
        return comparison.compare({}, {}), []
    found = run.metrics if run else {}
    basis = [f"Judged on {_window(validation)}."] if _window(validation) else []
    basis += comparison.disagreements(validation.metrics, with_prefix(CANDIDATE, found))
    if champion is None:
        return comparison.compare(validation.metrics, {}), basis
    theirs, named = with_prefix(CHAMPION, found), f"version {champion.number}"
    if theirs and validation.compared_with == named:
        basis.append(f"Both versions on the same rows. The numbers of {named} are from the validation's run.")
        return comparison.compare(validation.metrics, theirs, with_prefix(DIFFERENCE, found)), basis
    own = champion.standing.validation
    if own is None:
        basis.append(f"Of {named}, in Production, no numbers are known.")
        return comparison.compare(validation.metrics, {}), basis
    basis.append(
        f"Not on the same rows: {named} has its numbers from its own validation"
        f"{', on ' + _window(own) if _window(own) else ''}. So the two say nothing of each other."
    )
    return comparison.compare(validation.metrics, own.metrics), basis


def _window(validation: Validation) -> str:
    rows = f"{validation.rows:,} rows" if validation.rows else ""
    return ", ".join(part for part in (validation.window, rows) if part)


def _facts(candidate: Version, champion: Version | None, evidence: Evidence) -> tuple[ValueRow, ...]:
    ours = _facts_of(candidate, evidence.training)
    theirs = _facts_of(champion, evidence.champions_training) if champion else {}
    return tuple(
        comparison.ValueRow(name, ours.get(name), theirs.get(name))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) or theirs.get(name)
    )


def _facts_of(version: Version, run: Run | None) -> dict[str, str]:
    standing, tags = version.standing, run.tags if run else {}
    validation, verdict = standing.validation, standing.verdict
    said = ""
    if validation and verdict:
        said = f"{validation.said}, by {verdict.by}, {times.shown(verdict.at)}"
    return {
        "Stage": str(version.stage),
        "Author": standing.author or "not known",
        "Validation": said or "never validated",
        "Judged on": _window(validation) if validation else "",
        "Compared with": validation.compared_with if validation else "",
        "Trained on": run.params.get("window", "") if run else "",
        "Code version": tags.get(_GIT_COMMIT, "not recorded"),
        "Code from": " ".join(tags[key] for key in (_SOURCE, _ENTRY) if tags.get(key)),
        "Artifact": (standing.artifact or {}).get("format", ""),
        "Digest": standing.digest or "none fixed",
    }


def _plots(evidence: Evidence, candidate: Version, champion: Version | None) -> Iterable[Plot]:
    behind = [
        (evidence.validation, f"validation of version {candidate.number}"),
        (evidence.training, f"training of version {candidate.number}"),
        (
            evidence.champions_training if champion else None,
            f"training of version {champion and champion.number}",
        ),
    ]
    for run, of in behind:
        for path in run.plots if run else ():
            yield Plot(run.run_id if run else "", path, _title(path), of)


def _title(path: str) -> str:
    words = path.rpartition("/")[2].rpartition(".")[0].replace("_", " ").replace("-", " ").split()
    return " ".join(word.upper() if word in _ABBREVIATIONS else word for word in words)


def _snapshots(evidence: Evidence) -> tuple[Snapshot, ...]:
    theirs = (
        {data.digest for data in evidence.champions_training.data} if evidence.champions_training else set()
    )
    read = [data for run in (evidence.training, evidence.validation) if run for data in run.data]
    return tuple(Snapshot(data, data.digest in theirs) for data in read)


def _files(candidate: Version, champion: Version | None) -> tuple[FileRow, ...]:
    ours, theirs = (_manifest(version) for version in (candidate, champion))
    rows = []
    for path, (size_bytes, sha256) in sorted(ours.items()):
        other = theirs.get(path)
        words = "same" if other and other[1] == sha256 else "other" if other else "none"
        rows.append(FileRow(path, size_bytes, sha256, words if champion else ""))
    return tuple(rows)


def _manifest(version: Version | None) -> Mapping[str, Any]:
    return ((version.standing.artifact or {}).get("manifest") or {}) if version else {}
