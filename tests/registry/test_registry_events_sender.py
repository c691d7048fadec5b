"""One event to one receiver that may mean harm: where it may lie, and how long it may take."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hooked import Receiver

from registry.sender import Receiver as Hook
from registry.sender import UndeliveredError, send

pytest_plugins = ["events_fixtures"]


@pytest.fixture(autouse=True)
def _http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")


@pytest.fixture
def _only_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS")


def refusal(url: str, timeout_s: float = 5) -> str:
    with pytest.raises(UndeliveredError) as refused:
        send(Hook(url), "id", "{}", time.time(), timeout_s)
    return str(refused.value)


def test_only_allowed_schemes(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    monkeypatch.delenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES")
    assert "Invalid webhook URL scheme: 'http'. Allowed schemes are: https." in refusal(receiver.url())
    assert receiver.got == []


@pytest.mark.usefixtures("_only_public")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"])
def test_a_private_address_is_refused_by_number_and_by_name(receiver: Receiver, host: str) -> None:
    assert "must not resolve to a non-public IP address" in refusal(receiver.url(host=host))
    assert receiver.got == []


@pytest.mark.usefixtures("_only_public")
def test_a_name_that_changes_its_address_after_the_check_is_refused_when_connected_to(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    answers = ["93.184.216.34", "127.0.0.1"]

    def hostile_dns(host: str, port: int | None, *_: Any, **__: Any) -> list[Any]:
        assert host == "rebind.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port or 0))]

    monkeypatch.setattr(socket, "getaddrinfo", hostile_dns)
    said = refusal(receiver.url(host="rebind.example"))
    assert "Webhook connection blocked: 127.0.0.1 is not a public IP address" in said
    assert (answers, receiver.got) == ([], [])


def test_a_redirect_is_not_followed(new_receiver: Callable[..., Receiver]) -> None:
    target = new_receiver()
    receiver = new_receiver([302, 307], location=target.url())
    assert "answered 302, and redirects are not followed" in refusal(receiver.url())
    assert "answered 307, and redirects are not followed" in refusal(receiver.url())
    assert target.got == []


def test_a_proxy_of_the_environment_is_not_used(
    monkeypatch: pytest.MonkeyPatch, new_receiver: Callable[..., Receiver]
) -> None:
    receiver, proxy = new_receiver(), new_receiver()
    monkeypatch.setenv("http_proxy", proxy.url(""))
    send(Hook(receiver.url()), "id", "{}", time.time(), 5)
    assert (len(receiver.got), proxy.got) == (1, [])


def test_a_receiver_that_hangs_is_left_after_the_timeout(receiver: Receiver) -> None:
    receiver.open.clear()
    began = time.monotonic()
    assert refusal(receiver.url(), 0.5) == "The receiver did not answer within 0.5 s."
    assert time.monotonic() - began < 2
    receiver.open.set()


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes, bytes], int]]:
    """Starts a server that sends `start`, and then `drop` ten times a second for as long as it may."""
    ended = threading.Event()
    threads: list[threading.Thread] = []
    listeners: list[socket.socket] = []

    def serve(start: bytes, drop: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def drip() -> None:
            peer, _ = listener.accept()
            with peer, suppress(OSError):
                peer.sendall(start)
                while not ended.wait(0.1):
                    peer.sendall(drop)

        threads.append(threading.Thread(target=drip))
        threads[-1].start()
        port: int = listener.getsockname()[1]
        return port

    yield serve
    ended.set()
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("scheme", "start", "drop"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"."),
        ("http", b"", b"H"),
        # A TLS handshake record of 16 KB, a byte at a time.
        ("https", b"\x16\x03\x03\x3f\xff", b"\x02"),
    ],
)
def test_a_receiver_that_answers_byte_by_byte_is_cut_off(
    dripping: Callable[[bytes, bytes], int], scheme: str, start: bytes, drop: bytes
) -> None:
    began = time.monotonic()
    said = refusal(f"{scheme}://127.0.0.1:{dripping(start, drop)}/", 1)
    assert said == "The receiver did not answer within 1 s."
    assert time.monotonic() - began < 3


def test_a_body_without_end_is_not_read(dripping: Callable[[bytes, bytes], int]) -> None:
    port = dripping(b"HTTP/1.1 204 No Content\r\nContent-Length: 1000000000\r\n\r\n", b"x" * 10_000)
    began = time.monotonic()
    send(Hook(f"http://127.0.0.1:{port}/"), "id", "{}", time.time(), 5)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://" + "a" * 70 + ".example/", "could not be reached"),
        ("http://no-such-host.invalid/", "could not be reached"),
        ("http://127.0.0.1:99999/", "could not be reached"),
        ("http://[::1", "Invalid webhook URL"),
        ("file:///etc/passwd", "Invalid webhook URL scheme: 'file'"),
        ("http://", "must include a hostname"),
    ],
)
def test_an_address_that_is_none_is_said(url: str, said: str) -> None:
    assert said in refusal(url)


@pytest.mark.parametrize("said", [b"220 smtp \x00 ready\r\n", b"x" * 70_000, b"HTTP/1.1 nonsense\r\n\r\n"])
def test_what_is_not_http_is_said_and_not_repeated(
    dripping: Callable[[bytes, bytes], int], said: bytes
) -> None:
    port = dripping(said, b"\r\n")
    assert refusal(f"http://127.0.0.1:{port}/", 2) == "The receiver answered, but not as HTTP."


def test_a_receiver_that_hangs_up_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        said = refusal(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert "could not be reached: ('Connection aborted.'" in said


def test_a_secret_is_in_no_representation() -> None:
    assert "hush" not in repr(Hook("https://example.com", "hush"))
