"""What can go wrong, by the exit code that tells a caller whether to try again."""

from __future__ import annotations

UNFIT = 3


def failures() -> dict[type[Exception], int]:
    """Return the code of each error that is no fault of ours, the special ones first."""
    from batch_jobs.errors import JobError, JobFileError
    from expectations import SuiteError
    from registry import NothingOnStageError, RegistryError, RegistryUnavailableError, UnknownVersionError
    from storage import CommitConflictError, StorageError, StorageUnavailableError

    again = dict.fromkeys((CommitConflictError, StorageUnavailableError, RegistryUnavailableError), 75)
    usage = dict.fromkeys((JobFileError, SuiteError, UnknownVersionError), 2)
    rest = dict.fromkeys((JobError, RegistryError, StorageError), 1)
    return {**again, NothingOnStageError: 4, **usage, **rest}


def exit_code(error: Exception) -> int:
    """Return the code of one of `failures`."""
    return next(code for kind, code in failures().items() if isinstance(error, kind))
