"""How numbers are spelled in the report. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_jobs.monitoring.figures import Figure


def span(figure: Figure) -> str:
    """Spell the interval of a figure."""
    if figure.low is None or figure.high is None:
        return "no interval"
    return f"{number(figure.low)} to {number(figure.high)}"


def number(value: float | None) -> str:
    """Spell a number with the digits that matter; nothing for None."""
    return "" if value is None else f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"  # noqa: PLR2004


def cut(count: int, most: int) -> str:
    """Say how many of all are shown, where it is not all."""
    return f" ({most} of {count})" if count > most else ""
