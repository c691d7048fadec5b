"""What a project is: one declaration, `projects/NAME/project.yaml`, and perhaps a small `dataset.py`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from projects.errors import DeclarationError, ProjectError
from projects.parts import Side, Window

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from evidence import Gate, Task
    from projects.parts import Part
    from projects.rows.delivery import Delivery
    from projects.tuning.search import Search

ROOT = Path(__file__).parent

FeatureKind = Literal["number", "category"]


@dataclass(frozen=True)
class Project:
    """One model project. The fields are the keys of its `project.yaml`; `name` is its folder.

    `text` is the file itself.

    With `time` (a column, or `date` for partitions) it is trained on a window and judged on the days after
    it; without, on two sides of a split by row key.
    """

    name: str
    model: str
    description: str
    limits: tuple[str, ...]
    sources: Mapping[str, str]
    row_key: str
    label: str
    features: dict[str, FeatureKind]
    time: str | None
    window: Window | None
    validation_days: int | None
    held_out: float | None
    objective: str
    rounds: int
    seed: int
    parameters: dict[str, float | int | str]
    metrics: tuple[str, ...]
    slices: Mapping[str, tuple[float, ...] | None]
    gates: tuple[Gate, ...]
    search: Search | None = None
    text: str = ""

    @property
    def task(self) -> Task:
        """What kind of target the objective is for."""
        return task_of(self.objective)

    @property
    def dataset(self) -> ModuleType | None:
        """The project's `dataset.py`: `label(outcomes)` and `deliveries()`, where it needs them, or None."""
        if not (ROOT / self.name / "dataset.py").is_file():
            return None
        return importlib.import_module(f"projects.{self.name}.dataset")

    def training_part(self, since: dt.date | None = None, until: dt.date | None = None) -> Part:
        """Return the rows to train on; days that are not given are those declared.

        Raises `DeclarationError` for days where the rows have none.
        """
        if self.window is not None:
            return Window.between(since or self.window.since, until or self.window.until)
        if since or until:
            raise DeclarationError(
                f"The project {self.name} has no time column; leave --since and --until out"
            )
        return Side(self.held_out or 0.0, "training")

    def deliveries(self) -> Iterator[Delivery]:
        """Yield the example data, day by day. Raises `ProjectError` where the project has none."""
        dataset = self.dataset
        if dataset is None or not hasattr(dataset, "deliveries"):
            raise ProjectError(
                f"The project {self.name} has no example data: its dataset.py defines no deliveries(). Its"
                f" rows are expected under {self.sources['features']}"
            )
        return dataset.deliveries()  # type: ignore[no-any-return]  # a module chosen at run time


def task_of(objective: str) -> Task:
    """Return the kind of target of an objective. Raises `ValueError` for one that is not supported."""
    if objective == "binary:logistic":
        return "classification"
    if objective.startswith(("reg:", "count:")) and objective != "reg:logistic":
        return "regression"
    raise ValueError(
        f"the objective {objective!r} is not supported; expected binary:logistic, reg:… or count:…"
    )


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
    return parse_text(name, path.read_bytes())


def parse_text(name: str, content: bytes) -> Project:
    """Read the content of a `project.yaml`, as `read_project` does."""
    from projects.parsing import parse_project

    try:
        found = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise DeclarationError(f"projects/{name}/project.yaml is not YAML: {error}") from error
    return replace(parse_project(name, found), text=content.decode())
