"""Many machines: splits on the processors of a Ray cluster. Ray begins again what is lost with a machine.

A part that a lost machine wrote is in no result, so that no commit names it; `vacuum` deletes it.
"""

from __future__ import annotations

import importlib
import signal
import socket
from typing import TYPE_CHECKING, Any, Self

from batch_jobs.engines.remote import installed, rooms, score_alike
from batch_jobs.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batch_jobs.results import SplitResult
    from batch_jobs.splits import Split

_TRIES = 4
_PATIENCE_S = 10


class Cluster:
    """The Ray cluster that this process has joined; it leaves when it ends."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    @classmethod
    def join(cls, address: str | None, workers: int) -> Self:
        """Join the cluster at an address; without one, start one with so many processors on this machine.

        Raises `JobError` where there is none, or no Ray on this machine.
        """
        try:
            ray = importlib.import_module("ray")
        except ModuleNotFoundError:
            raise JobError(
                "Ray is not installed here, and --engine ray needs it. Install Greenroom with its extra `ray`"
            ) from None
        asked_to_stop = signal.getsignal(signal.SIGTERM)
        try:
            _refuse_nobody(address)
            ray.init(
                address,
                num_cpus=None if address else workers,
                runtime_env={"py_modules": [str(room) for room in rooms()]},
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise JobError(
                f"Could not join the Ray cluster at {address or 'this machine'}: {error}. Check RAY_ADDRESS"
            ) from error
        if asked_to_stop is not signal.SIG_DFL:
            # Ray takes the signal for itself, and the scheduler has its own way to stop.
            signal.signal(signal.SIGTERM, asked_to_stop)
        return cls(ray)

    def map(
        self, score: Callable[[Split], SplitResult], splits: Sequence[Split]
    ) -> Iterator[tuple[Split, SplitResult]]:
        """Score each split on some processor of the cluster."""
        # The model goes to each machine once, not along with each split.
        scorer, expected = self._ray.put(score), installed()
        task = self._ray.remote(num_cpus=1, max_retries=_TRIES - 1)(score_alike)
        asked = {task.remote(scorer, split, expected): split for split in splits}
        waiting = list(asked)
        try:
            while waiting:
                [done], waiting = self._ray.wait(waiting)
                yield asked[done], self._result(done)
        finally:
            for each in waiting:
                self._ray.cancel(each)

    def _result(self, done: Any) -> SplitResult:
        try:
            result: SplitResult = self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            # What was raised there, as if it were raised here.
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            raise JobError(
                f"Some of the input could not be scored on the Ray cluster, {_TRIES} times: {error}. What is"
                " finished is kept; run it again"
            ) from error
        return result


def _refuse_nobody(address: str | None) -> None:
    """Raise `OSError` where nobody listens; Ray itself would wait for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), _PATIENCE_S).close()
