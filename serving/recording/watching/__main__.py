"""`python -m serving.recording.watching`: says each second how the arms of a model do.

A process of its own: the one that writes tables stands still while S3 does not answer, and an arm that fails
has to be off within seconds all the same.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from serving.errors import ServingError
from serving.following.view import cache_of, view_path
from serving.recording.watching.watcher import Watcher
from serving.routing.published import Places
from serving.watching.logs import log

_ENDS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: list[str] | None = None) -> int:
    parent = os.getppid()
    options = _parser().parse_args(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        cache, uri = cache_of(os.environ), os.environ.get("MLFLOW_TRACKING_URI", "")
        views = {model: view_path(cache, uri, model) for model in options.models}
    except ServingError as error:
        print(f"serving.recording.watching: {error}", file=sys.stderr)
        return 2
    watchers = {model: Watcher(Places.of(view, options.routes)) for model, view in views.items()}
    log("watching", models=options.models)
    told: dict[str, str] = {}
    while os.getppid() == parent:
        for model, watcher in watchers.items():
            _look(model, watcher, told)
        if signal.sigtimedwait(_ENDS, 1.0):
            break
    return 0


def _look(model: str, watcher: Watcher, told: dict[str, str]) -> None:
    try:
        watch = watcher.look()
    except OSError as error:
        if told.get(model) != str(error):
            log("not_watched", "error", model=model, why=str(error))
        told[model] = str(error)
        return
    told.pop(model, None)
    for arm, found in watch.arms.items() if watch is not None else ():
        about = f"{model} {arm}"
        breach = found.breach or ""
        if breach and told.get(about) != breach:
            log("guard_breached", "warning", model=model, arm=arm, digest=found.digest, why=breach)
        told[about] = breach


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.recording.watching",
        allow_abbrev=False,
        description="Say each second how the arms of models do, and which one is to be stopped.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a registered model")
    parser.add_argument("--routes", type=Path, default=Path("serving"), help="the folder of routes files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
