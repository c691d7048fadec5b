"""Inference: from facts to suites, as a first draft for people to edit. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from expectations.distributions import expect_distribution
from expectations.errors import InferenceError
from expectations.reasons import show
from expectations.slack import widened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from expectations.facts import ColumnFacts, TableFacts

    Entry = dict[str, Any]

# A value of a set was seen this often, on average: else the next batch brings values that are new and sound.
_LEAST_SEEN = 10
# Batches differ: so much smaller or larger than any seen is still one.
_ROWS_FACTOR = 2
# The next batch may have twice the nulls of the worst, and this share more.
_NULLS_FACTOR, _NULLS_MORE = 2, 0.05
# A mean nearer to an end than a tenth of the way is that of a model that says the same to all.
_NEAREST_END = 0.1


def infer_suites(
    name: str,
    facts: TableFacts,
    *,
    key: str | None = None,
    label: str | None = None,
    ignore: Collection[str] = (),
) -> dict[str, dict[str, Any]]:
    """Draft the suites of a job from what was delivered: `input` and `predictions`, as JSON documents.

    Every batch that the facts are of is fit. The label and what is in `ignore` stay out of `input`.
    Raises `InferenceError` where the key does not name each row of a batch.
    """
    if key is not None:
        _refuse_no_key(facts, key)
    columns = [c for c in facts.columns.values() if c.name != label and c.name not in ignore]
    seen = f"{len(facts.batches):,} {'batch' if len(facts.batches) == 1 else 'batches'}, {facts.rows:,} rows"
    entries = [_row_count(facts)]
    for column in columns:
        entries += _of_column(column, facts, is_key=column.name == key)
    target = facts.column(label, "label") if label is not None else None
    return {
        "input": {
            "name": f"{name}/input",
            "notes": f"Inferred from {seen}. What was seen is not what is right: edit it to say what is.",
            "expectations": entries,
            "meta": {},
        },
        "predictions": {
            "name": f"{name}/predictions",
            "notes": "What the model says, one prediction per row scored. Inferred; edit it.",
            "expectations": _of_predictions(target),
            "meta": {},
        },
    }


def _refuse_no_key(facts: TableFacts, key: str) -> None:
    column = facts.column(key, "key")
    if column.kind not in ("text", "number") or (column.kind == "number" and not column.whole):
        found = "numbers with fractions" if column.kind == "number" else f"values that are {column.kind}"
        raise InferenceError(
            f"The column {key!r} holds {found}, expected text or whole numbers in a key. Choose another"
        )
    if column.missing:
        raise InferenceError(
            f"The column {key!r} is null in {column.missing:,} of {column.rows:,} rows, expected a value in"
            " each. Choose another key, or deliver the rows without"
        )
    if key in facts.repeated:
        raise InferenceError(
            f"The column {key!r} has a value more than once in one batch, expected each once. Choose another"
            " key, or deliver without the doubles"
        )


def _row_count(facts: TableFacts) -> Entry:
    sizes = [batch.rows for batch in facts.batches]
    if len(sizes) == 1:
        said = f"One batch was seen, of {sizes[0]:,} rows; say how many there may be."
        return _entry("expect_table_row_count_to_be_between", {"min_value": 1}, said)
    bounds = {"min_value": max(1, min(sizes) // _ROWS_FACTOR), "max_value": max(sizes) * _ROWS_FACTOR}
    return _entry("expect_table_row_count_to_be_between", bounds, f"Seen: {_seen(min(sizes), max(sizes))}.")


def _of_column(column: ColumnFacts, facts: TableFacts, *, is_key: bool) -> list[Entry]:
    found = [*_of_nulls(column, facts)]
    if is_key:
        found.append(_of(column, "values_to_be_unique"))
    elif column.kind == "number":
        found += _of_numbers(column)
        drift = expect_distribution(column, facts)
        found += [drift] if drift else []
    elif column.kind == "text":
        found += _of_text(column)
    # So that a batch without the column is unfit, whatever it holds.
    return found or [_of(column, "to_exist")]


def _of_nulls(column: ColumnFacts, facts: TableFacts) -> Iterator[Entry]:
    if not column.missing:
        yield _of(column, "values_to_not_be_null")
        return
    worst = min(batch.present[column.name] for batch in facts.batches)
    least = 1 - ((1 - worst) * _NULLS_FACTOR + _NULLS_MORE)
    if least > 0:
        bounds = {"min_value": math.floor(least * 100) / 100}
        said = f"{worst:.1%} in the worst batch seen."
        yield _of(column, "proportion_of_non_null_values_to_be_between", bounds, said)


def _of_numbers(column: ColumnFacts) -> Iterator[Entry]:
    if column.low is None or column.high is None:
        return
    if is_binary(column):
        yield _of(column, "values_to_be_in_set", {"value_set": [0, 1]})
        return
    bounds = {} if column.endless else widened(column.low, column.high, keep_sign=True)
    if bounds:
        said = f"Seen: {_seen(column.low, column.high)}."
        yield _of(column, "values_to_be_between", bounds, said)


def _of_text(column: ColumnFacts) -> Iterator[Entry]:
    if column.values is not None and column.present >= _LEAST_SEEN * len(column.values):
        values = sorted(str(value) for value in column.values)
        yield _of(column, "values_to_be_in_set", {"value_set": values})
    elif column.shortest is not None and column.longest is not None:
        bounds = {"min_value": column.shortest // 2, "max_value": column.longest * 2}
        said = f"Seen: {_seen(column.shortest, column.longest)} characters."
        yield _of(column, "value_lengths_to_be_between", bounds, said)


def _of_predictions(label: ColumnFacts | None) -> list[Entry]:
    subject = {"column": "prediction"}
    found = [
        _entry("expect_table_row_count_to_be_between", {"min_value": 1}),
        _entry("expect_column_values_to_not_be_null", subject),
    ]
    if label is None or (bounds := _bounds_of_label(label)) is None:
        return found
    found.append(_entry("expect_column_values_to_be_between", subject | bounds))
    low, high, mean = (0.0, 1.0, None) if label.kind == "flag" else (label.low, label.high, label.mean)
    if low is not None and high is not None and mean is not None and low < mean < high:
        ends = (low + _NEAREST_END * (mean - low), high - _NEAREST_END * (high - mean))
        of_mean = {"min_value": float(f"{ends[0]:.3g}"), "max_value": float(f"{ends[1]:.3g}")}
        said = (
            f"The mean of {label.name} is {mean:.4g}. A model that says much the same of all rows is broken."
        )
        found.append(_entry("expect_column_mean_to_be_between", subject | of_mean, said))
    return found


def _bounds_of_label(label: ColumnFacts) -> Entry | None:
    if label.kind == "flag" or is_binary(label):
        return {"min_value": 0, "max_value": 1}
    if label.kind != "number" or label.low is None or label.high is None or label.endless:
        return None
    return widened(label.low, label.high, keep_sign=False) or None


def is_binary(column: ColumnFacts) -> bool:
    """Whether a column is of 0 and 1, and both are there."""
    if column.kind != "number" or column.values is None:
        return False
    return {float(value) for value in column.values} == {0.0, 1.0}


def _of(column: ColumnFacts, rule: str, kwargs: Entry | None = None, said: str | None = None) -> Entry:
    return _entry(f"expect_column_{rule}", {"column": column.name, **(kwargs or {})}, said)


def _entry(kind: str, kwargs: Entry, said: str | None = None) -> Entry:
    entry: Entry = {"type": kind, "kwargs": kwargs, "severity": "critical"}
    return entry | ({"description": said} if said else {})


def _seen(low: float, high: float) -> str:
    return show(low) if low == high else f"{show(low)} to {show(high)}"
