"""How far data has moved from what a model was trained on, column by column. Pure."""

from evidence.drift.measures import Drift, jensen_shannon, measure_drift, psi
from evidence.drift.references import BinCounts, ColumnReference, count_bins, refer_categories, refer_numbers

__all__ = [
    "BinCounts",
    "ColumnReference",
    "Drift",
    "count_bins",
    "jensen_shannon",
    "measure_drift",
    "psi",
    "refer_categories",
    "refer_numbers",
]
