"""Drafting: from facts of the data to what a new project could be. Pure."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence import LEAST_BLOCKS
from expectations import is_binary
from projects.errors import DeclarationError
from projects.parts import Window
from projects.rows.sources import PARTITION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from expectations import ColumnFacts, TableFacts
    from projects.declaration import FeatureKind

HELD_OUT = 0.2
_DAY = re.compile(r"/date=(\d{4}-\d{2}-\d{2})(?:/|$)")
# A category with so many values for its rows names the rows, and says nothing of the next ones.
_MOST_DISTINCT = 0.9


@dataclass(frozen=True)
class Draft:
    """What a project could be: its columns by role, its objective, its split.

    `left_out` says of each column that is no feature why not. Where rows know a time there is a `window`
    and, after it, `validation_days`; else a share is held out.
    """

    name: str
    location: str
    facts: TableFacts
    key: str
    label: str
    objective: str
    features: dict[str, FeatureKind]
    left_out: dict[str, str]
    time: str | None = None
    window: Window | None = None
    validation_days: int | None = None

    @property
    def model(self) -> str:
        """The name in the registry."""
        return self.name.replace("_", "-")

    @property
    def is_judged_on_values(self) -> bool:
        """Whether validation has too few days for an interval."""
        return self.validation_days is not None and self.validation_days < LEAST_BLOCKS

    @property
    def ignored(self) -> list[str]:
        """The columns that a batch job does not look at."""
        return [c for c in self.facts.columns if c != self.key and c not in self.features]


def draft_project(
    name: str, location: str, facts: TableFacts, *, label: str, key: str | None, time: str | None
) -> Draft:
    """Choose each column's role. Raises `DeclarationError`, one sentence, where the data allows none."""
    target = facts.column(label, "label")
    objective = _objective(target)
    chosen = _key(facts, label) if key is None else key
    if chosen == label:
        raise DeclarationError(f"The column {label!r} is named as key and as label; expected two columns")
    _refuse_no_key(facts.column(chosen, "key"))
    features: dict[str, FeatureKind] = {}
    left_out: dict[str, str] = {}
    for column in facts.columns.values():
        if column.name in (chosen, label, time):
            continue
        if why := _no_feature(column):
            left_out[column.name] = why
        else:
            features[column.name] = "number" if column.kind == "number" else "category"
    if not features:
        said = "; ".join(f"{column} {why}" for column, why in left_out.items()) or "there is no other column"
        raise DeclarationError(f"No column is left to learn {label} from: {said}. Deliver more columns")
    window, validation_days = _split(facts, time) if time else (None, None)
    return Draft(
        *(name, location, facts, chosen, label, objective, features, left_out, time, window, validation_days)
    )


def _objective(label: ColumnFacts) -> str:
    where = f"The label {label.name!r}"
    if label.kind not in ("number", "flag"):
        found = "no values" if label.kind == "empty" else f"values that are {label.kind}"
        raise DeclarationError(
            f"{where} holds {found}, expected numbers, or 0 and 1; choose another column, or deliver it so"
        )
    if label.values is not None and len(label.values) == 1:
        (value,) = label.values
        raise DeclarationError(f"{where} is {value} in every row, so there is nothing to learn; deliver more")
    if label.endless:
        raise DeclarationError(f"{where} is infinite in some rows, expected numbers; clean it upstream")
    return "binary:logistic" if label.kind == "flag" or is_binary(label) else "reg:squarederror"


def _key(facts: TableFacts, label: str) -> str:
    for column in facts.columns.values():
        if column.kind == "text" and column.name != label and not column.missing and column.is_unique:
            return column.name
    raise DeclarationError(
        f"No text column under {facts.uri} has another value in each row, so none can be the row key; name"
        " one with --key, or deliver the rows with one"
    )


def _refuse_no_key(key: ColumnFacts) -> None:
    fault = ""
    if key.kind not in ("text", "number") or (key.kind == "number" and not key.whole):
        fault = "holds no text and no whole numbers"
    elif key.missing:
        fault = f"is null in {key.missing:,} of {key.rows:,} rows"
    elif not key.is_unique:
        fault = f"has the same value in more than one of {key.rows:,} rows"
    if fault:
        raise DeclarationError(
            f"The column {key.name!r} {fault}, expected another value in each row of a row key; name another"
            " with --key"
        )


def _no_feature(column: ColumnFacts) -> str | None:
    """Say why a column cannot be a feature; None where it can."""
    same = column.values is not None and len(column.values) == 1 and not column.missing
    many = column.kind == "text" and (column.distinct or 0) >= _MOST_DISTINCT * column.present
    reasons = {
        "begins with '_'; rename it upstream": column.name.startswith("_"),
        "is null in every row": column.kind == "empty",
        "equals the label in every row: it would not be known when the model is asked": column.same_as_label,
        "has the same value in every row": same,
        "is a time; deliver what matters of it as a number: the hour, the weekday": column.kind == "time",
        "is true or false, which a batch job does not take; deliver it as 0 and 1": column.kind == "flag",
        "is neither number nor text": column.kind == "other",
        "is infinite in some rows; clean it upstream": column.endless,
        f"has about as many values as the {column.present:,} rows: it names them, as an id does": (
            many or column.is_unique
        ),
    }
    return next((why for why, holds in reasons.items() if holds), None)


def _split(facts: TableFacts, time: str) -> tuple[Window, int]:
    if time == PARTITION:
        return _split_days(_days(batch.name for batch in facts.batches), facts)
    column = facts.column(time, "time")
    if column.kind != "time" or column.first is None or column.last is None:
        raise DeclarationError(
            f"The column {time!r} holds no times, expected dates or timestamps, or date for folders"
            " date=YYYY-MM-DD; name another with --time, or leave it out"
        )
    if column.missing:
        raise DeclarationError(
            f"The column {time!r} is null in {column.missing:,} of {column.rows:,} rows, expected a time in"
            " each; name another with --time, or deliver the rows without"
        )
    return _split_days(Window(column.first, column.last).days, facts)


def _days(names: Iterable[str]) -> list[dt.date]:
    found = {match[1] for name in names if (match := _DAY.search(name))}
    return sorted(dt.date.fromisoformat(day) for day in found)


def _split_days(days: list[dt.date], facts: TableFacts) -> tuple[Window, int]:
    """Keep the last fifth for validation, or the few days more that intervals need."""
    if not days:
        raise DeclarationError(
            f"--time date means folders date=YYYY-MM-DD, and there are none under {facts.uri}; name a column"
            " of the rows, or leave --time out"
        )
    kept = max(len(days) // 5, min(LEAST_BLOCKS, len(days) // 2))
    # Validation begins the day after training ends, so both have to be there.
    ends = [n for n, day in enumerate(days[:-1]) if days[n + 1] == day + dt.timedelta(days=1)]
    if not ends:
        found = f"the only day is {days[0]}" if len(days) == 1 else "no two days follow each other"
        raise DeclarationError(
            f"The rows cannot be split by day: {found}, expected a day after which the next is there too;"
            " deliver more days, or leave --time out"
        )
    end = min(ends, key=lambda n: abs(n - (len(days) - 1 - kept)))
    return Window(days[0], days[end]), (days[-1] - days[end]).days
