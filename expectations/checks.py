"""Checks: a table against a suite, by Great Expectations."""

from __future__ import annotations

import difflib
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from expectations.errors import SuiteError
from expectations.findings import batch_finding, row_finding, shape_findings, share_finding, to_report
from expectations.frames import to_frame
from expectations.reasons import batch_reason, not_evaluated, show

with warnings.catch_warnings():
    # Great Expectations imports sre_constants and sre_parse, deprecated since Python 3.11.
    warnings.filterwarnings("ignore", r"module 'sre_", DeprecationWarning)
    import great_expectations as gx
    from great_expectations.compatibility import pydantic
    from great_expectations.core.expectation_suite import ExpectationSuite
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )
    from great_expectations.expectations.expectation import (
        Expectation as GxExpectation,
    )
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pyarrow as pa

    from expectations.findings import Finding
    from expectations.report import Report
    from expectations.suite import Expectation, Suite

# The index list is complete; the values beside it stop at 200, so they are taken from the table.
_FORMAT = {
    "result_format": "COMPLETE",
    "partial_unexpected_count": 0,
    "return_unexpected_index_query": False,
}

# The data context is shared, and Great Expectations does not promise to be thread-safe.
_one_at_a_time = threading.Lock()


def check(table: pa.Table, suite: Suite) -> Report:
    """Check a table (its column names matter, not their order) against a suite.

    An expectation on each row (Great Expectations' map expectations) fails rows: nulls meet all of
    them but `expect_column_values_to_not_be_null`, and null and NaN are both missing. With `mostly`
    below 1 a row that does not meet it still fails, and the batch fails too once fewer than
    `mostly` of the rows with a value meet it. Any other expectation fails the batch, and so do a
    missing column, two columns of one name, a table of 0 rows, and an expectation that cannot be
    evaluated (text where numbers belong).

    Raises `SuiteError` if Great Expectations does not know a type or a keyword of the suite, and
    `UnreadableError` if a column's type cannot be checked at all.
    """
    declared = [declare(suite, position) for position in range(len(suite.expectations))]
    names, rows = table.column_names, table.num_rows
    findings = shape_findings(names, rows, suite)
    if rows == 0 or len(set(names)) < len(names):
        return to_report(rows, suite, findings)
    present = [
        position
        for position, expectation in enumerate(suite.expectations)
        if set(expectation.columns) <= set(names)
    ]
    results = _validate(to_frame(table), [declared[position] for position in present])
    for position in present:
        findings += _interpret(suite.expectations[position], table, results[position])
    return to_report(rows, suite, findings)


@dataclass(frozen=True)
class Observation:
    """What an expectation finds in a table: rows that fail it of those it looks at, or why the batch does."""

    positions: Sequence[int]
    considered: int
    trouble: str | None = None


def observe(table: pa.Table, suite: Suite, position: int) -> Observation:
    """Evaluate one expectation of a suite on a table that has rows and the columns, whatever `mostly`."""
    expectation = suite.expectations[position]
    # A condition on rows may be on any column.
    is_on_all = "row_condition" in expectation.kwargs
    frame = to_frame(table if is_on_all else table.select(expectation.columns))
    result = _validate(frame, [declare(suite, position)])[position]
    found = result.result
    considered = (found.get("element_count") or 0) - (found.get("missing_count") or 0)
    return Observation(
        positions=found.get("unexpected_index_list") or (),
        considered=considered,
        trouble=_batch_trouble(expectation, table, result),
    )


def is_on_rows(kind: str) -> bool:
    """Whether an expectation of this type is on each row: a map expectation of Great Expectations."""
    return issubclass(
        get_expectation_impl(kind),
        ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation,
    )


def declare(suite: Suite, position: int) -> Any:
    """Turn plain data into Great Expectations' object; raises `SuiteError` for what that does not know."""
    expectation = suite.expectations[position]
    where = f"{suite.path}: expectations[{position}]"
    try:
        kind = get_expectation_impl(expectation.type)
    except ExpectationNotFoundError as error:
        known = list_registered_expectation_implementations()
        near = difflib.get_close_matches(expectation.type, known) or sorted(known)[:3]
        raise SuiteError(
            f"{where}.type is {show(expectation.type)}, unknown to Great Expectations "
            f"{gx.__version__}; expected for example {', '.join(near)}"
        ) from error
    # What every expectation has (meta, severity, result_format) stands beside kwargs, or is ours.
    keys = sorted(set(kind.__fields__) - set(GxExpectation.__fields__))
    for key in expectation.kwargs:
        if key not in keys:
            raise SuiteError(
                f"{where}.kwargs has unknown key {show(key)} for {expectation.type}, "
                f"expected some of {', '.join(keys)}"
            )
    try:
        return kind(**expectation.kwargs, meta={"position": position})
    except OverflowError as error:
        raise SuiteError(f"{where}.kwargs does not suit {expectation.type}: {error}") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        path = "".join(f".{part}" for part in first["loc"] if part != "__root__")
        raise SuiteError(f"{where}.kwargs{path} does not suit {expectation.type}: {first['msg']}") from error


def _validate(frame: pd.DataFrame, declared: Sequence[Any]) -> dict[int, Any]:
    """Run expectations on a frame; results by the position in the suite (their order changes)."""
    if not declared:
        return {}
    with _one_at_a_time, warnings.catch_warnings():
        # Said by pandas of a pattern with groups; whether it matches is all that is asked.
        warnings.filterwarnings("ignore", "This pattern is interpreted as a regular", UserWarning)
        outcome = (
            _batch_definition()
            .get_batch({"dataframe": frame})
            .validate(ExpectationSuite(name="suite", expectations=declared), result_format=_FORMAT)
        )
    return {result.expectation_config.meta["position"]: result for result in outcome.results}


@cache
def _batch_definition() -> Any:
    """Build the data context, in memory and silent, once per process."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("whole")


def _interpret(expectation: Expectation, table: pa.Table, result: Any) -> list[Finding]:
    """Read a result: rows that fail, a batch that fails, or an expectation that did not run."""
    if trouble := _batch_trouble(expectation, table, result):
        return [batch_finding(expectation, table.num_rows, trouble)]
    findings = []
    if positions := result.result.get("unexpected_index_list"):
        findings.append(row_finding(expectation, table, positions))
        if not result.success and expectation.kwargs.get("mostly", 1) < 1:
            met = 100 - result.result["unexpected_percent"]
            findings.append(share_finding(expectation, table.num_rows, met))
    return findings


def _batch_trouble(expectation: Expectation, table: pa.Table, result: Any) -> str | None:
    """Say why the whole batch fails: not evaluated, or an expectation that is not on rows."""
    if trouble := _trouble(result.exception_info):
        kinds = [table.field(name).type for name in expectation.columns]
        return not_evaluated(expectation, kinds, trouble)
    observed = result.result
    if result.success or observed.get("unexpected_index_list") is not None:
        return None
    return batch_reason(expectation, observed.get("observed_value"), observed.get("details"))


def _trouble(exception_info: dict[str, Any]) -> str:
    """Say the first thing Great Expectations caught, which it keeps per metric or as one."""
    if "raised_exception" in exception_info:
        exception_info = {"": exception_info}
    messages = [
        str(caught["exception_message"]) for caught in exception_info.values() if caught["raised_exception"]
    ]
    return show(messages[0], length=200) if messages else ""
