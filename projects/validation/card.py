"""The model card: one page on what a version is for, how good it is, and where it ends. Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evidence import CalibrationCurve, Estimate, Findings, GateResult, SliceFinding, Verdict
    from projects.declaration import Project
    from registry import ModelVersion

# A card is one page: of many slices, the largest.
_MOST_SLICES = 30
_NOTHING = "-"


@dataclass(frozen=True)
class Judgement:
    """What a validation found: on which rows, beside which version, and what the gates say to it.

    `calibration` is that of the version itself.
    """

    judged_on: str
    compared_with: str
    findings: Findings
    calibration: CalibrationCurve
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
            "## Calibration",
            "",
            "The rows by rising prediction, in parts of equal size: what was said of them, and what was so.",
            "",
            *_calibration(project, judgement.calibration),
            "",
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
    judged = sorted((s for s in findings.slices if s.estimates), key=lambda s: (s.column, -s.rows))
    shown = judged[:_MOST_SLICES]
    rows = [
        (f"{s.column}: {s.value}", f"{s.rows:,}", *(_said(s.estimates.get(name)) for name in names))
        for s in shown
    ]
    left = len(judged) - len(shown)
    more = [f"And {left} more, in the metrics of the run.", ""] if left else []
    return [
        "## Slices",
        "",
        *_table(("slice", "rows", *names), rows),
        "",
        *more,
        *_not_judged([s for s in findings.slices if not s.estimates]),
    ]


def _not_judged(slices: Sequence[SliceFinding]) -> list[str]:
    if not slices:
        return []
    named = [f"{s.column} {s.value} ({next(iter(s.reasons.values()), _NOTHING)})" for s in slices]
    more = f", and {len(named) - _MOST_SLICES} more" if len(named) > _MOST_SLICES else ""
    return [f"Not judged: {', '.join(named[:_MOST_SLICES])}{more}.", ""]


def _calibration(project: Project, curve: CalibrationCurve) -> list[str]:
    observed = "share of positives" if project.task == "classification" else f"mean {project.label}"
    parts = zip(curve.rows, curve.predicted, curve.observed, strict=True)
    rows = [(f"{rows:,}", f"{predicted:.4g}", f"{found:.4g}") for rows, predicted, found in parts]
    return _table(("rows", "mean prediction", observed), rows)


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
