"""From the content of a `project.yaml` to a project. Every error names file, key and value."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import TYPE_CHECKING

from evidence import Gate, check_gates, metric_names
from projects.checks import as_list, as_mapping, check_number, check_text, is_number, refuse_unknown
from projects.declaration import FeatureKind, Project, task_of
from projects.errors import DeclarationError
from projects.parts import Window
from projects.tuning.search import parse_search

if TYPE_CHECKING:
    from typing import Any

    from evidence import Task

_KINDS = ("number", "category")
_TEXTS = ("model", "description", "row_key", "label", "objective")
_NUMBERS = {"rounds": 1, "seed": 0}  # and the least they can be
_PLAIN = (*_TEXTS, *_NUMBERS)
_TIMED = ("time", "window", "validation_days")
_KEYS = {
    **dict.fromkeys(_PLAIN, True),
    **dict.fromkeys(("sources", "features", "parameters", "metrics", "gates"), True),
    **dict.fromkeys(("limits", "slices", "search", "held_out", *_TIMED), False),
}
# How many rows, the largest share of missing values of a feature, how well the best feature alone orders the
# rows as the label does, and the share of rows that the project's suite would reject: `projects.quality`.
QUALITIES = ("rows", "missing_share", "leakage", "rejected_share")
# What XGBoost takes as parameters, and a declaration has keys of its own for.
_NO_PARAMETERS = {"objective": "objective", "seed": "seed", "random_state": "seed"}
_BOUNDS = ("at_least", "at_most", "worse_than_champion_by_at_most")
# A slice that is no column: the month of a row's day.
MONTH = "month"


def parse_project(name: str, found: Any) -> Project:
    """Check the content of a `project.yaml`. Raises `DeclarationError`."""
    where = f"projects/{name}/project.yaml"
    top = as_mapping(found, where)
    refuse_unknown(top, tuple(_KEYS), where)
    for key, required in _KEYS.items():
        if required and key not in top:
            raise DeclarationError(f"{where}: the key {key!r} is missing")
    for key in _TEXTS:
        check_text(top[key], f"{where}: {key}")
    for key, least in _NUMBERS.items():
        check_number(top[key], least, f"{where}: {key}")
    try:
        task = task_of(top["objective"])
    except ValueError as error:
        raise DeclarationError(f"{where}: {error}") from error
    metrics = tuple(
        _metric(m, task, f"{where}: metrics") for m in as_list(top["metrics"], f"{where}: metrics")
    )
    if not metrics:
        raise DeclarationError(f"{where}: metrics is empty, expected at least one")
    features = _features(top, where)
    slices = _slices(top.get("slices", []), features, top, f"{where}: slices")
    return Project(
        name=name,
        **{key: top[key] for key in _PLAIN},
        limits=tuple(
            _sentence(s, f"{where}: limits") for s in as_list(top.get("limits", []), f"{where}: limits")
        ),
        sources=_sources(top["sources"], f"{where}: sources"),
        features=features,
        **_split(top, where),
        parameters=_parameters(top["parameters"], f"{where}: parameters"),
        search=parse_search(top["search"], task, f"{where}: search") if "search" in top else None,
        metrics=metrics,
        slices=slices,
        gates=_gates(top["gates"], task, metrics, tuple(slices), f"{where}: gates"),
    )


def _sources(found: Any, where: str) -> dict[str, str]:
    sources = as_mapping(found, where)
    if "features" not in sources or sources.keys() - {"features", "outcomes"}:
        raise DeclarationError(
            f"{where}: found {list(sources)}, expected features, and outcomes if they lie apart"
        )
    for key, location in sources.items():
        if not isinstance(location, str) or not location:
            raise DeclarationError(
                f"{where}: {key} is {location!r}, expected a location under GREENROOM_DATA"
            )
    return sources


def _features(found: dict[str, Any], where: str) -> dict[str, FeatureKind]:
    features = as_mapping(found["features"], f"{where}: features")
    for column, kind in features.items():
        if not isinstance(column, str):
            raise DeclarationError(f"{where}: features: {column!r} is no column name; write it in quotes")
        if kind not in _KINDS:
            raise DeclarationError(f"{where}: features: {column} is {kind!r}, expected number or category")
        if column.startswith("_"):
            raise DeclarationError(f"{where}: features: {column!r} begins with '_'; rename it upstream")
    for key in ("label", "row_key", "time"):
        if found.get(key) in features:
            raise DeclarationError(f"{where}: the {key} {found[key]!r} is among the features; take it out")
    if not features:
        raise DeclarationError(f"{where}: features is empty, expected at least one column")
    return features


def _split(found: dict[str, Any], where: str) -> dict[str, Any]:
    timed = [key for key in _TIMED if found.get(key) is not None]
    held_out = found.get("held_out")
    if held_out is not None:
        if timed:
            raise DeclarationError(f"{where}: held_out is for rows without time; take it out, or {timed[0]}")
        if isinstance(held_out, bool) or not isinstance(held_out, float) or not 0 < held_out < 1:
            raise DeclarationError(f"{where}: held_out is {held_out!r}, expected a share, as 0.2")
        return {"held_out": held_out, **dict.fromkeys(_TIMED)}
    for key in _TIMED:
        if key not in timed:
            raise DeclarationError(
                f"{where}: the key {key!r} is missing (a project without time has held_out instead)"
            )
    check_text(found["time"], f"{where}: time")
    check_number(found["validation_days"], 1, f"{where}: validation_days")
    window = _window(found["window"], where)
    return {
        "held_out": None,
        "time": found["time"],
        "window": window,
        "validation_days": found["validation_days"],
    }


def _window(found: Any, where: str) -> Window:
    window = as_mapping(found, f"{where}: window")
    for key in ("since", "until"):
        day = window.get(key)
        if not isinstance(day, dt.date) or isinstance(day, dt.datetime):
            found_day = "missing" if day is None else repr(str(day))
            raise DeclarationError(f"{where}: window: {key} is {found_day}, expected YYYY-MM-DD")
    if unknown := window.keys() - {"since", "until"}:
        raise DeclarationError(
            f"{where}: window: unknown key {min(unknown, key=str)!r}; known are since, until"
        )
    if window["until"] < window["since"]:
        raise DeclarationError(f"{where}: window: it ends {window['until']}, before it begins")
    return Window(**window)


def _parameters(found: Any, where: str) -> dict[str, float | int | str]:
    parameters = as_mapping(found, where)
    for key, value in parameters.items():
        if key in _NO_PARAMETERS:
            raise DeclarationError(f"{where}: {key} is declared as {_NO_PARAMETERS[key]}; take it out here")
        if not isinstance(value, (float, int, str)):
            raise DeclarationError(f"{where}: {key} is {value!r}, expected a number or a word")
    return parameters


def _metric(found: Any, task: Task, where: str) -> str:
    known = metric_names(task)
    if found not in known:
        raise DeclarationError(
            f"{where}: there is no metric {found!r} for {task}; there is: {', '.join(known)}"
        )
    return str(found)


def _slices(
    found: Any, features: dict[str, FeatureKind], top: dict[str, Any], where: str
) -> dict[str, tuple[float, ...] | None]:
    slices: dict[str, tuple[float, ...] | None] = {}
    for entry in as_list(found, where):
        column, bands = entry, None
        if isinstance(entry, dict):
            if entry.keys() != {"column", "bands"}:
                raise DeclarationError(f"{where}: found {entry!r}, expected column and bands")
            column, bands = entry["column"], _bands(entry["bands"], f"{where}: {entry['column']}")
        if column == MONTH and bands is None and top.get("time") is not None and column not in features:
            slices[column] = None
            continue
        if column not in features:
            raise DeclarationError(
                f"{where}: {column!r} is no feature; expected one, or month where there is time"
            )
        if features[column] == "number" and bands is None:
            raise DeclarationError(
                f"{where}: {column} is a number; expected {{column: {column}, bands: […]}}"
            )
        if features[column] == "category" and bands is not None:
            raise DeclarationError(f"{where}: {column} is a category, which has no bands")
        slices[column] = bands
    return slices


def _bands(found: Any, where: str) -> tuple[float, ...]:
    edges = as_list(found, f"{where}: bands")
    if (
        not edges
        or not all(is_number(e) for e in edges)
        or not all(low < high for low, high in pairwise(edges))
    ):
        raise DeclarationError(f"{where}: bands are {found!r}, expected rising numbers")
    return tuple(float(edge) for edge in edges)


def _gates(
    found: Any, task: Task, metrics: tuple[str, ...], slices: tuple[str, ...], where: str
) -> tuple[Gate, ...]:
    gates = tuple(_gate(entry, where) for entry in as_list(found, where))
    for gate in gates:
        if gate.quality is not None and gate.quality not in QUALITIES:
            raise DeclarationError(
                f"{where}: there is no quality {gate.quality!r} of data; there is: {', '.join(QUALITIES)}"
            )
    try:
        check_gates(gates, task, metrics, slices)
    except ValueError as error:
        raise DeclarationError(f"{where}: {error}") from error
    return gates


def _gate(found: Any, where: str) -> Gate:
    gate = as_mapping(found, where)
    known = ("metric", "quality", "slice", "on", *_BOUNDS)
    refuse_unknown(gate, known, where)
    for key, value in gate.items():
        if key in _BOUNDS and not is_number(value):
            raise DeclarationError(f"{where}: {key} is {value!r}, expected a number")
        if key not in _BOUNDS and not isinstance(value, str):
            raise DeclarationError(f"{where}: {key} is {value!r}, expected a word")
    try:
        plain: dict[str, Any] = {k: float(v) if k in _BOUNDS else v for k, v in gate.items()}
        return Gate(**plain)
    except ValueError as error:
        raise DeclarationError(f"{where}: {error}") from error


def _sentence(found: Any, where: str) -> str:
    if not isinstance(found, str):
        raise DeclarationError(f"{where}: found {found!r}, expected sentences")
    return found
