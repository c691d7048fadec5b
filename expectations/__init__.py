"""Say whether data is fit: suites as JSON, checks, reports. Knows no jobs, models or storage.

Names load on first use: Great Expectations takes seconds to import, and only a check needs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expectations.checks import check
    from expectations.errors import ExpectationsError, SourceError, SuiteError, UnreadableError
    from expectations.report import CheckFailure, Report, RowFailure, render
    from expectations.suite import Expectation, Severity, Suite, load_suite
    from expectations.tables import read_table

__all__ = [
    "CheckFailure",
    "Expectation",
    "ExpectationsError",
    "Report",
    "RowFailure",
    "Severity",
    "SourceError",
    "Suite",
    "SuiteError",
    "UnreadableError",
    "check",
    "load_suite",
    "read_table",
    "render",
]

_HOME = {
    "check": "checks",
    "CheckFailure": "report",
    "Expectation": "suite",
    "ExpectationsError": "errors",
    "Report": "report",
    "RowFailure": "report",
    "Severity": "suite",
    "SourceError": "errors",
    "Suite": "suite",
    "SuiteError": "errors",
    "UnreadableError": "errors",
    "load_suite": "suite",
    "read_table": "tables",
    "render": "report",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
