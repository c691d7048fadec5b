"""What can go wrong between a declaration and a model."""

from __future__ import annotations


class ProjectError(Exception):
    """A project cannot be trained or validated as it stands."""


class DeclarationError(ProjectError):
    """There is no such project, or its `project.yaml` is wrong; the message names file, key, value."""


class UnfitTrainingDataError(ProjectError):
    """The data of the window cannot make, or judge, a model."""


class UsageError(ProjectError):
    """What was asked for makes no sense as it was asked."""
