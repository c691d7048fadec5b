"""`python -m serving.following`: keeps what an endpoint serves equal to what is in Production."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from serving.following.events import Event
from serving.following.news import News
from serving.priority import yield_to_workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from registry import Changes
    from serving.following.follower import Follower, Surroundings
    from serving.following.preparing import Prepared
    from serving.following.router import Router

_EXAMPLES = """examples:
  python -m serving.following flight-delay
  python -m serving.following flight-delay diamond-price --once

What is to be served is written to GREENROOM_CACHE_DIR, for the workers of an endpoint; what happens is told
on stderr, one JSON object a line. It ends with SIGTERM, and when the process that started it is gone.

exit codes with --once: 0 every model has a version to serve, 1 refused and other, 2 usage or unknown model,
4 nothing in Production, 75 the registry does not answer and nothing is cached: try again
settings are environment variables: docs/settings.md"""

_LOOK_S = 0.5
_OFTEN_S, _SELDOM_S = 0.1, 5.0
_ROUTE_S = 2.0
_ENDS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: list[str] | None = None) -> int:
    parent = os.getppid()
    options = _parser().parse_args(arguments)
    if not options.once:
        yield_to_workers()
        # Before there is any other thread, so that none hears them but the one that waits for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        threading.Thread(target=_end, args=(parent,), daemon=True).start()
    # A server that hangs is told within a minute; to begin a large artifact may take it half of one. A
    # connection that had gone stale is no news.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    from registry import prepare_client

    prepare_client(os.environ)
    from registry import Changes, RegistryError
    from serving.errors import ServingError
    from serving.following.follower import Follower

    wake = threading.Event()
    with ThreadPoolExecutor(2 * len(options.models) + 2) as pool:
        try:
            at = _surroundings(pool, wake)
            followers = [Follower(model, at) for model in dict.fromkeys(options.models)]
            routers = [] if options.once else _routers(options, at)
        except ServingError as error:
            return _fail(error, 2)
        except RegistryError as error:
            return _fail(error, 1)
        if options.once:
            return _once(followers)
        _tell(Event("info", "following", None, {"models": [f.model for f in followers]}))
        for router in routers:
            # Beside the asking: what S3 takes for an answer is not to keep a rollback from being seen.
            threading.Thread(target=_keep_routing, args=(router,), daemon=True).start()
        try:
            _keep_asking(followers, Changes(at.registry), options.poll_s, wake)
        except Exception:  # noqa: BLE001  # a fault of ours: who started this starts it again
            traceback.print_exc()
            # Not by way of the pool, where a download may hang.
            os._exit(1)


def _keep_asking(
    followers: list[Follower], changes: Changes, poll_s: float, wake: threading.Event
) -> NoReturn:
    news = News()
    while True:
        is_due = news.is_due(changes.number(), time.monotonic())
        for follower in followers:
            if is_due or not follower.is_settled:
                follower.step()
            else:
                follower.rest()
        wake.wait(poll_s)
        wake.clear()


def _keep_routing(router: Router) -> NoReturn:
    try:
        while True:
            router.step()
            time.sleep(_ROUTE_S)
    except Exception:  # noqa: BLE001  # as above
        traceback.print_exc()
        os._exit(1)


def _routers(options: argparse.Namespace, at: Surroundings) -> list[Router]:
    from serving.following.router import Router, RoutesPlace
    from serving.following.view import view_path
    from serving.routing.published import Places
    from storage import S3Settings, SharedObject, Store, data_uri

    @cache
    def store() -> Store:
        return Store.connect(S3Settings.from_environment(os.environ))

    def open_shared(location: str) -> SharedObject:
        return SharedObject(store(), data_uri(location, os.environ))

    found = []
    for model in dict.fromkeys(options.models):
        places = Places.of(view_path(at.registry.cache, at.registry.uri, model), options.routes)
        found.append(Router(model, at, RoutesPlace(options.routes, places, open_shared)))
    return found


def _surroundings(pool: ThreadPoolExecutor, wake: threading.Event) -> Surroundings:
    import registry
    from serving.following.follower import Surroundings
    from serving.following.trial import try_artifact

    def try_it(folder: Path, what: str, kind: str) -> str | None:
        return try_artifact(folder, what, kind, os.environ)

    def submit(work: Callable[[], Prepared]) -> Future[Prepared]:
        future = pool.submit(work)
        future.add_done_callback(lambda _: wake.set())
        return future

    return Surroundings(registry.connect(os.environ), try_it, submit, _tell)


def _once(followers: list[Follower]) -> int:
    failures = []
    for follower in followers:
        follower.step()
        while follower.pending is not None and follower.trouble is None:
            wait([follower.pending])
            follower.step()
        if failure := _failure(follower):
            failures.append(failure)
    if not failures:
        return 0
    # Trying again helps only where nothing else is wrong.
    order = (2, 1, 4, 75)
    code, said = min(failures, key=lambda failure: order.index(failure[0]))
    return _fail(said, code)


def _failure(follower: Follower) -> tuple[int, str] | None:
    from registry import NothingOnStageError, RegistryUnavailableError, UnknownVersionError

    codes = {NothingOnStageError: 4, UnknownVersionError: 2, RegistryUnavailableError: 75}
    if follower.unwritten:
        return 1, follower.unwritten
    if follower.sound:
        return None
    if follower.trouble:
        return codes.get(type(follower.trouble), 1), str(follower.trouble)
    refused = follower.view.refused
    return 1, refused.why if refused else f"{follower.model} has no version to serve"


def _end(parent: int) -> None:
    # In a thread, and without a goodbye to the others: a request or a download may hang for minutes.
    why = "the process that started this one is gone"
    try:
        while os.getppid() == parent:
            if got := signal.sigtimedwait(_ENDS, _LOOK_S):
                why = f"got {signal.Signals(got.si_signo).name}"
                break
        _tell(Event("info", "stopped", None, {"why": why}))
    finally:
        os._exit(0)


def _tell(event: Event) -> None:
    print(event.line(time.time()), file=sys.stderr, flush=True)


def _fail(error: object, code: int) -> int:
    print(f"serving.following: {error}", file=sys.stderr)
    return code


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _OFTEN_S <= seconds <= _SELDOM_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not how often to ask; expected {_OFTEN_S:g} to {_SELDOM_S:g} seconds: a change has"
            f" to be seen within {_SELDOM_S:g}"
        )
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.following",
        allow_abbrev=False,
        description="Keep what an endpoint serves equal to what is in Production.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a registered model")
    parser.add_argument("--once", action="store_true", help="ask once, and end when all is prepared")
    parser.add_argument(
        "--routes", type=Path, default=Path("serving"), metavar="DIR", help="the folder of routes files"
    )
    parser.add_argument("--poll-s", type=_seconds, default=1.0, metavar="S", help="ask this often; 1")
    return parser


if __name__ == "__main__":
    sys.exit(main())
