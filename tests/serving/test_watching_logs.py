"""Log lines are JSON whatever is in them, and never hold up or break what they report on."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.watching import Tallies
from serving.watching.lines import LINE_BYTES, Lines
from serving.watching.logs import encode

LOG = """
from serving.watching.logs import log, stderr
for number in range(5000):
    log("answered", request_id=f"r{number}", status=200, rows=1, ms=0.34)
print(stderr().dropped)
"""


def run(code: str, stderr: int, **options: Any) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        check=True,
        stderr=stderr,
        text=True,
        cwd=REPOSITORY,
        timeout=60,
        **options,
    )
    return str(done.stdout).strip()


def entries(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


_values = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(), st.lists(st.text())),
    *(
        st.text(),
        st.text(st.characters(categories=["Cs", "Cc"])),
        st.just("\U0010ffff" * 2000),
        st.just("ä" * 2000),
    ),
)


@settings(max_examples=50)
@given(st.dictionaries(st.from_regex(r"[a-z_]{1,20}", fullmatch=True), _values, max_size=30))
def test_whatever_is_in_them_they_are_short_lines_of_json_that_can_be_shown(
    fields: dict[str, object],
) -> None:
    line = encode(fields)
    assert len(line) <= LINE_BYTES
    text = line.decode()
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    read = json.loads(text, parse_constant=pytest.fail)
    assert read.keys() <= fields.keys() | {"cut"}
    assert ("cut" in read) == (read.keys() != fields.keys()) or "cut" in fields


def test_a_line_has_its_time_level_event_and_fields() -> None:
    reader, writer = os.pipe()
    what = '"swapped", "warning", model="m", version=3, why="a\\nb\\x1b[2J"'
    run(f"from serving.watching.logs import log; log({what})", writer)
    os.close(writer)
    with os.fdopen(reader) as stream:
        (line,) = entries(stream.read())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert isinstance(line.pop("pid"), int)
    assert line == {
        "level": "warning",
        "event": "swapped",
        "model": "m",
        "version": 3,
        "why": "a\\nb\\x1b[2J",
    }


def _pipe() -> tuple[int, int]:
    return os.pipe()


def _socket() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


@pytest.mark.parametrize("channel", [_pipe, _socket])
def test_a_reader_that_is_stuck_holds_nothing_up(channel: Callable[[], tuple[int, int]]) -> None:
    reader, writer = channel()
    dropped = int(run(LOG, writer))
    assert os.get_blocking(writer), "the flag of what we share with others was changed"
    os.close(writer)
    with os.fdopen(reader) as stream:
        read = entries(stream.read())
    assert dropped > 0
    assert len(read) == 5000 - dropped
    assert [line["request_id"] for line in read] == [f"r{number}" for number in range(len(read))]


def test_another_users_pipe_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_ours(*_: object) -> int:
        raise PermissionError

    reader, writer = os.pipe()
    monkeypatch.setattr(os, "open", not_ours)
    lines = Lines.on(writer)
    monkeypatch.undo()
    written = [lines.write(b"x" * 99 + b"\n") for _ in range(2000)]
    assert lines.dropped == written.count(False) > 0
    os.close(reader)
    assert not lines.write(b"nobody reads this\n")
    os.close(writer)


def test_what_cannot_be_written_is_counted_with_the_worker() -> None:
    tallies = Tallies.create(1, ("m",))
    lines = Lines.on(os.open("/dev/full", os.O_WRONLY))
    lines.on_drop = tallies.worker(0).line_dropped
    assert not lines.write(b"a disk that is full\n")
    assert sum(tallies.rows()[0]) == 1 + lines.dropped == 2


def test_a_disk_that_fills_up_tears_one_line_and_no_other(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "log"
    with path.open("wb") as file:
        lines = Lines.on(file.fileno())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (25, limits[1]))
    try:
        written = [lines.write(b'{"number": %d}\n' % number) for number in range(4)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert written == [True, False, False, False]
    assert lines.write(b'{"number": 9}\n')
    assert path.read_text().splitlines() == ['{"number": 0}', '{"number": ', '{"number": 9}']


def test_a_closed_stderr_is_not_written_to_when_a_connection_gets_its_number() -> None:
    code = (
        "import os, socket\n"
        "os.close(2)\n"
        "from serving.watching.logs import log, stderr\n"
        "log('before')\n"
        "ours, theirs = socket.socketpair()\n"
        "assert ours.fileno() == 2, ours\n"
        "log('after')\n"
        "theirs.setblocking(False)\n"
        "try: print(theirs.recv(100))\n"
        "except BlockingIOError: print(stderr().dropped)\n"
    )
    assert run(code, subprocess.DEVNULL) == "2"


def test_gunicorn_and_uvicorn_write_the_same_lines(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("""
import logging, os, signal
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    logging.getLogger("elsewhere").warning("one\\ntwo")
    os.kill(os.getppid(), signal.SIGTERM)
    raise ValueError("a caller's data")
""")
    (tmp_path / "settings.py").write_text("""
import http.client, threading
from serving.watching.logs import configure_gunicorn_logging
logconfig_dict = configure_gunicorn_logging()
bind, worker_class, control_socket_disable = "127.0.0.1:0", "uvicorn_worker.UvicornWorker", True
def post_worker_init(worker):
    def ask():
        connection = http.client.HTTPConnection(*worker.sockets[0].getsockname(), timeout=30)
        connection.request("GET", "/?caller=data")
        connection.getresponse()
    threading.Thread(target=ask, daemon=True).start()
""")
    command = [sys.executable, "-m", "gunicorn", "-c", "settings.py", "app:app"]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{tmp_path}"}
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    read = entries(done.stderr)
    assert {line["event"] for line in read} == {"gunicorn", "uvicorn", "elsewhere"}
    assert any(line["message"].startswith("Listening at: http://127.0.0.1:") for line in read)
    (failure,) = (line for line in read if line["level"] == "error")
    assert failure["message"] == "Exception in ASGI application"
    assert failure["error"] == "ValueError"
    assert failure["at"][-1] == "app.py:8 app"
    assert [line["message"] for line in read if line["event"] == "elsewhere"] == ["one"]
    assert "caller" not in done.stderr
