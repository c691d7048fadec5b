"""HTTP as clients should not speak it, and some do: over raw sockets, against a server process."""

from __future__ import annotations

import json
import time

import pytest
import requests
from bad_bodies import ROW, records
from served_house import MARKER, House, Reply, drain, parse_reply, read_reply

pytest_plugins = ["served_fixtures"]

BODY = records(ROW)
CODES = {
    400: "BAD_REQUEST", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT", 413: "REQUEST_LIMIT_EXCEEDED", 421: "MISDIRECTED_REQUEST",
    431: "REQUEST_HEADER_FIELDS_TOO_LARGE",
}  # fmt: skip


def head(*lines: str, method: str = "POST", path: str = "/invocations", host: str = "localhost") -> bytes:
    first = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    return "\r\n".join([*first, *lines, "", ""]).encode("latin-1")


def whole(*lines: str, body: bytes = BODY) -> bytes:
    return head(f"Content-Length: {len(body)}", *lines) + body


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def one(asked: House, sent: bytes) -> Reply:
    """Send bytes, and take the one answer to them."""
    with asked.connect() as connection:
        connection.sendall(sent)
        return read_reply(connection, is_head=sent.startswith(b"HEAD"))


def is_refusal(reply: Reply, status: int, says: str) -> None:
    assert reply.status == status, reply
    said = reply.json()
    assert said.keys() == {"error_code", "message", "request_id", "details"}
    assert (said["error_code"], says in said["message"]) == (CODES[status], True), said
    assert MARKER.encode() not in reply.body


REFUSED = {
    "no Host": (b"POST /invocations HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 421, "is not a name of this"),
    "foreign Host": (head(host="evil.example"), 421, "an operator adds one with --allow-host"),
    "a Host that begins like ours": (head(host="localhost.evil.example"), 421, "The Host"),
    "Host and port of another": (head(host="127.0.0.1@evil:80"), 421, "The Host"),
    "two Hosts": (head("Host: localhost"), 400, "comes twice"),
    "foreign Origin": (head("Origin: http://evil.example"), 403, "a page of another origin"),
    "null Origin": (head("Origin: null"), 403, "a page of another origin"),
    "two Content-Types": (head("Content-Type: text/csv"), 400, "comes twice"),
    "GET": (head(method="GET"), 405, "takes POST only"),
    "DELETE": (head(method="DELETE"), 405, "takes POST only"),
    "OPTIONS": (head(method="OPTIONS"), 405, "takes POST only"),
    "POST to a page": (head(path="/ping"), 405, "takes GET, HEAD only"),
    "unknown path": (head(path=f"/{MARKER}"), 404, "There is nothing here"),
    "unknown model": (head(path=f"/models/{MARKER}/invocations"), 404, "There is nothing here"),
    "path that climbs": (head(path="/models/../invocations"), 404, "There is nothing here"),
    "path of bytes": (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "not HTTP as it has to be"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + MARKER.encode(), 400, "not HTTP"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "not HTTP"),
    "header without colon": (head(MARKER), 400, "not HTTP"),
    "control character in a header": (head("X-A: a\x00b"), 400, "not HTTP"),
    "two Content-Lengths": (head("Content-Length: 5", "Content-Length: 6"), 400, "not HTTP"),
    "negative Content-Length": (head("Content-Length: -5"), 400, "not HTTP"),
    "Content-Length of letters": (head("Content-Length: abc"), 400, "not HTTP"),
    "Content-Length of 60 digits": (head("Content-Length: " + "9" * 60), 400, "not HTTP"),
    "Content-Length and chunks": (
        head("Content-Length: 99", "Transfer-Encoding: chunked") + chunked(BODY), 400, "not HTTP",
    ),
    "unknown Transfer-Encoding": (head("Transfer-Encoding: rot13"), 400, "not HTTP"),
    "chunk of no size": (head("Transfer-Encoding: chunked") + b"zz\r\n", 400, "not HTTP"),
    "too large, by its length": (head("Content-Length: 2000001"), 413, "larger than 2,000,000 bytes"),
    "too large, by 18 digits": (head("Content-Length: " + "9" * 18), 413, "larger than 2,000,000 bytes"),
    "large head": (head(*[f"X-{n}: {'a' * 999}" for n in range(40)]), 431, "head of the request is too"),
    "endless header": (head("X-A: " + "a" * 100_000), 431, "head of the request is too large"),
    "endless path": (head(path="/" + "a" * 100_000), 431, "head of the request is too large"),
    "empty body": (head("Content-Length: 0"), 400, "The body is empty"),
    "no body": (head(), 400, "The body is empty"),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "status", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused(asked: House, sent: bytes, status: int, says: str) -> None:
    is_refusal(one(asked, sent), status, says)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"POST /invocations HTTP/1.1\r\nHost: loc", "not whole within 1.5 s"),
        (head("Content-Length: 100") + b"{", "not whole within 1.5 s"),
        (head("Transfer-Encoding: chunked") + b"5\r\n{", "not whole within 1.5 s"),
        (head(f"Content-Length: {len(BODY) + 1}") + BODY, "not whole within 1.5 s"),
    ],
    ids=["head", "body", "chunk", "longer Content-Length than body"],
)
def test_what_is_slow_is_answered_408_and_closed(asked: House, sent: bytes, says: str) -> None:
    reply = parse_reply(asked.raw(sent))
    is_refusal(reply, 408, says)
    assert (reply.headers["connection"], reply.rest) == ("close", b"")


def test_a_connection_that_says_nothing_is_closed(asked: House) -> None:
    assert asked.raw(b"") == b""


def test_drops_of_a_body_do_not_keep_a_request_alive(asked: House) -> None:
    with asked.connect() as connection:
        connection.sendall(head("Content-Length: 1000"))
        began = time.monotonic()
        try:
            while time.monotonic() - began < 30:
                connection.sendall(b" ")
                time.sleep(0.2)
        except (BrokenPipeError, ConnectionResetError):
            return
    raise AssertionError("a slow body was read for half a minute")


def test_less_length_than_body_makes_no_second_request(asked: House) -> None:
    found = asked.raw(head(f"Content-Length: {len(BODY)}") + BODY + b'}],"x":1}')
    first = parse_reply(found)
    assert first.status == 200
    assert first.rest == b""


def test_oversize_is_told_to_clients_that_send_all_of_it(asked: House) -> None:
    answer = asked.post(b" " * 6_000_000)
    assert (answer.status_code, answer.json()["error_code"]) == (413, "REQUEST_LIMIT_EXCEEDED")
    answer = requests.post(
        f"{asked.url}/invocations", data=iter([b" " * 50_000] * 100), headers=JSON, timeout=60
    )
    assert (answer.status_code, answer.json()["error_code"]) == (413, "REQUEST_LIMIT_EXCEEDED")


JSON = {"content-type": "application/json"}


def test_chunks_are_read(asked: House) -> None:
    reply = one(
        asked,
        head("Transfer-Encoding: chunked") + chunked(*(BODY[n : n + 7] for n in range(0, len(BODY), 7))),
    )
    assert (reply.status, len(reply.json()["predictions"])) == (200, 1)


def test_clients_of_http_1_0_are_answered_and_closed(asked: House) -> None:
    found = asked.raw(whole().replace(b"HTTP/1.1", b"HTTP/1.0"))
    reply = parse_reply(found)
    assert (reply.status, reply.headers["connection"], reply.rest) == (200, "close", b"")


def test_a_client_that_waits_to_be_told_to_go_on_is(asked: House) -> None:
    with asked.connect() as connection:
        connection.sendall(head(f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert parse_reply(drain(connection)).status == 200


def test_a_client_that_waits_is_refused_before_it_sends(asked: House) -> None:
    """And closed: what it sends next could be the body, or another request."""
    found = asked.raw(head("Content-Length: 3000000", "Expect: 100-continue"))
    is_refusal(parse_reply(found), 413, "larger than")


def test_head_has_no_body(asked: House) -> None:
    for path in ("/ping", "/ready", "/metrics", "/openapi.json"):
        with asked.connect() as connection:
            connection.sendall(head(method="HEAD", path=path) + head(method="GET", path="/ping"))
            first = read_reply(connection, is_head=True)
            assert (first.status, int(first.headers["content-length"]) > 0) == (200, True)
            found = first.body + first.rest
            assert (
                read_reply(connection, found).status == 200 if found else read_reply(connection).status == 200
            )


def test_an_answer_is_written_at_once(asked: House) -> None:
    (worker,) = asked.endpoint.workers()
    with asked.connect() as connection:
        before = worker.io_counters().write_count
        for _ in range(100):
            connection.sendall(whole())
            assert read_reply(connection).status == 200
        writes = worker.io_counters().write_count - before
    # Head and body each by itself would be twice as many; a line of its log is a write as well.
    assert 100 <= writes < 120


def test_pipelined_requests_are_answered_in_their_order(asked: House) -> None:
    with asked.connect() as connection:
        ids = [f"n-{number}" for number in range(20)]
        connection.sendall(b"".join(whole(f"X-Request-Id: {each}") for each in ids))
        found, rest = [], b""
        for _ in ids:
            reply = read_reply(connection, rest)
            found.append((reply.status, reply.headers["x-request-id"]))
            rest = reply.rest
    assert found == [(200, each) for each in ids]


@pytest.mark.parametrize(
    "last", [b"rubbish\r\n\r\n", head("X-A: " + "a" * 100_000)], ids=["rubbish", "large head"]
)
def test_a_bad_request_behind_others_is_not_their_answer(asked: House, last: bytes) -> None:
    """Whoever counts answers would take it for another's: the others are answered, then it is closed."""
    found = asked.raw(whole("X-Request-Id: first") + whole("X-Request-Id: second") + last)
    first = parse_reply(found)
    second = parse_reply(first.rest)
    assert [(r.status, r.headers["x-request-id"]) for r in (first, second)] == [
        (200, "first"),
        (200, "second"),
    ]
    assert second.rest == b""


def test_requests_behind_the_last_of_a_connection_take_no_place(asked: House) -> None:
    """64 requests may wait; here are more, which nobody answers, for the one before them is the last."""
    for _ in range(3):
        found = parse_reply(asked.raw(whole("Connection: close") + whole() * 40))
        assert (found.status, found.headers["connection"], found.rest) == (200, "close", b"")
    asked.settle()
    assert asked.post(BODY).status_code == 200


def test_clients_that_go_away_leave_nothing_behind(asked: House) -> None:
    for sent in (b"PO", head("Content-Length: 100")[:-2], head("Content-Length: 100") + b"{", whole()):
        for _ in range(3):
            connection = asked.connect()
            connection.sendall(sent)
            connection.close()
    asked.settle()
    assert asked.post(BODY).status_code == 200


@pytest.mark.parametrize("to", ["websocket", "h2c"])
def test_there_is_nothing_to_upgrade_to(asked: House, to: str) -> None:
    """What has no body is answered as if it had not asked; then the connection is of no more use."""
    upgrade = ("Connection: Upgrade", f"Upgrade: {to}", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    found = parse_reply(asked.raw(head(*upgrade, method="GET", path="/ping")))
    assert (found.status, found.headers["connection"], found.rest) == (200, "close", b"")
    is_refusal(parse_reply(asked.raw(whole(*upgrade))), 400, "ask it without Upgrade")


def test_a_connection_serves_many_requests_good_and_bad(asked: House) -> None:
    with requests.Session() as session:
        for number in range(30):
            bad = number % 3 == 0
            answer = session.post(
                f"{asked.url}/invocations", data=b"{" if bad else BODY, headers=JSON, timeout=60
            )
            assert answer.status_code == (400 if bad else 200)


def test_ids_of_callers_are_taken_where_they_are_fit(asked: House) -> None:
    def id_of(given: str) -> str:
        return asked.post(BODY, headers={"x-request-id": given}).headers["x-request-id"]

    assert id_of("abc-1.2_3") == "abc-1.2_3"
    for unfit in ("a b", "a" * 65, "é", "<script>", ""):
        assert id_of(unfit) not in {unfit, ""}


def test_probes_and_version_are_as_mlflows(asked: House) -> None:
    import mlflow

    assert (asked.get("/ping").status_code, asked.get("/ping").content) == (200, b"\n")
    assert asked.get("/health").status_code == 200
    assert asked.get("/version").text == mlflow.__version__


def test_explanations_add_up_to_the_margin(asked: House) -> None:
    rows = [ROW, {**ROW, "carrier": "B6", "distance": -7.5}, {**ROW, "origin": None}]
    said = asked.post(records(*rows, params={"explain": True})).json()
    plain = asked.post(records(*rows)).json()
    assert said["predictions"] == plain["predictions"]
    for prediction, told in zip(said["predictions"], said["explanations"], strict=True):
        assert told["contributions"].keys() == ROW.keys()
        margin = told["base"] + sum(told["contributions"].values())
        assert 1 / (1 + 2.718281828459045**-margin) == pytest.approx(prediction, abs=1e-5)


def test_classes_are_nested_lists_and_so_are_their_explanations(asked: House) -> None:
    answer = asked.post(records(ROW, ROW, params={"explain": True}), "/models/classes/invocations")
    assert (answer.headers["x-model-name"], answer.headers["x-model-version"]) == ("classes", "5")
    said = answer.json()
    assert [len(row) for row in said["predictions"]] == [3, 3]
    assert sum(said["predictions"][0]) == pytest.approx(1, abs=1e-5)
    assert [len(values) for values in said["explanations"][0]["contributions"].values()] == [3] * 4
    assert len(said["explanations"][1]["base"]) == 3


def test_all_of_it_left_no_trace(asked: House) -> None:
    asked.settle()
    assert MARKER not in asked.log
    for line in asked.log.splitlines():
        json.loads(line)
    assert "ASGI" not in asked.log
    assert asked.metric("rejections_total", reason="internal") == 0
