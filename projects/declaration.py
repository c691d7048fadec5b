"""What a `project.yaml` declares, read and checked."""

from __future__ import annotations

import datetime as dt
import importlib
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from evidence import METRICS, Gate
from projects.errors import DeclarationError, ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Any

    from projects.delivery import Delivery

ROOT = Path(__file__).parent

FeatureKind = Literal["number", "category"]
_KINDS = ("number", "category")
_GATE_BOUNDS = ("at_least", "at_most", "worse_than_champion_by_at_most")


@dataclass(frozen=True)
class Window:
    """Days from `since` to `until`, both included."""

    since: dt.date
    until: dt.date

    def __str__(self) -> str:
        return f"{self.since} to {self.until}"

    @property
    def days(self) -> list[dt.date]:
        """Every day of the window, in order."""
        count = (self.until - self.since).days + 1
        return [self.since + dt.timedelta(days=n) for n in range(count)]


@dataclass(frozen=True)
class Project:
    """One model project. The fields are the keys of its `project.yaml`; `name` is its folder."""

    name: str
    model: str
    description: str
    features_at: str
    outcomes_at: str
    row_key: str
    label: str
    features: dict[str, FeatureKind]
    window: Window
    validation_days: int
    objective: str
    rounds: int
    seed: int
    parameters: dict[str, float | int | str]
    metrics: tuple[str, ...]
    gates: tuple[Gate, ...]

    @property
    def dataset(self) -> ModuleType:
        """The project's `dataset.py`: `deliveries()` and `label(outcomes)`."""
        return importlib.import_module(f"projects.{self.name}.dataset")

    def deliveries(self) -> Iterator[Delivery]:
        """Yield the example data, day by day. Raises `ProjectError` where the project has none."""
        if not hasattr(self.dataset, "deliveries"):
            raise ProjectError(
                f"The project {self.name} has no example data: its dataset.py defines no deliveries(). Its"
                f" rows are expected under {self.features_at}"
            )
        return self.dataset.deliveries()  # type: ignore[no-any-return]  # a module chosen at run time


def project_names() -> list[str]:
    """Return the folders that declare a project."""
    return sorted(path.parent.name for path in ROOT.glob("*/project.yaml"))


def read_project(name: str) -> Project:
    """Read `projects/NAME/project.yaml`. Raises `DeclarationError` naming file, key and value."""
    if name not in project_names():
        raise DeclarationError(
            f"There is no project {name[:80]!r}; there is: {', '.join(project_names())}. A project is a"
            " folder projects/NAME with a project.yaml"
        )
    path = ROOT / name / "project.yaml"
    try:
        found = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise DeclarationError(f"projects/{name}/project.yaml is not YAML: {error}") from error
    return parse_project(name, found)


def parse_project(name: str, found: Any) -> Project:
    """Check the content of a `project.yaml`."""
    where = f"projects/{name}/project.yaml"
    expected = {f.name: str(f.type) for f in fields(Project) if f.name != "name"}
    if not isinstance(found, dict):
        raise DeclarationError(f"{where}: found {type(found).__name__}, expected keys and values")
    for key in found:
        if key not in expected:
            raise DeclarationError(f"{where}: unknown key {key!r}; known are {', '.join(expected)}")
    for key, type_name in expected.items():
        if key not in found:
            raise DeclarationError(f"{where}: the key {key!r} is missing")
        plain = {"str": str, "int": int}.get(type_name)
        value = found[key]
        if plain is not None and (not isinstance(value, plain) or isinstance(value, bool)):
            raise DeclarationError(f"{where}: {key} is {value!r}, expected {type_name}")
        least = 0 if key == "seed" else 1
        if plain is int and value < least:
            raise DeclarationError(f"{where}: {key} is {value}, expected at least {least}")
    metrics = tuple(_metric(m, f"{where}: metrics") for m in _list(found["metrics"], f"{where}: metrics"))
    return Project(
        **{
            **found,
            "name": name,
            "features": _features(found, where),
            "window": _window(found["window"], where),
            "parameters": _parameters(found["parameters"], f"{where}: parameters"),
            "metrics": metrics,
            "gates": tuple(
                _gate(g, metrics, f"{where}: gates") for g in _list(found["gates"], f"{where}: gates")
            ),
        }
    )


def _features(found: dict[str, Any], where: str) -> dict[str, FeatureKind]:
    features = _mapping(found["features"], f"{where}: features")
    for column, kind in features.items():
        if not isinstance(column, str):
            raise DeclarationError(f"{where}: features: {column!r} is no column name; write it in quotes")
        if kind not in _KINDS:
            raise DeclarationError(f"{where}: features: {column} is {kind!r}, expected number or category")
    for key in ("label", "row_key"):
        if found[key] in features:
            raise DeclarationError(f"{where}: the {key} {found[key]!r} is among the features; take it out")
    if not features:
        raise DeclarationError(f"{where}: features is empty, expected at least one column")
    return features


def _window(found: Any, where: str) -> Window:
    window = _mapping(found, f"{where}: window")
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
    parameters = _mapping(found, where)
    for key, value in parameters.items():
        if not isinstance(value, (float, int, str)):
            raise DeclarationError(f"{where}: {key} is {value!r}, expected a number or a word")
    return parameters


def _metric(found: Any, where: str) -> str:
    if found not in list(METRICS):
        raise DeclarationError(f"{where}: there is no metric {found!r}; there is: {', '.join(METRICS)}")
    return str(found)


def _gate(found: Any, metrics: tuple[str, ...], where: str) -> Gate:
    gate = _mapping(found, where)
    metric = _metric(gate.get("metric"), where)
    if metric not in metrics:
        raise DeclarationError(f"{where}: the gate on {metric} judges what is not among the metrics; add it")
    bounds = {key: value for key, value in gate.items() if key != "metric"}
    if len(bounds) != 1 or next(iter(bounds)) not in _GATE_BOUNDS:
        raise DeclarationError(
            f"{where}: the gate on {metric} has {sorted(map(str, bounds)) or 'no bound'}, expected one"
            f" of {', '.join(_GATE_BOUNDS)}"
        )
    bound, value = next(iter(bounds.items()))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise DeclarationError(f"{where}: the gate on {metric}: {bound} is {value!r}, expected a number")
    return Gate(metric, **{bound: float(value)})


def _list(found: Any, where: str) -> list[Any]:
    if not isinstance(found, list):
        raise DeclarationError(f"{where}: found {found!r}, expected a list")
    return found


def _mapping(found: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise DeclarationError(f"{where}: found {found!r}, expected keys and values")
    return found
