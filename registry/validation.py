"""The verdict of an offline validation, as the review rules read it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

# A verdict is copied into the ledger, which is read often and never shortened.
_MOST_BYTES = 200_000
# By `passed`; who knows no third outcome says none.
_OUTCOMES = {True: ("", "passed"), False: ("", "failed", "inconclusive")}


@dataclass(frozen=True)
class Validation:
    """What a validation found about one artifact; `reasons` say, gate by gate, why.

    `window` is the days it was judged on, `rows` how many rows they held, `compared_with` the version
    that was in Production, or why there was none to compare with. `outcome` tells a verdict that failed
    from one that the data could not settle.
    """

    passed: bool
    digest: str
    run_id: str
    metrics: dict[str, float]
    reasons: tuple[str, ...]
    window: str = ""
    rows: int = 0
    compared_with: str = ""
    outcome: str = ""

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Validation:
        """Read what `to_plain` wrote, from anywhere; raises `RegistryError` naming what is wrong."""
        kinds = {
            "passed": bool,
            "digest": str,
            "run_id": str,
            "metrics": dict,
            "reasons": list,
            "window": str,
            "rows": int,
            "compared_with": str,
            "outcome": str,
        }
        for key in plain:
            if key not in kinds:
                raise RegistryError(f"A verdict has no {key!r}; expected {', '.join(kinds)}")
        for key, kind in kinds.items():
            needed = key in ("passed", "digest", "run_id", "metrics", "reasons")
            if (needed or key in plain) and type(plain.get(key)) is not kind:
                raise RegistryError(
                    f"The verdict's {key} is {plain.get(key)!r:.80}, expected {kind.__name__}"
                )
        for name, value in plain["metrics"].items():
            if type(value) not in (int, float) or not math.isfinite(value):
                raise RegistryError(
                    f"The verdict's metric {name!r:.80} is {value!r:.80}, expected a finite number"
                )
        if not all(isinstance(reason, str) for reason in plain["reasons"]):
            raise RegistryError("The verdict's reasons are expected to be sentences")
        outcome = plain.get("outcome", "")
        if outcome not in _OUTCOMES[plain["passed"]]:
            raise RegistryError(
                f"The verdict's outcome is {outcome!r:.80} and passed is {plain['passed']}, expected"
                f" {' or '.join(o for o in _OUTCOMES[plain['passed']] if o)}"
            )
        size = len(json.dumps(plain))
        if size > _MOST_BYTES:
            raise RegistryError(f"The verdict has {size:,} characters, expected at most {_MOST_BYTES:,}")
        return cls(**{**plain, "reasons": tuple(plain["reasons"])})

    @property
    def said(self) -> str:
        """What it found, in a word."""
        return self.outcome or ("passed" if self.passed else "failed")

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "reasons": list(self.reasons)}
