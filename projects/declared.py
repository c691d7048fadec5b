"""Declarations that runs keep: what was declared when they ran, or what they found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mlflow

import registry
from projects.declaration import parse_text
from projects.errors import ProjectError

if TYPE_CHECKING:
    from projects.declaration import Project
    from projects.runs import Workplace

# What was declared when the run ran.
DECLARATION = "declaration/project.yaml"
# The same, with the parameters that a run of tuning found.
TUNED = "tuned/project.yaml"


def declared_by(run_id: str, path: str, at: Workplace, name: str | None = None) -> Project:
    """Read the declaration that a run keeps at `path`, of the project `name` where one is expected.

    Raises `ProjectError` where it keeps none.
    """
    with registry.translated(f"find the run {run_id[:64]}"):
        found = at.registry.client.get_run(run_id)
    theirs = found.data.tags.get("greenroom.project", "")
    if name not in {None, theirs}:
        raise ProjectError(f"The run {run_id} is of the project {theirs or 'of nobody'}, expected {name}")
    if path not in {f.path for f in at.registry.client.list_artifacts(run_id, str(Path(path).parent))}:
        raise ProjectError(f"The run {run_id} keeps no {path}; expected one that came to its end")
    text = mlflow.artifacts.load_text(f"{found.info.artifact_uri}/{path}")
    return parse_text(theirs, text.encode())
