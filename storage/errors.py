"""What can go wrong with stored data, in the words of the caller and not of the SDK."""

from __future__ import annotations


class StorageError(Exception):
    """Storage answered, and the answer is no. Trying again will not help."""


class ObjectNotFoundError(StorageError):
    """A bucket, key or table that should be there is not."""


class StorageDeniedError(StorageError):
    """The credentials are missing, wrong, or do not allow this."""


class ObjectChangedError(StorageError):
    """An object is no longer the version that was pinned."""


class CommitConflictError(StorageError):
    """Another writer committed to the same partition first. Running again shows what is there now."""


class StorageUnavailableError(StorageError):
    """Storage did not answer, or asked to slow down. Trying again may help."""


class UnreadableFileError(StorageError):
    """The bytes of a data file are not what its name says: truncated, corrupt, of another format."""
