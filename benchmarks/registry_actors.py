"""Several processes that act at the same moment, as several people's clients do."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

    from benchmarks.registry_calls import Act, Answer, Flavour, Site

_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Actors:
    """Processes that wait for something to do."""

    _pipes: Sequence[Connection]

    def act(self, flavour: Flavour, site: Site, acts: Sequence[Act]) -> list[Answer]:
        """Do as many acts as there are actors, all at once; return what each was told.

        Raises TimeoutError where an actor does not come back, EOFError where it ended.
        """
        for pipe, act in zip(self._pipes, acts, strict=True):
            pipe.send((flavour, site, act))
        answers = []
        for pipe in self._pipes:
            if not pipe.poll(_TIMEOUT_S):
                raise TimeoutError(f"an actor did not come back within {_TIMEOUT_S:g} s")
            answers.append(pipe.recv())
        return answers


@contextmanager
def running_actors(count: int) -> Iterator[Actors]:
    """Keep `count` actors for the length of a block."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    pipes, processes = [], []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_play, args=(theirs, barrier), daemon=True)
            process.start()
            # Ours alone: where the actor ends, we hear of it.
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        yield Actors(pipes)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _play(pipe: Connection, barrier: Barrier) -> None:
    while True:
        flavour, site, act = pipe.recv()
        # A new connection each time: a server with two workers then gives it to either.
        with site.client(act.login) as client:
            barrier.wait(_TIMEOUT_S)
            pipe.send(flavour.act(client, act))
