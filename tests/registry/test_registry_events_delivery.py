"""Events reach real webhooks, signed, in order and at least once; on SQLite and on PostgreSQL."""

import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cryptography.fernet import Fernet
from hooked import (
    CREATED,
    DELETED,
    SECRET,
    START_S,
    Receiver,
    decide,
    line,
    requests_of,
    rows,
    undelivered,
    wait_until,
    webhook,
)
from mlflow.entities.webhook import WebhookStatus
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from deploy.ports import free_ports
from registry.ledger import Action
from registry.server.events import Courier, Schedule, enqueue
from registry.server.events.outbox import claim, record_delivered, record_failure
from registry.stages import Stage

pytest_plugins = ["events_fixtures"]

NewReceiver = Callable[..., Receiver]
DAY_S = 24 * 60 * 60
LEASE_S = 2 * 30 + 30
UP = (Stage.STAGING, Stage.PRODUCTION)
DOWN = (Stage.PRODUCTION, Stage.ARCHIVED)

# Another process of the server: it delivers what is due until it is ended.
COURIER = """
import sys, time
from sqlalchemy import create_engine
from registry.server.events import Courier
Courier(create_engine(sys.argv[1])).start()
time.sleep(60)
"""


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now_s: float = START_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def running(courier: Courier) -> Iterator[Courier]:
    courier.start()
    try:
        yield courier
    finally:
        courier.stop()


@contextmanager
def another_process(address: str) -> Iterator[None]:
    """A courier in a process of its own, killed at the end of the block."""
    with subprocess.Popen([sys.executable, "-c", COURIER, address], env=os.environ) as process:
        try:
            yield
        finally:
            process.kill()


def deliver(engine: Engine, later_s: float = 0, **settings: object) -> int:
    """One look of a courier that was just started, at a time after the lines were written."""
    courier = Courier(engine, clock=Clock(START_S + later_s), timeout_s=5, **settings)  # type: ignore[arg-type]
    return courier.deliver_due()


def test_a_decision_reaches_its_subscribers_signed(stock: SqlAlchemyStore, receiver: Receiver) -> None:
    webhook(stock, receiver.url("/both"), CREATED, DELETED)
    webhook(stock, receiver.url("/deleted"), DELETED)
    webhook(stock, receiver.url("/other"), "registered_model.created")
    stock.update_webhook(webhook(stock, receiver.url("/off")), status=WebhookStatus.DISABLED)
    stock.delete_webhook(webhook(stock, receiver.url("/gone")))

    decide(stock.engine, line(Action.APPROVED, 1), line(Action.PROMOTED, 2, moved=UP))
    decide(stock.engine, line(Action.ARCHIVED, 3, moved=DOWN))
    decide(stock.engine, line(Action.REGISTERED, 4))

    assert deliver(stock.engine, later_s=12) == 6
    told = [(got.path, got.said["entity"], got.said["action"]) for got in receiver.got]
    assert [got for got in told if got[0] == "/both"] == [
        ("/both", "model_version_stage", "approved"),
        ("/both", "model_version_stage", "promoted"),
        ("/both", "model_version_alias", "created"),
        ("/both", "model_version_stage", "archived"),
        ("/both", "model_version_alias", "deleted"),
    ]
    assert [got for got in told if got[0] != "/both"] == [("/deleted", "model_version_alias", "deleted")]
    assert all(got.is_signed_with(SECRET) for got in receiver.got)
    assert not receiver.got[0].is_signed_with("another secret")
    headers = receiver.got[0].headers
    assert (headers["Content-Type"], headers["X-MLflow-Timestamp"]) == (
        "application/json",
        str(int(START_S) + 12),
    )
    assert undelivered(stock.engine) == []
    assert deliver(stock.engine, later_s=DAY_S) == 0


def test_without_a_secret_nothing_is_signed(stock: SqlAlchemyStore, receiver: Receiver) -> None:
    webhook(stock, receiver.url(), secret=None)
    decide(stock.engine, *requests_of(1))
    assert deliver(stock.engine) == 1
    assert "X-MLflow-Signature" not in receiver.got[0].headers


def test_an_event_exists_if_and_only_if_its_decision_does(stock: SqlAlchemyStore, receiver: Receiver) -> None:
    webhook(stock, receiver.url())
    with Session(stock.engine) as session:
        enqueue(session, requests_of(2))
        session.rollback()
    assert rows(stock.engine) == 0
    decide(stock.engine, *requests_of(1))
    with pytest.raises(IntegrityError):
        decide(stock.engine, *requests_of(1))
    assert rows(stock.engine) == 1


@pytest.mark.parametrize("status", [500, 404, 429])
def test_an_error_is_tried_again_under_the_same_id(
    stock: SqlAlchemyStore, new_receiver: NewReceiver, status: int
) -> None:
    receiver = new_receiver([status])
    hook = webhook(stock, receiver.url())
    decide(stock.engine, *requests_of(2))

    assert deliver(stock.engine) == 1
    first, second = undelivered(stock.engine)
    assert (first.line_number, first.webhook_id, first.attempts, first.given_up) == (1, hook, 1, False)
    assert first.last_error == f"The receiver answered {status}; expected 2xx."
    # The second waits for the first, although it was never tried itself.
    assert (second.attempts, deliver(stock.engine, later_s=0.4)) == (0, 0)

    assert deliver(stock.engine, later_s=1) == 2
    assert [got.said["data"]["ledger_line"] for got in receiver.got] == [1, 1, 2]
    assert receiver.got[0].id == receiver.got[1].id != receiver.got[2].id
    assert receiver.got[0].body == receiver.got[1].body
    assert undelivered(stock.engine) == []


def test_a_receiver_that_is_down_holds_up_no_other(stock: SqlAlchemyStore, new_receiver: NewReceiver) -> None:
    up = new_receiver()
    [port] = free_ports(1)
    webhook(stock, f"http://127.0.0.1:{port}/token-in-the-path")
    webhook(stock, up.url())
    decide(stock.engine, *requests_of(3))
    assert deliver(stock.engine) == 4
    assert [got.said["data"]["ledger_line"] for got in up.got] == [1, 2, 3]
    waiting = undelivered(stock.engine)
    assert [event.attempts for event in waiting] == [1, 0, 0]
    assert waiting[0].last_error is not None
    assert waiting[0].last_error.startswith("The receiver could not be reached: ")
    assert "Connection refused" in waiting[0].last_error
    assert "token" not in waiting[0].last_error

    down = new_receiver(port=port)
    assert deliver(stock.engine, later_s=1) == 3
    assert [got.said["data"]["ledger_line"] for got in down.got] == [1, 2, 3]


def test_after_three_days_it_is_given_up_and_the_next_has_its_turn(
    stock: SqlAlchemyStore, new_receiver: NewReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = new_receiver([500, 500])
    hook = webhook(stock, receiver.url())
    decide(stock.engine, *requests_of(2))
    assert deliver(stock.engine) == 1
    assert deliver(stock.engine, later_s=3 * DAY_S) == 2
    assert [got.answered for got in receiver.got] == [500, 500, 200]
    (given_up,) = undelivered(stock.engine)
    assert (given_up.line_number, given_up.attempts, given_up.given_up) == (1, 2, True)
    assert f"to webhook {hook} after 2 attempts: The receiver answered 500; expected 2xx." in caplog.text
    assert deliver(stock.engine, later_s=40 * DAY_S) == 0


def test_a_new_secret_and_a_new_address_take_effect_on_what_waits(
    stock: SqlAlchemyStore, new_receiver: NewReceiver
) -> None:
    receiver = new_receiver([500])
    hook = webhook(stock, receiver.url())
    decide(stock.engine, *requests_of(1))
    deliver(stock.engine)
    stock.update_webhook(hook, secret="rotated", url=receiver.url("/moved"))
    deliver(stock.engine, later_s=1)
    before, after = receiver.got
    assert before.is_signed_with(SECRET)
    assert after.is_signed_with("rotated")
    assert (before.path, after.path) == ("/hook", "/moved")


def test_events_of_a_deleted_webhook_are_dropped_and_of_a_disabled_one_wait(
    stock: SqlAlchemyStore, receiver: Receiver
) -> None:
    deleted, disabled = webhook(stock, receiver.url("/deleted")), webhook(stock, receiver.url("/disabled"))
    decide(stock.engine, *requests_of(2))
    stock.delete_webhook(deleted)
    stock.update_webhook(disabled, status=WebhookStatus.DISABLED)
    assert deliver(stock.engine, later_s=10) == 0
    assert {event.webhook_id for event in undelivered(stock.engine)} == {disabled}
    stock.update_webhook(disabled, status=WebhookStatus.ACTIVE)
    # Late as it is, each is tried.
    assert deliver(stock.engine, later_s=5 * DAY_S) == 2
    assert [got.path for got in receiver.got] == ["/disabled", "/disabled"]


def test_delivered_events_are_removed_after_thirty_days(stock: SqlAlchemyStore, receiver: Receiver) -> None:
    webhook(stock, receiver.url())
    decide(stock.engine, *requests_of(1))
    clock = Clock()
    courier = Courier(stock.engine, clock=clock)
    assert courier.deliver_due() == 1
    clock.now_s += 30 * DAY_S - 1
    courier.deliver_due()
    assert rows(stock.engine) == 1
    clock.now_s += 3600
    courier.deliver_due()
    assert rows(stock.engine) == 0


def test_killed_in_the_middle_of_a_delivery_another_process_delivers_it(
    stock: SqlAlchemyStore, registry_database: tuple[str, SqlAlchemyStore], receiver: Receiver
) -> None:
    webhook(stock, receiver.url(), secret=None)
    late = time.time() - START_S
    decide(stock.engine, *requests_of(2))
    receiver.open.clear()
    with another_process(registry_database[0]):
        assert receiver.arrived.acquire(timeout=30)
    receiver.open.set()
    # It may still be on its way, so it is left alone until the lease has run out.
    assert deliver(stock.engine, later_s=late) == 0
    assert deliver(stock.engine, later_s=late + LEASE_S + 30) == 2
    assert [got.said["data"]["ledger_line"] for got in receiver.got] == [1, 1, 2]
    assert receiver.got[0].id == receiver.got[1].id
    assert undelivered(stock.engine) == []


def test_a_secret_that_another_key_encrypted_is_said_and_nothing_goes_out_unsigned(
    stock: SqlAlchemyStore,
    registry_database: tuple[str, SqlAlchemyStore],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webhook(stock, receiver.url())
    decide(stock.engine, *requests_of(1))
    monkeypatch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", Fernet.generate_key().decode())
    with another_process(registry_database[0]):
        wait_until(lambda: undelivered(stock.engine)[0].last_error is not None, "an attempt", 30)
    error = undelivered(stock.engine)[0].last_error
    assert error is not None
    assert "secret cannot be decrypted; expected MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY to be set" in error
    assert receiver.got == []


def test_a_courier_slower_than_its_lease_does_not_undo_what_another_did(
    stock: SqlAlchemyStore, receiver: Receiver
) -> None:
    webhook(stock, receiver.url())
    decide(stock.engine, *requests_of(1))
    slow = claim(stock.engine, now_ms=1000, lease_ms=500)
    assert slow is not None
    assert claim(stock.engine, now_ms=1499, lease_ms=500) is None
    second = claim(stock.engine, now_ms=1500, lease_ms=500)
    assert second is not None
    assert (slow.attempt, second.attempt, slow.delivery_id) == (1, 2, second.delivery_id)
    record_failure(stock.engine, slow, "late", next_attempt_ms=None)
    assert undelivered(stock.engine)[0].last_error is None
    record_delivered(stock.engine, slow, now_ms=1600)
    record_failure(stock.engine, second, "later still", next_attempt_ms=9999)
    assert claim(stock.engine, now_ms=99_999, lease_ms=500) is None


def test_two_couriers_at_once_deliver_each_event_once_and_in_order(
    stock: SqlAlchemyStore, registry_database: tuple[str, SqlAlchemyStore], receiver: Receiver
) -> None:
    paths = [f"/hook-{number}" for number in range(4)]
    for path in paths:
        webhook(stock, receiver.url(path))
    engines = [create_engine(registry_database[0]) for _ in range(2)]
    couriers = [Courier(engine, threads=4, poll_s=0.05) for engine in engines]
    with running(couriers[0]), running(couriers[1]):
        for number in range(1, 13):
            decide(stock.engine, line(Action.REQUESTED, number))
            couriers[number % 2].wake()
        wait_until(lambda: not undelivered(stock.engine), "everything delivered")
    for engine in engines:
        engine.dispose()
    assert set(Counter(got.id for got in receiver.got).values()) == {1}
    for path in paths:
        of_one = [got.said["data"]["ledger_line"] for got in receiver.got if got.path == path]
        assert of_one == list(range(1, 13))


def test_a_courier_that_is_woken_delivers_at_once(stock: SqlAlchemyStore, receiver: Receiver) -> None:
    webhook(stock, receiver.url())
    with running(Courier(stock.engine, poll_s=60)) as courier:
        # By now it has looked, and found nothing.
        time.sleep(0.5)
        decide(stock.engine, *requests_of(1))
        courier.wake()
        wait_until(lambda: not undelivered(stock.engine), "the event", 5)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    decide(stock.engine, line(Action.REQUESTED, 2))
    courier.wake()
    assert [event.line_number for event in undelivered(stock.engine)] == [2]


def test_a_courier_outlives_a_failing_database(
    stock: SqlAlchemyStore, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    webhook(stock, receiver.url())
    decide(stock.engine, *requests_of(1))
    with stock.engine.begin() as connection:
        connection.execute(text("ALTER TABLE greenroom_events RENAME TO away"))
    with caplog.at_level(logging.WARNING), running(Courier(stock.engine, poll_s=0.1, threads=1)):
        wait_until(lambda: "Events wait, because the database did not answer" in caplog.text, "a warning")
        time.sleep(0.3)
        with stock.engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO greenroom_events"))
        wait_until(lambda: not undelivered(stock.engine), "the event")
    # Three looks or more, and one warning.
    assert (len(receiver.got), len(caplog.records)) == (1, 1)


def test_a_schedule_is_a_setting(stock: SqlAlchemyStore, new_receiver: NewReceiver) -> None:
    receiver = new_receiver([500])
    webhook(stock, receiver.url())
    decide(stock.engine, *requests_of(1))
    deliver(stock.engine, schedule=Schedule(give_up_after_s=0))
    assert undelivered(stock.engine)[0].given_up
