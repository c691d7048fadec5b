"""The names of all figures that are measured; alerts, the report and dashboards go by them."""

from __future__ import annotations

from typing import Literal

# How well predictions did, by slice and with intervals; in the words of `evidence`.
QUALITY = {
    "classification": ("auc", "log_loss", "brier", "calibration_error"),
    "regression": ("rmse", "mae", "bias"),
}
# What was predicted and what came, as means.
MEANS = ("mean_prediction", "mean_outcome")
# How many rows, and what became of their outcomes.
VOLUMES = (
    *("scored", "quarantined", "quarantined_share", "labelled", "labelled_share"),
    *("outcomes_repeated", "outcomes_contradicted", "outcomes_unusable", "outcomes_unmatched"),
)
# Of a feature, or of `PREDICTION`, against the training rows.
DRIFT = ("psi", "psi_by_chance", "jensen_shannon", "missing_share", "missing_change", "unseen_share")
DRIFTED = "drifted_features"
# Of a feature, or of `PREDICTION`, between the endpoint's rows and the job's rows of the same key.
SKEW = ("skew_share", "skew_rows")
# What is measured of a feature is called so of the predictions.
PREDICTION = "prediction"
ALL = "all"


def metric_names(task: Literal["classification", "regression"]) -> tuple[str, ...]:
    """Return the names of all figures of a job of that task."""
    return (*QUALITY[task], *MEANS, *VOLUMES, *DRIFT, DRIFTED, *SKEW)
