"""Plots of a training and of a validation, as matplotlib figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib.figure import Figure  # the backend is chosen first

from evidence import calibration_curve, precision_recall_curve, roc_curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import xgboost as xgb

    from evidence import Findings, Task

    Floats = npt.NDArray[np.float64]

_SIZE_INCHES = (6.0, 4.5)
_MOST_SLICES = 40
# Where both versions say the same, both are to be seen.
_LINES = ("-", "--")


def importance(booster: xgb.Booster) -> Figure:
    """Total gain per feature, the largest on top."""
    gains = sorted(booster.get_score(importance_type="total_gain").items(), key=lambda item: item[1])
    figure, axes = new_figure("What the trees split on", "total gain", "")
    axes.barh([name for name, _ in gains], [gain for _, gain in gains], color="#2b6cb0")
    return figure


def quality(task: Task, label: Floats, predictions: Mapping[str, Floats]) -> dict[str, Figure]:
    """Plot one or two versions on the same rows; by file name."""
    return (_of_classes if task == "classification" else _of_numbers)(label, predictions)


def slices(findings: Findings, metric: str) -> Figure:
    """Plot a metric of the largest slices, with the intervals that hold for all of them at once."""
    known = [s for s in findings.slices if metric in s.estimates]
    shown = sorted(sorted(known, key=lambda s: -s.rows)[:_MOST_SLICES], key=lambda s: (s.column, s.value))[
        ::-1
    ]
    figure, axes = new_figure("Slices", metric, "")
    figure.set_figheight(max(_SIZE_INCHES[1], 0.22 * len(shown)))
    for place, part in enumerate(shown):
        found = part.estimates[metric]
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [place, place], color="#a0aec0", linewidth=2)
        axes.plot([found.value], [place], marker="o", color="#2b6cb0")
    axes.axvline(findings.candidate[metric].value, color="#c05621", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(shown)), [f"{s.column}: {s.value} ({s.rows:,})" for s in shown])
    return figure


def _of_classes(label: Floats, predictions: Mapping[str, Floats]) -> dict[str, Figure]:
    roc, roc_axes = new_figure("ROC", "false positive rate", "true positive rate")
    pr, pr_axes = new_figure("Precision and recall", "recall", "precision")
    calibration, calibration_axes = new_figure("Calibration", "mean prediction", "share of positives")
    scores, scores_axes = new_figure("Distribution of predictions", "prediction", "rows")
    for axes in (roc_axes, calibration_axes):
        axes.plot([0, 1], [0, 1], color="#a0aec0", linewidth=1, linestyle="--")
    # What calling every row positive comes to.
    pr_axes.axhline(float(label.mean()), color="#a0aec0", linewidth=1, linestyle="--")
    for (name, predicted), line in zip(predictions.items(), _LINES, strict=False):
        curve = roc_curve(label, predicted)
        roc_axes.plot(curve.x, curve.y, linestyle=line, label=name)
        curve = precision_recall_curve(label, predicted)
        pr_axes.plot(curve.x, curve.y, linestyle=line, label=name)
        bins = calibration_curve(label, predicted)
        calibration_axes.plot(bins.predicted, bins.observed, marker="o", linestyle=line, label=name)
        scores_axes.hist(predicted, bins=50, range=(0, 1), histtype="step", linestyle=line, label=name)
    # From 0, whatever was found, so that the plots of two runs can be laid side by side.
    pr_axes.set_ylim(0, 1.05)
    for axes in (roc_axes, pr_axes, calibration_axes, scores_axes):
        axes.legend(frameon=False)
    return {"roc": roc, "precision_recall": pr, "calibration": calibration, "scores": scores}


def _of_numbers(label: Floats, predictions: Mapping[str, Floats]) -> dict[str, Figure]:
    calibration, calibration_axes = new_figure("Predicted and observed", "mean prediction", "mean label")
    errors, errors_axes = new_figure("Distribution of errors", "prediction less label", "rows")
    scores, scores_axes = new_figure("Distribution of predictions", "prediction", "rows")
    # The few farthest rows would flatten all others into one bar.
    least, most = np.quantile(label, [0.001, 0.999])
    off = np.concatenate([predicted - label for predicted in predictions.values()])
    farthest = float(np.quantile(np.abs(off), 0.99)) or 1.0
    calibration_axes.plot([least, most], [least, most], color="#a0aec0", linewidth=1, linestyle="--")
    for (name, predicted), line in zip(predictions.items(), _LINES, strict=False):
        bins = calibration_curve(label, predicted)
        calibration_axes.plot(bins.predicted, bins.observed, marker="o", linestyle=line, label=name)
        errors_axes.hist(
            predicted - label,
            bins=60,
            range=(-farthest, farthest),
            histtype="step",
            linestyle=line,
            label=name,
        )
        scores_axes.hist(predicted, bins=50, range=(least, most), histtype="step", linestyle=line, label=name)
    scores_axes.hist(label, bins=50, range=(least, most), histtype="step", color="#a0aec0", label="label")
    for axes in (calibration_axes, errors_axes, scores_axes):
        axes.legend(frameon=False)
    return {"calibration": calibration, "errors": errors, "scores": scores}


def new_figure(title: str, x_label: str, y_label: str) -> tuple[Figure, mpl.axes.Axes]:
    """Make a figure in the manner of all of them."""
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
