"""The metrics there are, by name: what each needs, and in which direction it is better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from evidence import classification, regression

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evidence.statistic import Floats, Statistic

Task = Literal["classification", "regression"]

# Their thresholds are chosen per model, so `metrics_for` makes them.
_AT_A_THRESHOLD = ("precision", "recall")


@dataclass(frozen=True)
class Metric:
    """A named measure. `higher_is_better` is None where neither is: a bias is best at 0.

    It lies between `least` and `most`; `needs` says what of the rows, where it cannot be computed of all.
    """

    name: str
    task: Task
    statistic: Statistic
    higher_is_better: bool | None
    needs: str = "at least one row"
    least: float = -math.inf
    most: float = math.inf

    def of(self, label: Floats, predicted: Floats, weight: Floats | None = None) -> float:
        """Measure rows, all (rows,). A row of weight w, a whole number, counts as w rows; None is 1 each.

        Raises `ValueError` where shapes differ, a value is no number, or the metric cannot be computed.
        """
        self.check(label, predicted)
        weight = np.ones(len(label)) if weight is None else np.asarray(weight, np.float64)
        if weight.shape != label.shape or (weight < 0).any():
            raise ValueError(
                f"{self.name}: found weights of shape {weight.shape}, expected {label.shape}, none below 0"
            )
        value = self.statistic.of(label, predicted, weight)
        if not math.isfinite(value):
            raise ValueError(f"{self.name} needs {self.needs}; found {self._found(label, weight)}")
        return value

    def check(self, label: Floats, predicted: Floats) -> None:
        """Raise `ValueError` unless these are labels and predictions of the metric's task."""
        if label.ndim != 1 or label.shape != predicted.shape:
            raise ValueError(
                f"{self.name}: found labels of shape {label.shape} and predictions of shape"
                f" {predicted.shape}, expected (rows,) of both"
            )
        for what, values in (("labels", label), ("predictions", predicted)):
            if bad := int((~np.isfinite(values)).sum()):
                raise ValueError(f"{self.name}: {bad} of {len(values)} {what} are no finite numbers")
        if self.task == "classification" and not np.isin(label, (0.0, 1.0)).all():
            strange = label[~np.isin(label, (0.0, 1.0))][0]
            raise ValueError(f"{self.name}: found the label {strange:g}, expected 0 or 1")

    def _found(self, label: Floats, weight: Floats) -> str:
        if self.task == "regression":
            return f"{weight.sum():.0f} rows"
        return f"{weight @ label:.0f} positives, {weight @ (1 - label):.0f} negatives"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("auc", "classification", classification.auc, True, "both classes", 0, 1),  # noqa: FBT003
        Metric("log_loss", "classification", classification.log_loss, higher_is_better=False, least=0),
        Metric("brier", "classification", classification.brier, higher_is_better=False, least=0, most=1),
        Metric(
            "calibration_error",
            "classification",
            classification.calibration_error,
            higher_is_better=False,
            least=0,
            most=1,
        ),
        Metric("rmse", "regression", regression.rmse, higher_is_better=False, least=0),
        Metric("mae", "regression", regression.mae, higher_is_better=False, least=0),
        Metric("bias", "regression", regression.bias, higher_is_better=None),
        Metric("r2", "regression", regression.r2, higher_is_better=True, needs="labels that differ", most=1),
    )
}


def metric_names(task: Task) -> tuple[str, ...]:
    """Return the names that `metrics_for` knows for a task."""
    names = tuple(metric.name for metric in METRICS.values() if metric.task == task)
    return names + _AT_A_THRESHOLD if task == "classification" else names


def metrics_for(task: Task, names: Iterable[str], threshold: float | None = None) -> dict[str, Metric]:
    """Return metrics by name, in the order asked for. Precision and recall are made for `threshold`.

    Raises `ValueError` for a name that is not known, a metric of the other task, or a missing threshold.
    """
    return {name: _metric(task, name, threshold) for name in names}


def check_name(task: Task, name: str) -> None:
    """Raise `ValueError` unless there is such a metric for the task."""
    if name in metric_names(task):
        return
    known = f"for {task} there is: {', '.join(metric_names(task))}"
    if name in METRICS or name in _AT_A_THRESHOLD:
        raise ValueError(f"{name} is no metric of {task}; {known}")
    raise ValueError(f"There is no metric {name!r}; {known}")


def _metric(task: Task, name: str, threshold: float | None) -> Metric:
    check_name(task, name)
    if name not in _AT_A_THRESHOLD:
        return METRICS[name]
    if threshold is None:
        raise ValueError(f"{name} needs a threshold; found none. Choose one on rows of training")
    if name == "recall":
        return Metric(name, task, classification.recall(threshold), True, "positives", 0, 1)  # noqa: FBT003
    needs = f"rows predicted at or above {threshold:g}"
    return Metric(name, task, classification.precision(threshold), True, needs, 0, 1)  # noqa: FBT003
