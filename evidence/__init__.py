"""What may be concluded from data: metrics and comparisons. Pure: arrays in, numbers out."""

from evidence.calibration import CalibrationCurve, calibration_curve
from evidence.classification import choose_threshold
from evidence.curves import Curve, precision_recall_curve, roc_curve
from evidence.findings import Findings, measure
from evidence.gates import Gate, check_gates
from evidence.intervals import LEAST_BLOCKS, Estimate, Resampling, difference, estimate
from evidence.leakage import associations
from evidence.metrics import METRICS, Metric, Task, metric_names, metrics_for
from evidence.outcomes import Settled, settle
from evidence.slices import Sample, SliceFinding, cut_bands, measure_slices
from evidence.verdicts import GateResult, Verdict, judge, overall

__all__ = [
    "LEAST_BLOCKS",
    "METRICS",
    "CalibrationCurve",
    "Curve",
    "Estimate",
    "Findings",
    "Gate",
    "GateResult",
    "Metric",
    "Resampling",
    "Sample",
    "Settled",
    "SliceFinding",
    "Task",
    "Verdict",
    "associations",
    "calibration_curve",
    "check_gates",
    "choose_threshold",
    "cut_bands",
    "difference",
    "estimate",
    "judge",
    "measure",
    "measure_slices",
    "metric_names",
    "metrics_for",
    "overall",
    "precision_recall_curve",
    "roc_curve",
    "settle",
]
