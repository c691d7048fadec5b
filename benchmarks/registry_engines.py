"""Starts stock MLflow and Greenroom side by side on one database engine, and measures both."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.registry_artifact import log_as
from benchmarks.registry_calls import AUTHOR, LOGINS, Flavour, Greenroom, Site, Stock
from benchmarks.registry_figures import EngineFigures
from benchmarks.registry_rounds import Side, add_up, play, read_ledger
from benchmarks.registry_timing import measure
from deploy.postgresql import create_database, running_postgresql
from deploy.scratch_server import running_server
from registry.ledger import Line, find_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.registry_actors import Actors

_WORKERS = 2
# MLflow's own transition compares a number with a text. Under psycopg 3 PostgreSQL refuses that each time
# (`integer <> character varying`); the older driver lets it through.
_DRIVERS = {"stock": "psycopg2", "greenroom": "psycopg"}


class Engine(StrEnum):
    """The databases that Greenroom supports."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def run(
    engine: Engine, actors: Actors, rounds: int, calls: int, notify: Callable[[str], None] = lambda _: None
) -> EngineFigures:
    """Play the rounds on both servers, then time single calls; `notify` hears of each step.

    Raises DeployError where a server does not start, UnexpectedAnswerError where it refuses what the
    benchmark needs.
    """
    with _running(engine) as (stock, greenroom):
        tallies = []
        for side in (stock, greenroom):
            say = partial(notify, f"{engine}, rounds, {side.flavour.name}")
            tallies.append(add_up(play(side, actors, rounds, seed=0), say))
        timing = measure(stock, greenroom, calls, partial(notify, f"{engine}, single calls"))
        chain = find_faults(Line.from_plain(line) for line in read_ledger(greenroom))
    return EngineFigures(engine, tallies[0], tallies[1], chain, timing)


@contextmanager
def _running(engine: Engine) -> Iterator[tuple[Side, Side]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="greenroom-bench-")))
        # As durable as SQLite is: what a commit costs is part of what is measured.
        postgres = (
            stack.enter_context(running_postgresql(durable=True)) if engine is Engine.POSTGRESQL else None
        )
        sides = []
        flavours: tuple[Flavour, Flavour] = Stock(), Greenroom()
        for flavour in flavours:
            name = flavour.name
            uri = f"sqlite:///{folder}/{name}/mlflow.db"
            if postgres is not None:
                create_database(postgres, name)
                uri = postgres.uri(name, _DRIVERS[name])
            server = stack.enter_context(
                running_server(
                    folder / name, uri, logins=LOGINS, stock=not flavour.has_ledger, workers=_WORKERS
                )
            )
            artifact = log_as(server.environment(AUTHOR))
            sides.append(Side(flavour, Site(server.url, dict(server.passwords)), uri, artifact))
        yield sides[0], sides[1]
