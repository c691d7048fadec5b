"""Which code scores: a digest that changes when what becomes of a row may change."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import llvmlite
import xgboost as xgb

_ROOT = Path(__file__).parent.parent
# What reads a row, types it, checks it, encodes it, scores it and writes it. XGBoost, and LLVM, which makes
# machine code of the walk through the trees, by their versions.
_DECIDES = (
    *("batch_jobs/ahead.py", "batch_jobs/conform.py", "batch_jobs/keys.py", "batch_jobs/partition.py"),
    *("batch_jobs/mending/repairs.py", "batch_jobs/parts.py", "batch_jobs/scoring.py"),
    *("batch_jobs/spelling.py", "registry/scorer.py", "registry/trees/*.py", "storage/csv_rows.py"),
    *("storage/expansion.py", "storage/files.py", "storage/parquet_rows.py", "storage/utf8.py"),
    *("expectations/*.py", "expectations/streaming/*.py"),
)


@cache
def code_digest() -> str:
    """Return a SHA-256 over the modules that decide what becomes of a row."""
    digest = hashlib.sha256(f"xgboost {xgb.__version__}\nllvmlite {llvmlite.__version__}\n".encode())
    for pattern in _DECIDES:
        for path in sorted(_ROOT.glob(pattern)):
            digest.update(f"{path.relative_to(_ROOT)}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
