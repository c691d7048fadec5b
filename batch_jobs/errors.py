"""What can go wrong with a batch job."""

from __future__ import annotations


class JobError(Exception):
    """A job cannot run as it stands."""


class JobFileError(JobError):
    """There is no such job, or its file is wrong; the message names file, key and value."""


class UnfitDataError(JobError):
    """The data of a partition is not fit to be scored. Nothing was published."""
