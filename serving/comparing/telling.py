"""A comparison for people, and for machines. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evidence import RatioFinding
    from serving.comparing.verdict import Report


def as_json(report: Report) -> dict[str, Any]:
    """Return plain values, as the review pages read them."""
    ratio = report.verdict.ratio
    return {
        "model": report.model,
        "arm": report.arm,
        "mode": report.mode,
        "champion": asdict(report.champion),
        "challenger": asdict(report.challenger),
        "since": report.since,
        "until": report.until,
        "said": list(report.said),
        "ratio": None if ratio is None else _ratio(ratio),
        "alpha": report.verdict.alpha,
        "metrics": [asdict(comparison) for comparison in report.verdict.comparisons],
        "counts": dict(report.counts),
    }


def as_text(report: Report) -> str:
    """Return sentences: whether traffic is shared as it should be first, then each metric."""
    verdict = report.verdict
    ours = f"version {report.challenger.version} ({report.arm}, {report.mode})"
    lines = [
        f"{report.model}: {ours} beside version {report.champion.version}, {report.since} to {report.until}",
        *([verdict.ratio.said] if verdict.ratio is not None else []),
        *(comparison.said for comparison in verdict.comparisons),
        *(sentence for sentence in report.said if verdict.ratio is None or sentence != verdict.ratio.said),
        "counts: " + ", ".join(f"{name} {count:,}" for name, count in report.counts.items() if count),
    ]
    return "\n".join(lines)


def _ratio(ratio: RatioFinding) -> dict[str, Any]:
    return {**asdict(ratio), "is_mismatch": ratio.is_mismatch}
