"""What may be concluded from data: metrics and comparisons. Pure: arrays in, numbers out."""

from evidence.classification import (
    METRICS,
    CalibrationCurve,
    Curve,
    calibration_curve,
    precision_recall_curve,
    roc_curve,
)
from evidence.gates import Gate, GateResult, judge

__all__ = [
    "METRICS",
    "CalibrationCurve",
    "Curve",
    "Gate",
    "GateResult",
    "calibration_curve",
    "judge",
    "precision_recall_curve",
    "roc_curve",
]
