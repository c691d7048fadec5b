"""Data Docs: Great Expectations' own pages of what suites found. Only this and `checks` import it."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from expectations.errors import UnreadableError
from expectations.offline import make_readable
from expectations.streaming.outcomes import outcomes

with warnings.catch_warnings():
    # Great Expectations imports sre_constants and sre_parse, deprecated since Python 3.11.
    warnings.filterwarnings("ignore", r"module 'sre_", DeprecationWarning)
    import great_expectations as gx
    from great_expectations.core import (
        ExpectationSuite,
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
        RunIdentifier,
    )
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from expectations.streaming.inspector import Inspector
    from expectations.streaming.outcomes import Outcome
    from expectations.streaming.tally import Tally

_SITE = "site"
# Great Expectations does not promise to be thread-safe.
_one_at_a_time = threading.Lock()


def write_site(
    folder: Path, run_name: str, when: dt.datetime, found: Iterable[tuple[Inspector, Tally]]
) -> None:
    """Write a page for each suite, and one for what it found in a run; `index.html` leads to all.

    The folder is whole in itself: it can be copied and opened anywhere. Raises `UnreadableError` where Great
    Expectations cannot make the pages.
    """
    with _one_at_a_time, _translated():
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        context.delete_data_docs_site("local_site")
        context.add_data_docs_site(_SITE, _config(folder))
        run = RunIdentifier(run_name=run_name, run_time=when)
        met = {}
        for inspector, tally in found:
            suite, result = _result(inspector, tally, run)
            met[suite.name] = bool(result.success)
            key = ValidationResultIdentifier(ExpectationSuiteIdentifier(suite.name), run, run_name)
            context.suites.add(suite)
            context.validation_results_store.set(key, result)
        context.build_data_docs(site_names=[_SITE])
        _refuse_incomplete(folder, len(met))
    make_readable(folder, run_name, met)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except GreatExpectationsError as error:
        raise UnreadableError(f"Great Expectations did not make the pages: {error}") from error


def _refuse_incomplete(folder: Path, suites: int) -> None:
    # What goes wrong with a page, Great Expectations logs, and goes on without.
    pages = len([*folder.glob("validations/**/*.html")])
    if pages != suites:
        raise UnreadableError(
            f"Great Expectations made {pages} pages of results, expected {suites}; its log says why"
        )


def _config(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }


def _result(
    inspector: Inspector, tally: Tally, run: RunIdentifier
) -> tuple[ExpectationSuite, ExpectationSuiteValidationResult]:
    found = [_validated(outcome) for outcome in outcomes(inspector, tally)]
    # Its keys are folders, and a dot is what parts them.
    name = inspector.suite.name.replace("/", ".")
    met, count = sum(bool(each.success) for each in found), len(found)
    suite = ExpectationSuite(
        name=name, expectations=[each.expectation_config.to_domain_obj() for each in found]
    )
    result = ExpectationSuiteValidationResult(
        success=met == count,
        results=found,
        suite_name=name,
        statistics={
            "evaluated_expectations": count,
            "successful_expectations": met,
            "unsuccessful_expectations": count - met,
            "success_percent": 100 * met / count if count else None,
        },
        meta={
            "run_id": run,
            "great_expectations_version": gx.__version__,
            "suite_digest": inspector.suite.digest,
            "rows": tally.rows,
        },
    )
    return suite, result


def _validated(outcome: Outcome) -> ExpectationValidationResult:
    expectation = outcome.expectation
    config = ExpectationConfiguration(
        type=expectation.type,
        kwargs=dict(expectation.kwargs),
        severity=str(expectation.severity),
        meta=dict(expectation.meta),
    )
    return ExpectationValidationResult(
        success=outcome.met,
        expectation_config=config,
        result=dict(outcome.result),
        exception_info={
            "raised_exception": outcome.trouble is not None,
            "exception_message": outcome.trouble or "",
            "exception_traceback": "",
        },
    )
