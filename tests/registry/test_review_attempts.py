"""An attempt is done once, however often and however brokenly it is sent."""

from __future__ import annotations

import base64
import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from review_house import DECISIONS, FRESH, WAITING, House, message_of, new_name

from registry import Act

pytest_plugins = ["review_fixtures"]

ELSE = "Its attempt id belongs to something else."


def test_sent_by_several_threads_at_once(house: House, model: str) -> None:
    house.live(model)
    house.staged(model)
    attempt = str(uuid.uuid4())
    with ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(house.ask, "rita", "approve", model, 2, attempt=attempt) for _ in range(6)]
        answers = [one.result() for one in sent]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.text for answer in answers} == {answers[0].text}
    assert [line["action"] for line in answers[0].json()["lines"]] == ["approved", "archived", "promoted"]
    assert [line.action for line in house.lines() if line.attempt == attempt] == [
        "approved",
        "archived",
        "promoted",
    ]
    assert house.stages(model) == {1: "Archived", 2: "Production"}


def send_and_go(house: House, login: str, body: dict[str, Any]) -> None:
    """Send a request, and close the connection before the answer."""
    address = urlsplit(house.server.url)
    text = json.dumps(body).encode()
    known = base64.b64encode(f"{login}:{house.server.passwords[login]}".encode())
    head = (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %s\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
        connection.sendall(head % (DECISIONS.encode(), known, len(text)) + text)


def test_an_answer_that_was_lost(house: House, model: str) -> None:
    house.staged(model)
    attempt = str(uuid.uuid4())
    body = {"action": "approve", "name": model, "version": 1, "reason": "so", "attempt": attempt}
    for _ in range(3):
        send_and_go(house, "rita", body)
    answer = house.call("rita", "POST", DECISIONS, json=body)
    assert [line["action"] for line in answer.json()["lines"]] == ["approved", "promoted"]
    assert house.said(model)[-2:] == [("rita", "approved", "Staging"), ("rita", "promoted", "Production")]
    assert len([line for line in house.lines() if line.attempt == attempt]) == 2


def test_an_attempt_sent_again_much_later(house: House, model: str) -> None:
    house.staged(model)
    first = house.ask("rita", "approve", model, 1, attempt=f"first {model}")
    house.decide("rita", Act.ARCHIVE, model, 1)
    again = house.ask("rita", "approve", model, 1, attempt=f"first {model}")
    assert again.json() == first.json()
    assert house.stages(model) == {1: "Archived"}


def test_a_rollback_sent_again(house: House, model: str) -> None:
    for _ in range(3):
        house.live(model)
    attempt = str(uuid.uuid4())
    first = house.ask("rita", "rollback", model, None, attempt=attempt)
    assert house.stages(model) == {1: "Archived", 2: "Production", 3: "Archived"}
    again = house.ask("rita", "rollback", model, None, attempt=attempt)
    assert again.json() == first.json()
    assert house.stages(model) == {1: "Archived", 2: "Production", 3: "Archived"}
    # A new attempt goes further back, and not forth.
    house.ask("rita", "rollback", model, None)
    assert house.stages(model) == {1: "Production", 2: "Archived", 3: "Archived"}
    said = message_of_missing(house.ask("rita", "rollback", model, None))
    assert said == (
        f"{model} has no earlier Production version to go back to. See: python -m registry history {model}"
    )


def message_of_missing(answer: Any) -> str:
    assert answer.status_code == 404, answer.text
    return str(answer.json()["message"])


def test_an_attempt_of_something_else(house: House, model: str) -> None:
    house.staged(model)
    house.staged(model)
    other = new_name("tiny")
    house.staged(other)
    attempt = f"mine {model}"
    assert house.ask("rita", "approve", model, 1, attempt=attempt).ok
    before = house.lines()
    for login, act, name, version in (
        ("rob", "approve", model, 1),
        ("rita", "approve", model, 2),
        ("rita", "approve", other, 1),
        ("rita", "reject", model, 1),
        ("rita", "archive", model, 1),
        ("rita", "rollback", model, 1),
    ):
        answer = house.ask(login, act, name, version, attempt=attempt)
        assert ELSE in message_of(answer), (login, act, name, version)
    verdict = {"passed": True, "digest": "0", "run_id": "", "metrics": {}, "reasons": []}
    said = {"name": model, "version": 2, "attempt": attempt, "validation": verdict}
    assert ELSE in message_of(house.call("rita", "POST", "/api/2.0/greenroom/validations", json=said))
    assert house.lines() == before


def test_a_verdict_is_handed_in_once(house: House, model: str) -> None:
    version = house.register(model)
    verdict: dict[str, Any] = {
        "passed": True,
        "digest": version.digest,
        "run_id": house.evidence(),
        "metrics": {},
        "reasons": [],
    }
    said = {"name": model, "version": 1, "attempt": str(uuid.uuid4()), "validation": verdict}

    def hand_in(_: int) -> str:
        return house.call("olaf", "POST", "/api/2.0/greenroom/validations", json=said).text

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(hand_in, range(4)))) == 1
    assert house.said(model) == [("ann", "registered", "None"), ("olaf", "validated", "None")]


@pytest.mark.parametrize("attempt", ["", "x" * 65, "a\0b", "\n", None, 7])
def test_an_attempt_without_an_id(house: House, shown: str, attempt: object) -> None:
    answer = house.ask("rita", "archive", shown, WAITING, attempt=attempt)
    assert "attempt is " in message_of(answer)
    assert house.ask("rita", "withdraw", shown, FRESH, attempt="x").status_code == 400
