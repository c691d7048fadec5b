"""What `python -m serving compare --record` leaves in a run."""

from __future__ import annotations

import json
from typing import Any

from registry import ModelVersion, Registry


def compared(**changed: Any) -> dict[str, Any]:
    """What `python -m serving compare --record` writes, of version 2 beside version 1."""
    metric = {
        "metric": "brier",
        "outcome": "better",
        "difference": -0.0123,
        "low": -0.02,
        "high": -0.0046,
        "delta": 0.005,
        "observations": 12_345,
        "more": None,
        "said": "brier: the challenger is better: -0.0123 (-0.02 to -0.0046) after 12,345 outcomes",
    }
    latency = {
        **metric,
        "metric": "latency_ms",
        "outcome": "keep_going",
        "more": 4000,
        "said": "latency_ms: go on",
    }
    return {
        "model": "flight-delay",
        "champion": {"version": 1, "digest": "d" * 64},
        "challenger": {"version": 2, "digest": "d" * 64},
        "mode": "ab",
        "since": "2013-07-01",
        "until": "2013-07-09",
        "said": ["The shares are as declared.", "Each metric has a quarter of alpha."],
        "ratio": {"p_value": 0.4, "said": "The shares are as declared."},
        "metrics": [metric, latency],
        "counts": {"outcomes": 12_345, "never": 17},
        **changed,
    }


def beside(challenger: ModelVersion, champion: ModelVersion, **changed: Any) -> str:
    """A comparison of two versions that exist."""
    sides = {
        side: {"version": version.version, "digest": version.digest}
        for side, version in (("challenger", challenger), ("champion", champion))
    }
    return json.dumps(compared(**sides, **changed))


def record(at: Registry, challenger: ModelVersion, text: str) -> str:
    """Log a comparison of a version; return the id of its run."""
    said = {"model": challenger.name, "version": str(challenger.version)}
    tags = {f"greenroom.comparison.{key}": value for key, value in said.items()}
    run_id = str(at.client.create_run("0", tags=tags).info.run_id)
    at.client.log_text(run_id, text, "comparison.json")
    at.client.set_terminated(run_id)
    return run_id
