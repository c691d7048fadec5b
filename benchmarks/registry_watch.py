"""An outside poller: looks at one model again and again, in the database and as a client does."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from benchmarks.registry_calls import OBSERVER
from benchmarks.registry_facts import Fault, find_faults, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from benchmarks.registry_calls import Site

_TIMEOUT_S = 120.0
# A look over REST takes as long as many looks into the database.
_LOOKS_PER_CALL = 5
_PAUSE_S = 0.002


@dataclass(frozen=True)
class Seen:
    """What a poller saw of one model: how often it looked, and the faults of any moment."""

    looks: int
    calls: int
    faults: frozenset[Fault]


@dataclass(frozen=True)
class Watcher:
    """A poller in a process of its own."""

    _pipe: Connection

    def begin(self, model: str) -> None:
        """Look at this model from now on; returns once it was looked at."""
        self._pipe.send(model)
        self._receive()

    def end(self) -> Seen:
        """Stop looking, and say what was seen."""
        self._pipe.send(None)
        seen = self._receive()
        if not isinstance(seen, Seen):
            raise TypeError(f"the poller said {seen!r}, expected what it saw")
        return seen

    def _receive(self) -> object:
        if not self._pipe.poll(_TIMEOUT_S):
            raise TimeoutError(f"the poller did not answer within {_TIMEOUT_S:g} s")
        return self._pipe.recv()


@contextmanager
def running_watcher(site: Site, database_uri: str, *, has_ledger: bool) -> Iterator[Watcher]:
    """Keep a poller of one server for the length of a block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, site, database_uri, has_ledger)
    process = context.Process(target=_watch, args=arguments, daemon=True)
    process.start()
    # Ours alone: where the poller ends, we hear of it.
    theirs.close()
    try:
        yield Watcher(ours)
    finally:
        process.terminate()
        process.join()


def _watch(pipe: Connection, site: Site, database_uri: str, has_ledger: bool) -> None:  # noqa: FBT001
    # Outside a transaction each statement sees what is committed at its own moment.
    engine = sa.create_engine(database_uri, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        while True:
            model = pipe.recv()
            seen = Seen(0, 0, frozenset())
            while True:
                for _ in range(_LOOKS_PER_CALL):
                    found = find_faults(read_snapshot(connection, model, has_ledger=has_ledger))
                    seen = Seen(seen.looks + 1, seen.calls, seen.faults | found)
                    if seen.looks == 1:
                        pipe.send("looking")
                    if pipe.poll(_PAUSE_S):
                        break
                if pipe.poll():
                    break
                seen = Seen(seen.looks, seen.calls + 1, seen.faults | _ask(site, model))
            pipe.recv()
            pipe.send(seen)


def _ask(site: Site, model: str) -> frozenset[Fault]:
    # MLflow reads the versions of this answer in one statement; those of `registered-models/get`, and
    # the aliases beside them, it reads in several.
    query = {"filter": f"name = '{model}'"}
    with site.client(OBSERVER) as client:
        found = client.expect("GET", "mlflow/model-versions/search", **query).get("model_versions", ())
    live = [version for version in found if version["current_stage"] == "Production"]
    return frozenset({Fault.TWO_IN_PRODUCTION} if len(live) > 1 else ())
