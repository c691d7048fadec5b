"""The courier: threads in each process of the server that bring waiting events to their webhooks."""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import TYPE_CHECKING

from mlflow.environment_variables import MLFLOW_WEBHOOK_REQUEST_TIMEOUT
from sqlalchemy.exc import SQLAlchemyError

from registry.sender import UndeliveredError, send
from registry.server.events.outbox import claim, clean, record_delivered, record_failure
from registry.server.events.receivers import find_receiver
from registry.server.events.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from registry.server.events.outbox import Claim

_logger = logging.getLogger(__name__)

_CLEAN_EVERY_S = 3600.0


class Courier:
    """Delivers events at least once, each webhook's in order; any number of couriers share a database.

    A receiver that hangs holds one thread for `timeout_s`; the others go on. `clock` is Unix seconds;
    the clocks of several machines may differ by less than a lease, which is twice the timeout and 30 s.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        schedule: Schedule | None = None,
        timeout_s: float | None = None,
        poll_s: float = 2.0,
        threads: int = 2,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what is needed and start nothing.

        `timeout_s` is by default what MLflow's webhooks have: `MLFLOW_WEBHOOK_REQUEST_TIMEOUT`.
        """
        self._engine = engine
        self._schedule = schedule or Schedule()
        self._timeout_s = float(MLFLOW_WEBHOOK_REQUEST_TIMEOUT.get()) if timeout_s is None else timeout_s
        self._poll_s = poll_s
        self._clock = clock
        self._chance = random.SystemRandom().random
        self._bell = threading.Condition()
        self._rings = 0
        self._stopping = False
        self._cleaned_s: float | None = None
        self._threads = [
            threading.Thread(target=self._run, name=f"greenroom-courier-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Start the threads; once."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Say that there is something new: it goes out at once, and not at the next look."""
        with self._bell:
            self._rings += 1
            self._bell.notify_all()

    def stop(self, wait_s: float = 5.0) -> None:
        """Begin nothing new, and wait for what is on its way; what is left is delivered after a restart."""
        self._stopping = True
        self.wake()
        until = time.monotonic() + wait_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

    def deliver_due(self) -> int:
        """Deliver until nothing is due; return how many attempts that took.

        Once an hour, remove events delivered long ago, and those of deleted webhooks.

        Raises `sqlalchemy.exc.SQLAlchemyError` where the database did not answer; nothing is lost.
        """
        self._clean()
        attempts = 0
        lease_ms = int((2 * self._timeout_s + 30) * 1000)
        while not self._stopping and (claimed := claim(self._engine, self._now_ms(), lease_ms)):
            self._deliver(claimed)
            attempts += 1
        return attempts

    def _clean(self) -> None:
        now_s = self._clock()
        if self._cleaned_s is None or now_s - self._cleaned_s >= _CLEAN_EVERY_S:
            self._cleaned_s = now_s
            clean(self._engine, int((now_s - self._schedule.keep_s) * 1000))

    def _deliver(self, claimed: Claim) -> None:
        try:
            receiver = find_receiver(self._engine, claimed.webhook_id)
            send(receiver, claimed.delivery_id, claimed.payload, self._clock(), self._timeout_s)
        except UndeliveredError as error:
            self._fail(claimed, str(error))
        else:
            record_delivered(self._engine, claimed, self._now_ms())

    def _fail(self, claimed: Claim, error: str) -> None:
        again_ms = self._schedule.next_attempt_ms(
            claimed.attempt, claimed.created_ms, self._now_ms(), self._chance()
        )
        record_failure(self._engine, claimed, error, again_ms)
        if again_ms is None:
            _logger.error(
                "Gave up event %d to webhook %s after %d attempts: %s",
                claimed.id,
                claimed.webhook_id,
                claimed.attempt,
                error,
            )

    def _run(self) -> None:
        was_down = False
        while not self._stopping:
            rings = self._rings
            try:
                self.deliver_due()
                was_down = False
            except SQLAlchemyError as error:
                if not was_down:
                    said = getattr(error, "orig", None) or error
                    _logger.warning("Events wait, because the database did not answer: %s", said)
                was_down = True
            except Exception:
                # Whatever it was, the next look must happen: a dead thread would keep every event.
                _logger.exception("Delivering events failed")
            self._wait(rings)

    def _wait(self, rings: int) -> None:
        with self._bell:
            self._bell.wait_for(lambda: self._rings != rings, timeout=self._poll_s)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
