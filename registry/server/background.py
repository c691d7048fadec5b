"""What a worker does beside answering: brings events to webhooks, and the head to its bucket."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from registry.heads import HEADS_VARIABLE, Heads
from registry.ledger import Head
from registry.server import tables
from registry.server.events import Courier
from storage import S3Settings, StorageError, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Engine

_logger = logging.getLogger(__name__)
# A head that could not be kept is tried again after this; the next decision wakes the keeper too.
_AGAIN_S = 5.0


class HeadKeeper:
    """A thread that keeps the newest head; what it missed is covered by the next one."""

    def __init__(self, engine: Engine, heads: Heads) -> None:
        self._engine, self._heads = engine, heads
        self._due = threading.Event()
        self._kept = 0

    def start(self) -> None:
        """Start; the head at the start is kept too, in case a process was killed before it could."""
        self._due.set()
        threading.Thread(target=self._run, name="greenroom-head", daemon=True).start()

    def wake(self) -> None:
        """Say that there is a new line."""
        self._due.set()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            try:
                self._keep()
            except (StorageError, SQLAlchemyError) as error:
                _logger.warning("The ledger's head could not be kept, and is tried again: %s", error)
                threading.Timer(_AGAIN_S, self.wake).start()

    def _keep(self) -> None:
        with Session(self._engine) as session:
            line = tables.newest(session)
        if line is not None and line.number > self._kept:
            self._heads.keep(Head(line.number, line.hash))
            self._kept = line.number


class Background:
    """The threads of one worker."""

    def __init__(self, engine: Engine, environment: Mapping[str, str]) -> None:
        self._courier = Courier(engine)
        uri = environment.get(HEADS_VARIABLE)
        store = Store.connect(S3Settings.from_environment(environment)) if uri else None
        self._keeper = HeadKeeper(engine, Heads(store, uri)) if store and uri else None
        if self._keeper is None:
            _logger.warning(
                "%s is not set: nobody could tell if the ledger's tail were cut. Name a bucket that keeps"
                " versions, s3://bucket/folder",
                HEADS_VARIABLE,
            )

    def start(self) -> None:
        """Start them all."""
        self._courier.start()
        if self._keeper:
            self._keeper.start()

    def wake(self) -> None:
        """Say that a decision was made."""
        self._courier.wake()
        if self._keeper:
            self._keeper.wake()
