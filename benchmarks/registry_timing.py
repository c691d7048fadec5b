"""What one transition costs: on stock MLflow and on Greenroom, in turns, on two servers that both run."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.registry_calls import AUTHOR, REVIEWERS, Act, Deed, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.registry_rounds import Side

_MODEL = "timing"
_WARM_UP = 3


@dataclass(frozen=True)
class Timing:
    """Medians of single calls, in milliseconds."""

    calls: int
    stock_ms: float
    promote_ms: float
    rollback_ms: float

    @property
    def overhead_ms(self) -> float:
        """What the dearer of Greenroom's two transitions costs more than MLflow's one."""
        return max(self.promote_ms, self.rollback_ms) - self.stock_ms


def measure(stock: Side, greenroom: Side, calls: int, notify: Callable[[], None] = lambda: None) -> Timing:
    """Time `calls` transitions of each kind, one at a time, each into Production and each taking one off.

    Stock MLflow's is `transition_model_version_stage` with `archive_existing_versions`; Greenroom's are
    the approval that opens Production, and the rollback.
    """
    for side in (stock, greenroom):
        with side.site.client(AUTHOR) as author:
            author.expect("POST", "mlflow/registered-models/create", name=_MODEL)
    plain = [stock.flavour.candidate(stock.site, _MODEL, stock.artifact) for _ in range(2)]
    times: dict[str, list[float]] = {"stock": [], "promote": [], "rollback": []}
    before = None
    for turn in range(calls + _WARM_UP):
        candidate = greenroom.flavour.candidate(greenroom.site, _MODEL, greenroom.artifact)
        took = {
            "stock": _time_ms(stock, Deed.PROMOTE, plain[turn % 2]),
            "promote": _time_ms(greenroom, Deed.PROMOTE, candidate),
        }
        if before is not None:
            took["rollback"] = _time_ms(greenroom, Deed.ROLL_BACK, before)
        before = candidate
        if turn >= _WARM_UP:
            for name, milliseconds in took.items():
                times[name].append(milliseconds)
            notify()
    medians = {name: statistics.median(found) for name, found in times.items()}
    return Timing(calls, medians["stock"], medians["promote"], medians["rollback"])


def _time_ms(side: Side, deed: Deed, version: int) -> float:
    act = Act.of(deed, _MODEL, version, REVIEWERS[0])
    # A connection of its own, as a command has. On one that was used before, `mlflow server` with two
    # workers answers everything 40 ms later, stock or not: its sockets wait for delayed acknowledgements.
    with side.site.client(act.login) as client:
        started = time.perf_counter()
        answer = side.flavour.act(client, act)
        took = time.perf_counter() - started
    if not answer.is_done:
        raise UnexpectedAnswerError(f"{side.flavour.name} did not {deed} version {version}: {answer.body}")
    return took * 1000
