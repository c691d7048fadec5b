"""An answer and what may go wrong around it, over a real connection to the protocol of a worker."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from serving.http.exchange import Exchange
from serving.http.gate import Gate
from serving.http.protocol import guarded
from serving.settings import Settings
from serving.watching.tally import Tallies

REQUEST = b"GET /%d HTTP/1.1\r\nhost: localhost\r\n\r\n"

Answer = Callable[[Exchange], Awaitable[None]]


def converse(answer: Answer, sent: bytes, *, gate: Gate | None = None, leaves: bool = False) -> bytes:
    """Send bytes to a worker's protocol with `answer` behind it; return what comes within a moment.

    With `leaves` the client goes away at once, as if its machine was switched off.
    """
    gate = gate or Gate(64, 2**20)

    async def application(scope: Any, receive: Any, _: object) -> None:
        await answer(Exchange(scope, receive, gate))

    async def hold_it() -> bytes:
        settings = Settings(models=("m",))
        tally = Tallies.create(1, ("m",)).worker(0)
        config = Config(application, http=guarded(gate, settings, tally), lifespan="off", log_config=None)
        config.load()
        loop, state = asyncio.get_running_loop(), ServerState()
        server = await loop.create_server(
            lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),  # type: ignore[call-arg]
            "127.0.0.1",
            0,
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent)
        await writer.drain()
        if leaves:
            await asyncio.sleep(0.05)
            writer.transport.abort()
        heard = b""
        try:
            async with asyncio.timeout(0.5):
                while more := await reader.read(65536):
                    heard += more
        except (TimeoutError, ConnectionError):
            pass
        writer.close()
        server.close()
        await asyncio.sleep(0.05)
        return heard

    return asyncio.run(hold_it())


async def say_path(exchange: Exchange) -> None:
    await exchange.answer(200, [], exchange.scope["path"].encode())


def test_requests_in_a_row_are_answered_in_their_order() -> None:
    heard = converse(say_path, b"".join(REQUEST % n for n in range(3)))
    assert heard.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert re.findall(rb"\r\n\r\n/([0-9])", heard) == [b"0", b"1", b"2"]


def test_a_second_answer_is_an_error_and_not_the_answer_to_the_next_request() -> None:
    raised: list[str] = []

    async def twice(exchange: Exchange) -> None:
        await say_path(exchange)
        assert exchange.is_answered
        try:
            await exchange.answer(500, [], b"second")
        except RuntimeError as error:
            raised.append(str(error))

    heard = converse(twice, REQUEST % 0 + REQUEST % 1)
    assert raised == ["a request is answered a second time"] * 2
    assert heard.count(b"HTTP/1.1 200 OK\r\n") == heard.count(b"HTTP/1.1") == 2


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
def test_a_header_of_two_lines_is_an_error_and_nothing_was_sent(value: bytes) -> None:
    async def split(exchange: Exchange) -> None:
        with pytest.raises(ValueError, match="b'x-a' of an answer would be more than one line"):
            await exchange.answer(200, [(b"x-a", value)], b"")
        assert not exchange.is_answered
        await say_path(exchange)

    heard = converse(split, REQUEST % 0)
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-a" not in heard


def test_while_the_worker_drains_every_answer_is_the_last_of_its_connection() -> None:
    gate = Gate(64, 2**20, is_draining=True)
    heard = converse(say_path, REQUEST % 0, gate=gate)
    assert b"connection: close\r\n" in heard
    assert b"connection" not in converse(say_path, REQUEST % 0)


def test_requests_that_are_never_begun_with_leave_nothing_for_the_collector() -> None:
    async def slowly(_: Exchange) -> None:
        await asyncio.sleep(0.3)

    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(each, RequestResponseCycle) for each in gc.get_objects())
        converse(slowly, b"".join(REQUEST % n for n in range(50)), leaves=True)
        after = sum(isinstance(each, RequestResponseCycle) for each in gc.get_objects())
    finally:
        gc.enable()
    # The first was begun with, and uvicorn's protocol holds on to the last.
    assert after - before <= 2
