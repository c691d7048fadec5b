"""`python -m serving.shadowing`: runs one shadow of an endpoint, which starts it."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.5
_LEAST_NICE = 19


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _step_back()
    from serving.lean import leave_out_what_boosters_do_not_need

    leave_out_what_boosters_do_not_need(os.environ, lenient=options.lenient)
    import numpy as np

    from serving.contract.limits import Limits
    from serving.http.shadow_queues import take
    from serving.routing.published import Places
    from serving.shadowing.shadow import Shadow
    from serving.watching.arms import ArmTallies

    np.seterr(over="ignore", invalid="ignore")
    tallies = ArmTallies.open(options.tally, options.workers, options.models)
    shadow = Shadow(
        options.model,
        options.slot,
        Places(options.routes),
        tallies.cells(options.workers, options.model_number, options.slot),
        Limits(options.max_rows, options.max_body_bytes),
        lenient=options.lenient,
    )
    with socket.socket(fileno=options.queue) as queue:
        queue.settimeout(_LOOK_S)
        is_idle = False
        while True:
            shadow.look()
            if shadow.is_loaded and not is_idle:
                _step_back_further()
                is_idle = True
            with suppress(TimeoutError):
                copy = take(queue)
                if copy is None:
                    return 0  # the endpoint is gone
                shadow.see(copy)


def _step_back() -> None:
    """Let others have the processor first, but get some on a busy machine, too: what is imported is much."""
    os.nice(_LEAST_NICE)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _step_back_further() -> None:
    """Run only where nobody else wants to, and be gone at once where somebody does; there is no way back."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.shadowing",
        allow_abbrev=False,
        description="Answer copies of requests by a version that is tried, and record what it would say.",
    )
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument("--routes", type=Path, required=True, help="the folder of what is published")
    parser.add_argument("--lenient", action="store_true", help="as --compat mlflow")
    for name, said in (
        ("slot", "which arm of the model"),
        ("queue", "the open socket that copies come from"),
        ("tally", "the open memory to count in"),
        ("model-number", "which model of the endpoint"),
        ("models", "how many it has"),
        ("workers", "how many rows of counts are those of workers"),
        ("max-rows", "of one request"),
        ("max-body-bytes", "of one request"),
    ):
        parser.add_argument(f"--{name}", type=int, required=True, metavar="N", help=said)
    return parser


if __name__ == "__main__":
    sys.exit(main())
