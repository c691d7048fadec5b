"""What a version may be judged on, and beside which other: never on rows that either was trained on."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import registry
from projects.errors import ProjectError
from projects.parts import Side, Window

if TYPE_CHECKING:
    from projects.declaration import Project
    from projects.parts import Part
    from projects.runs import Workplace
    from registry import ModelVersion


def choose_part(project: Project, candidate: ModelVersion, asked: Window | None, at: Workplace) -> Part:
    """Return rows that a version was not trained on. Raises `ProjectError` where that is not known."""
    if project.held_out is not None:
        if asked is not None:
            raise ProjectError(
                f"The project {project.name} has no time column, so it takes no --since and --until"
            )
        return _held_out(project, candidate, at)
    trained = _trained_on(candidate, at)
    window = _as_window(trained)
    if asked is not None:
        if window is not None and asked.since <= window.until:
            raise ProjectError(
                f"{candidate.name} version {candidate.version} was trained on {trained}, and is judged only"
                f" on days after that; found the window {asked}"
            )
        return asked
    if window is None:
        raise ProjectError(
            f"{candidate.name} version {candidate.version} has no training run that says its window, so the"
            " window after it is not known; give --since and --until"
        )
    since = window.until + dt.timedelta(days=1)
    return Window(since, since + dt.timedelta(days=(project.validation_days or 1) - 1))


def _held_out(project: Project, candidate: ModelVersion, at: Workplace) -> Side:
    side = Side(project.held_out or 0.0, "validation")
    expected, trained = str(project.training_part()), _trained_on(candidate, at)
    if trained != expected:
        raise ProjectError(
            f"{candidate.name} version {candidate.version} was trained on"
            f" {trained or 'rows nobody wrote down'}, expected {expected}: it may have seen the rows it"
            " would be judged on. Train it again"
        )
    return side


def find_champion(
    project: Project, candidate: ModelVersion, part: Part, at: Workplace
) -> tuple[ModelVersion | None, str | None]:
    """Find the version to compare with, or say why the candidate is judged alone."""
    try:
        champion = registry.resolve(at.registry, f"models:/{candidate.name}/Production")
    except registry.NothingOnStageError:
        return None, "no version is in Production"
    if champion.version == candidate.version:
        return None, "it is in Production itself"
    trained = _trained_on(champion, at)
    window = _as_window(trained)
    seen = window.until >= part.since if window and isinstance(part, Window) else False
    if isinstance(part, Side):
        seen = trained is not None and trained != str(project.training_part())
    if seen:
        what = "days of this window" if window else "rows of these"
        return None, f"version {champion.version} in Production was trained on {what}, {trained}"
    return champion, None


def _trained_on(version: ModelVersion, at: Workplace) -> str | None:
    found = at.registry.client.get_run(version.run_id) if version.run_id else None
    return found.data.params.get("window") if found else None


def _as_window(text: str | None) -> Window | None:
    match = re.fullmatch(r"(\d{4}-\d{2}-\d{2}) to (\d{4}-\d{2}-\d{2})", text or "")
    return Window(*(dt.date.fromisoformat(day) for day in match.groups())) if match else None
