"""`python -m serving.recording`: puts what workers have spooled into tables on S3."""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from serving.errors import ServingError
from serving.following.view import cache_of, view_path
from serving.priority import yield_to_workers
from serving.routing.published import Places, read_published
from serving.watching.logs import log

if TYPE_CHECKING:
    from serving.recording.recorder import Recorder
    from serving.routing.declaration import Recording

_EXAMPLES = """examples:
  python -m serving.recording flight-delay --routes serving

Kept alive by `python -m serving start`, where a routes file says `record:`. It can be killed at any time, and
S3 may be away for any time: what is spooled waits. It ends with SIGTERM, and when the process that started it
is gone. settings are environment variables: docs/settings.md"""

_ENDS = (signal.SIGTERM, signal.SIGINT)
_LOOK_S = 1.0
_AGAIN_S, _AGAIN_AT_MOST_S = 1.0, 60.0


def main(arguments: list[str] | None = None) -> int:
    parent = os.getppid()
    options = _parser().parse_args(arguments)
    yield_to_workers()
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        cache, uri = cache_of(os.environ), os.environ.get("MLFLOW_TRACKING_URI", "")
        desks = [_Desk(model, view_path(cache, uri, model), options) for model in options.models]
    except ServingError as error:
        print(f"serving.recording: {error}", file=sys.stderr)
        return 2
    log("recording", models=options.models)
    while os.getppid() == parent:
        for desk in desks:
            desk.work(time.monotonic())
        if signal.sigtimedwait(_ENDS, min(_LOOK_S, options.flush_s)):
            # What still can be told will be; the arbiter does not wait for long, and need not.
            for desk in desks:
                desk.work(float("inf"))
            break
    return 0


@dataclass
class _Desk:
    """One model, as it is recorded: when to write next, and what went wrong last."""

    model: str
    view: Path
    options: argparse.Namespace
    recorder: Recorder | None = None
    lock: int | None = None
    written_at: float = 0.0
    failures: int = 0
    not_before: float = 0.0

    @property
    def places(self) -> Places:
        return Places.of(self.view, self.options.routes)

    def work(self, now: float) -> None:
        published = read_published(self.places.published)
        if published is None or published.record is None or now < self.not_before or not self._has_lock():
            return
        from storage import StorageError

        try:
            self._record(published.record, now)
        except (StorageError, ServingError, OSError) as error:
            self.failures += 1
            pause = min(_AGAIN_S * 2 ** (self.failures - 1), _AGAIN_AT_MOST_S)
            self.not_before = now + pause * random.uniform(0.5, 1.0)  # noqa: S311  # no secret
            log("not_recorded", "error", model=self.model, why=str(error), failures=self.failures)
        else:
            if self.failures:
                log("recorded_again", model=self.model, failures=self.failures)
            self.failures, self.not_before = 0, 0.0

    def _record(self, record: Recording, now: float) -> None:
        from serving.recording.artifacts import Artifacts
        from serving.recording.recorder import COMMIT_BYTES, Destination, Recorder
        from storage import S3Settings, data_uri

        if self.recorder is None:
            self.recorder = Recorder(self.places.spool)
        waiting = self.recorder.waiting_bytes()
        if waiting < COMMIT_BYTES and now - self.written_at < self.options.flush_s:
            return
        destination = Destination(
            data_uri(record.exposures, os.environ),
            data_uri(record.feedback, os.environ),
            # It is asked again from here, more and more seldom, for as long as it takes.
            replace(S3Settings.from_environment(os.environ), delta_retries=2),
            Artifacts(self.view, self.places.published).kinds_of,
        )
        while True:
            recorded = self.recorder.step(destination)
            if recorded.broken_bytes:
                log("spool_broken", "error", model=self.model, bytes=recorded.broken_bytes)
            # More than a commit's worth goes at once; the last frames wait for others to come.
            if not recorded.rows or self.recorder.waiting_bytes() < COMMIT_BYTES:
                break
        self.written_at = now

    def _has_lock(self) -> bool:
        """Whether this process is the one that records the spool: two endpoints may share it."""
        if self.lock is not None:
            return True
        spool = self.places.spool
        spool.mkdir(parents=True, exist_ok=True)
        file = os.open(spool / "recorder.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self.lock = file
        return True


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _AGAIN_AT_MOST_S:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is not how long records may wait; expected seconds above 0, up to"
            f" {_AGAIN_AT_MOST_S:g}"
        )
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.recording",
        allow_abbrev=False,
        description="Put what was answered, and what came of it, into tables on S3, exactly once.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a registered model")
    parser.add_argument("--routes", type=Path, default=Path("serving"), help="the folder of routes files")
    parser.add_argument(
        "--flush-s", type=_seconds, default=10.0, metavar="S", help="records wait no longer for others; 10"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
