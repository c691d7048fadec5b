"""What can go wrong before a check: the suite, the way to the data, the data's bytes; and with a draft.

Data that was checked and does not fit is no error: it is a `Report`.
"""


class ExpectationsError(Exception):
    """The base of this room's errors."""


class SuiteError(ExpectationsError):
    """A suite is missing, is not JSON, or holds what Great Expectations would not understand."""


class SourceError(ExpectationsError):
    """The place named for the data is not one that can be read."""


class UnreadableError(ExpectationsError):
    """The file is there, but its bytes are not a table: unfit data."""


class InferenceError(ExpectationsError):
    """The data was read, and is not such that a suite can be drafted from it: unfit data."""
