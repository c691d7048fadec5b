"""Servability: what a version does when it is served by what it requires and nothing else."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

import registry
from evidence import GateResult, Verdict
from projects.validation.clean_environment import ImpossibleRequirementsError, clean_environment
from projects.validation.endpoint import EndpointError, as_json, serve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from projects.runs import Workplace
    from projects.validation.endpoint import Endpoint
    from registry import AnyScorer, ModelVersion

# How many real rows are asked for at once, and how often one alone, after some that warm up.
ROWS, _ONE_BY_ONE, _WARM_UP = 200, 50, 5
_MB = 1e6


@dataclass(frozen=True)
class Served:
    """What an endpoint of a version took, and how many rows it answered as the scorer does."""

    rows: int
    load_s: float
    memory_bytes: int
    p50_ms: float

    @property
    def metrics(self) -> dict[str, float]:
        """The figures, as the run of a validation names them."""
        return {
            "served_load_s": self.load_s,
            "served_memory_bytes": self.memory_bytes,
            "served_p50_ms": self.p50_ms,
        }

    def __str__(self) -> str:
        return (
            f"served in a clean environment, it answers {self.rows} rows as the batch scorer does, bit for"
            f" bit; up after {self.load_s:.1f} s, {self.memory_bytes / _MB:.0f} MB,"
            f" {self.p50_ms:.1f} ms for one row"
        )


def check_servability(
    version: ModelVersion, scorer: AnyScorer, rows: pa.Table, at: Workplace
) -> tuple[GateResult, dict[str, float]]:
    """Serve a version by `mlflow models serve`, ask for real rows and for its own example, and compare.

    `scorer` is what the batch jobs score with. Whatever goes wrong in there is a failed result, not an
    error of ours. Returns the figures, too.
    """
    folder = registry.fetch(at.registry, version)
    return try_serving(folder, scorer, rows, at.registry.cache, at.environment)


def try_serving(
    folder: Path, scorer: AnyScorer, rows: pa.Table, cache: Path, environment: Mapping[str, str]
) -> tuple[GateResult, dict[str, float]]:
    """Do as `check_servability` does, with an artifact in a folder and the scorer it must agree with."""
    try:
        programs = clean_environment(folder / "requirements.txt", cache, environment)
        with serve(folder, programs) as endpoint:
            served = _ask(endpoint, folder, scorer, rows)
    except (ImpossibleRequirementsError, EndpointError) as problem:
        return GateResult(Verdict.FAILED, f"it cannot be served: {problem}"), {}
    return GateResult(Verdict.PASSED, str(served)), served.metrics


def _ask(endpoint: Endpoint, folder: Path, scorer: AnyScorer, rows: pa.Table) -> Served:
    real = rows.select([column.name for column in scorer.columns]).to_pylist()
    _compare(endpoint.ask(as_json(real), len(real)), scorer, real, "row")
    example = json.loads((folder / "input_example.json").read_text())
    own = [dict(zip(example["columns"], values, strict=True)) for values in example["data"]]
    body = (folder / "serving_input_example.json").read_bytes()
    _compare(endpoint.ask(body, len(own)), scorer, own, "row of its input example")
    took_ms = []
    for row in real[: _WARM_UP + _ONE_BY_ONE]:
        began = time.perf_counter()
        endpoint.ask(as_json([row]), 1)
        took_ms.append(1000 * (time.perf_counter() - began))
    return Served(
        rows=len(real) + len(own),
        load_s=endpoint.load_s,
        memory_bytes=endpoint.memory_bytes,
        p50_ms=statistics.median(took_ms[_WARM_UP:] or took_ms),
    )


def _compare(answers: list[float], scorer: AnyScorer, rows: list[dict[str, Any]], what: str) -> None:
    columns = {
        c.name: pa.array([row[c.name] for row in rows], pa.string() if c.categories else pa.float64())
        for c in scorer.columns
    }
    expected = scorer.predict(pa.table(columns)).astype(np.float32)
    found = np.array(answers, np.float32)
    wrong = np.flatnonzero(found.view(np.uint32) != expected.view(np.uint32))
    if len(wrong):
        first = int(wrong[0])
        raise EndpointError(
            f"it answers {len(wrong)} of {len(rows)} rows otherwise than the batch scorer; {what} {first}:"
            f" found {found[first]!s}, expected {expected[first]!s}"
        )
