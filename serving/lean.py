"""Leaves out what boosters do not need: scikit-learn and pandas.

XGBoost looks for the one when it is imported, Arrow for the other when it is first handed text, and both do
without where there is none. Together they are four fifths of the time that an endpoint takes to start, and
more memory than all else that a worker has.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNUSED = ("sklearn", "pandas")


def leave_out_what_boosters_do_not_need(environment: Mapping[str, str], *, lenient: bool) -> None:
    """Have this process, and all that are forked from it, without them for good.

    Not where models of other kinds are allowed, or MLflow's own code reads requests (`lenient`).
    """
    if lenient or "pyfunc" in environment.get("GREENROOM_ARTIFACT_FORMATS", ""):
        return
    sys.meta_path.insert(0, _Without())


class _Without:
    """Finds none of what is left out, before anybody else is asked."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name in _UNUSED:
            raise ModuleNotFoundError(f"No module named {name!r}: it is left out here", name=name)
