"""What the benchmark of the endpoint found, as one JSON object for machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.serving_figures import CLIENTS, FLOOR, MIB, MLFLOW, OURS, QUANTILES, ROWS
from benchmarks.serving_promises import broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.serving_figures import Cell, Figures, Seen


def as_json(found: Figures) -> str:
    """Return one line: the promises, then all that was seen."""
    names = dict.fromkeys(name for each in found.rounds for name in each)
    return json.dumps(
        {
            "benchmark": "serving",
            "p50_ratio_to_mlflow": rounded(found.p50_ratio(MLFLOW)),
            "rps_ratio_to_mlflow": rounded(found.rps_ratio(MLFLOW)),
            "share_of_floor": rounded(found.rps_ratio(FLOOR)),
            "p50_share_of_floor": rounded(found.p50_ratio(FLOOR)),
            "p99_ms_half_load": rounded(found.half_p99()),
            "p50_ratio_100_rows": rounded(found.p50_ratio(MLFLOW, rows=100)),
            "floor_p50_ratio_to_mlflow": rounded(found.p50_ratio(MLFLOW, ours="floor")),
            "floor_rps_ratio_to_mlflow": rounded(found.rps_ratio(MLFLOW, ours="floor")),
            "start_to_ready_s": rounded(found.median(OURS, lambda seen: seen.ready_s)),
            "extra_worker_private_mib": rounded(found.extra_worker(lambda seen: seen.private_bytes)),
            "extra_worker_mib": rounded(found.extra_worker(lambda seen: seen.idle_bytes)),
            "processor_ratio_to_mlflow": rounded(found.processor_ratio(MLFLOW)),
            "processor_share_of_floor": rounded(found.processor_ratio(FLOOR)),
            "noise": rounded(found.noise),
            "broken": broken(found),
            "unable": dict(found.unable),
            "servers": {name: _server(found, name) for name in names},
        }
    )


def rounded(value: float | None, digits: int = 3) -> float | None:
    """Return a number as a person writes it."""
    return None if value is None else round(value, digits)


def _server(found: Figures, name: str) -> dict[str, object]:
    def said(cell: Callable[[Seen], Cell]) -> dict[str, float | None]:
        quantiles = {f"p{percent:g}_ms": rounded(found.pooled(name, cell, percent)) for percent in QUANTILES}
        rate = found.median(name, lambda seen: cell(seen).rate)
        asker = found.median(name, lambda seen: cell(seen).processor)
        taken = found.median(name, lambda seen: cell(seen).request_us)
        more = {
            "rps": rounded(rate, 1),
            "request_us": rounded(taken, 1),
            "asker_processor": rounded(asker, 2),
        }
        return {**quantiles, **more}

    return {
        "ready_s": rounded(found.median(name, lambda seen: seen.ready_s), 2),
        "idle_mib": rounded(found.median(name, lambda seen: seen.idle_bytes / MIB), 1),
        "private_mib": rounded(found.median(name, lambda seen: seen.private_bytes / MIB), 1),
        "loaded_mib": rounded(found.median(name, lambda seen: seen.loaded_bytes / MIB), 1),
        **{
            f"rows_{rows}_clients_{clients}": said(lambda seen, at=(rows, clients): seen.closed[at])  # type: ignore[misc]  # mypy cannot type a default
            for rows in ROWS
            for clients in CLIENTS
        },
        "half_load": said(lambda seen: seen.half),
        "half_rate": rounded(found.median(name, lambda seen: seen.half_rate), 1),
    }
