"""What the endpoint says of itself: alive, ready, its version, its metrics, and how to ask it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

import orjson

from serving.watching.arm_metrics import ArmMetrics, Routes
from serving.watching.exposition import render
from serving.watching.spool_metrics import SpoolMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serving.http.describe import Describer
    from serving.http.gate import Gate
    from serving.http.stage import Stage, Standing
    from serving.routing.published import Published
    from serving.watching.arms import ArmTallies
    from serving.watching.tally import Tallies

    # Status, media type, body.
    Page = tuple[int, str, bytes]

_JSON = "application/json"
_OK, _UNAVAILABLE = 200, 503


@dataclass(frozen=True)
class Route:
    """A page, written anew for each request. Probes may ask for some without the token."""

    write: Callable[[str], Page]
    is_for_probes: bool = False


class Pages:
    """The pages of one worker, by their paths."""

    def __init__(
        self,
        stage: Stage,
        tallies: Tallies,
        arm_tallies: ArmTallies,
        describer: Describer,
        gate: Gate,
    ) -> None:
        self._stage, self._tallies, self._gate = stage, tallies, gate
        self._arm_tallies = arm_tallies
        mlflow = version_of("mlflow").encode()
        alive = Route(lambda _: (_OK, _JSON, b"\n"), is_for_probes=True)
        self._routes = {
            "/ping": alive,
            "/health": alive,
            "/version": Route(lambda _: (_OK, _JSON, mlflow), is_for_probes=True),
            "/ready": Route(self._ready, is_for_probes=True),
            "/metrics": Route(self._metrics),
            "/openapi.json": Route(lambda _: (_OK, _JSON, describer.openapi(stage.standings))),
            "/docs": Route(lambda _: (_OK, "text/html; charset=utf-8", describer.page(stage.standings))),
        }

    def find(self, path: str) -> Route | None:
        """Return the page of a path, None where there is none."""
        return self._routes.get(path)

    def _ready(self, _: str) -> Page:
        ready = self._stage.is_ready and not self._gate.is_draining
        said = {
            "ready": ready,
            "draining": self._gate.is_draining,
            "models": [_standing(standing) for standing in self._stage.standings],
        }
        return (_OK if ready else _UNAVAILABLE), _JSON, orjson.dumps(said)

    def _metrics(self, accept: str) -> Page:
        views = {standing.name: standing.view for standing in self._stage.standings}
        spools = {s.name: s.arms.spool for s in self._stage.standings if s.arms is not None and s.arms.spool}
        others = [ArmMetrics(self._arm_tallies, self._routed()), SpoolMetrics(spools)]
        body, kind = render(self._tallies, views, time.time(), accept, others)
        return _OK, kind, body

    def _routed(self) -> list[Routes]:
        found = []
        for standing in self._stage.standings:
            arms = standing.arms
            if arms is not None and arms.published is not None:
                found.append(Routes(standing.name, arms.published, arms.off))
            else:
                found.append(Routes(standing.name, None, {}))
        return found


def _standing(standing: Standing) -> dict[str, Any]:
    view, serves = standing.view, standing.serves
    said: dict[str, Any] = {
        "model": standing.name,
        "version": serves.version.number if serves else None,
        "digest": serves.version.digest if serves else None,
    }
    if serves is None:
        said["why_not"] = standing.why_not
    if view is not None:
        said["registry"] = {
            "reachable": view.reachable,
            "age_s": round(max(time.time() - view.seen_at, 0.0), 1),
            "version": view.version,
            "problem": view.problem,
        }
        if view.refused is not None:
            said["refused"] = {"version": view.refused.version, "why": view.refused.why}
        elif serves is None or view.digest != serves.version.digest:
            here = standing.refused.get(view.digest or "")
            if here is not None:
                said["refused"] = {"version": view.version, "why": here[0]}
    if standing.arms is not None and standing.arms.published is not None:
        said["routes"] = _routes(standing.arms.published, standing.arms.off)
    return said


def _routes(published: Published, off: Mapping[str, str]) -> dict[str, Any]:
    return {
        "problem": published.problem,
        "arms": [
            {
                "arm": view.arm,
                "mode": view.mode,
                "version": view.version,
                "percent": view.percent,
                "idle": view.idle or off.get(view.arm),
            }
            for view in published.arms
        ],
    }
