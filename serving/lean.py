"""Imports XGBoost without scikit-learn, which takes four times as long and which boosters do not need."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SKLEARN = "sklearn"


def import_xgboost(environment: Mapping[str, str]) -> None:
    """Import it; with scikit-learn where models of other kinds are allowed, which may well be of its kind.

    XGBoost looks for scikit-learn when it is imported, and does without where there is none.
    """
    others = "pyfunc" in environment.get("GREENROOM_ARTIFACT_FORMATS", "")
    hidden = not others and _SKLEARN not in sys.modules
    if hidden:
        sys.modules[_SKLEARN] = None  # type: ignore[assignment]  # Python's way to say that there is none
    try:
        import xgboost  # noqa: F401  # so that whoever imports it next has it
    finally:
        if hidden:
            del sys.modules[_SKLEARN]
