"""The model card: one page on what a version is for, how good it is, and where it ends. Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evidence import Estimate, Findings, GateResult, Verdict
    from projects.declaration import Project
    from registry import ModelVersion

# A card is one page: of many slices, the largest.
_MOST_SLICES = 30
_NOTHING = "-"


@dataclass(frozen=True)
class Judgement:
    """What a validation found: on which rows, beside which version, and what the gates say to it."""

    judged_on: str
    compared_with: str
    findings: Findings
    results: Sequence[GateResult]
    outcome: Verdict


def write_card(
    project: Project, version: ModelVersion, trained: Mapping[str, str], judgement: Judgement
) -> str:
    """Return the card of a version after a validation.

    `trained` is what its training run says: `window` and more facts by name.
    """
    findings = judgement.findings
    return "\n".join(
        [
            f"# {version.name} version {version.version}",
            "",
            project.description,
            "",
            *_table(
                ("", ""),
                [
                    ("predicts", f"`{project.label}` ({project.task}, `{project.objective}`)"),
                    ("from", ", ".join(f"`{name}`" for name in project.features)),
                    ("trained on", trained.get("window", _NOTHING)),
                    ("judged on", judgement.judged_on),
                    ("compared with", judgement.compared_with),
                    ("artifact", f"`{version.digest}`"),
                    ("author", version.author or _NOTHING),
                    *sorted((key, f"`{value}`") for key, value in trained.items() if key != "window"),
                ],
            ),
            "",
            f"## Validation: {judgement.outcome}",
            "",
            *(f"- {result.verdict}: {result.sentence}" for result in judgement.results),
            "",
            f"95 % intervals in brackets{'' if project.time is None else '; the days are resampled whole'}.",
            "",
            *_metrics(findings),
            "",
            *_slices(findings),
            "## Limits",
            "",
            *(
                f"- {limit}"
                for limit in project.limits or ("None are declared, which is no claim that there are none.",)
            ),
            "",
            "## Reproduce",
            "",
            f"    mlflow run . --env-manager local -e reproduce -P run_id={version.run_id}",
            "",
        ]
    )


def _metrics(findings: Findings) -> list[str]:
    champion = findings.champion or {}
    rows = [
        (name, _said(estimate), _said(champion.get(name)), _said(findings.differences.get(name), sign="+"))
        for name, estimate in findings.candidate.items()
    ]
    return _table(("metric", "this version", "in Production", "difference"), rows)


def _slices(findings: Findings) -> list[str]:
    if not findings.slices:
        return []
    names = list(findings.candidate)
    shown = sorted(findings.slices, key=lambda s: (s.column, -s.rows))[:_MOST_SLICES]
    rows = [
        (f"{s.column}: {s.value}", f"{s.rows:,}", *(_said(s.estimates.get(name)) for name in names))
        for s in shown
    ]
    left = len(findings.slices) - len(shown)
    more = [f"And {left} more, in the metrics of the run.", ""] if left else []
    return ["## Slices", "", *_table(("slice", "rows", *names), rows), "", *more]


def _said(estimate: Estimate | None, sign: str = "") -> str:
    if estimate is None:
        return _NOTHING
    value = format(estimate.value, f"{sign}.4g")
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({format(estimate.low, f'{sign}.4g')} to {format(estimate.high, f'{sign}.4g')})"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [header, tuple("---" for _ in header), *rows]
    # A pipe would end the cell.
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
