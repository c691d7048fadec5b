"""Database sessions in which MLflow's own code and ours share one transaction."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from registry.server import identity
from registry.server.tables import take_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy.orm import Session


class Sessions:
    """Stands in for MLflow's session maker.

    A session that MLflow opens inside a decision is the decision's own, so that whatever MLflow writes
    there is committed, or not, together with the ledger. Every writing session needs a login.
    """

    def __init__(self, make: Callable[..., AbstractContextManager[Session]]) -> None:
        self._make = make
        self._inside = threading.local()
        # Called whenever the ledger may have a new line, once it is written.
        self.listeners: list[Callable[[], None]] = []

    @contextmanager
    def __call__(self, read_only: bool = True) -> Iterator[Session]:  # noqa: FBT001, FBT002  # as MLflow calls it
        """Open a session, or join the decision that this thread is in."""
        outer = getattr(self._inside, "session", None)
        if outer is not None:
            yield outer
            return
        if not read_only:
            identity.login()
        with self._make(read_only=read_only) as session:
            yield session

    @contextmanager
    def deciding(self) -> Iterator[Session]:
        """Open a transaction that no other decision runs beside; commit it at the end."""
        identity.login()
        with self._make(read_only=False) as session:
            take_lock(session)
            self._inside.session = session
            try:
                yield session
                session.flush()
            finally:
                self._inside.session = None
        for listen in self.listeners:
            listen()
