"""Say whether data is fit: suites as JSON, checks, reports, first drafts. Knows no jobs or models.

Names load on first use: Great Expectations takes seconds to import, and only a check needs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expectations.checks import check
    from expectations.delivered import read_facts
    from expectations.drafts import draft_files
    from expectations.errors import (
        ExpectationsError,
        InferenceError,
        SourceError,
        SuiteError,
        UnreadableError,
    )
    from expectations.facts import ColumnFacts, TableFacts
    from expectations.inference import infer_suites, is_binary
    from expectations.reasons import repeated_reason
    from expectations.report import CheckFailure, Report, RowFailure, render
    from expectations.streaming import Inspection, Inspector, Tally
    from expectations.suite import Expectation, Severity, Suite, load_suite
    from expectations.tables import read_table

__all__ = [
    "CheckFailure",
    "ColumnFacts",
    "Expectation",
    "ExpectationsError",
    "InferenceError",
    "Inspection",
    "Inspector",
    "Report",
    "RowFailure",
    "Severity",
    "SourceError",
    "Suite",
    "SuiteError",
    "TableFacts",
    "Tally",
    "UnreadableError",
    "check",
    "draft_files",
    "infer_suites",
    "is_binary",
    "load_suite",
    "read_facts",
    "read_table",
    "render",
    "repeated_reason",
]

_HOME = {
    "check": "checks",
    "CheckFailure": "report",
    "ColumnFacts": "facts",
    "Expectation": "suite",
    "ExpectationsError": "errors",
    "InferenceError": "errors",
    "Inspection": "streaming",
    "Inspector": "streaming",
    "Report": "report",
    "RowFailure": "report",
    "Severity": "suite",
    "SourceError": "errors",
    "Suite": "suite",
    "SuiteError": "errors",
    "TableFacts": "facts",
    "Tally": "streaming",
    "UnreadableError": "errors",
    "draft_files": "drafts",
    "infer_suites": "inference",
    "is_binary": "inference",
    "load_suite": "suite",
    "read_facts": "delivered",
    "read_table": "tables",
    "render": "report",
    "repeated_reason": "reasons",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
