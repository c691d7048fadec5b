"""What may be concluded from data: metrics and comparisons. Pure: arrays in, numbers out."""

from evidence.calibration import CalibrationCurve, calibration_curve
from evidence.classification import choose_threshold
from evidence.curves import Curve, precision_recall_curve, roc_curve
from evidence.drift import (
    BinCounts,
    ColumnReference,
    Drift,
    count_bins,
    jensen_shannon,
    measure_drift,
    psi,
    refer_categories,
    refer_numbers,
)
from evidence.findings import Findings, measure
from evidence.gates import Gate, check_gates
from evidence.intervals import LEAST_BLOCKS, Estimate, Resampling, difference, estimate
from evidence.leakage import associations
from evidence.live import LIVE_METRICS, Comparison, Goal, LiveMetric, LiveVerdict, compare, mean_by_unit
from evidence.metrics import METRICS, Metric, Task, metric_names, metrics_for
from evidence.outcomes import Settled, settle
from evidence.sequential import RatioFinding, sample_ratio
from evidence.slices import Sample, SliceFinding, cut_bands, measure_slices
from evidence.verdicts import GateResult, Verdict, judge, overall

__all__ = [
    "LEAST_BLOCKS",
    "LIVE_METRICS",
    "METRICS",
    "BinCounts",
    "CalibrationCurve",
    "ColumnReference",
    "Comparison",
    "Curve",
    "Drift",
    "Estimate",
    "Findings",
    "Gate",
    "GateResult",
    "Goal",
    "LiveMetric",
    "LiveVerdict",
    "Metric",
    "RatioFinding",
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
    "compare",
    "count_bins",
    "cut_bands",
    "difference",
    "estimate",
    "jensen_shannon",
    "judge",
    "mean_by_unit",
    "measure",
    "measure_drift",
    "measure_slices",
    "metric_names",
    "metrics_for",
    "overall",
    "precision_recall_curve",
    "psi",
    "refer_categories",
    "refer_numbers",
    "roc_curve",
    "sample_ratio",
    "settle",
]
