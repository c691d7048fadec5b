"""The benchmark of the endpoint: what it takes for broken, how it asks, and that it measures."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from commands import REPOSITORY

from benchmarks.serving_figures import CLIENTS, ROWS, Cell, Figures, Seen
from benchmarks.serving_json import as_json
from benchmarks.serving_promises import broken
from benchmarks.serving_tables import print_tables

MIB = 2**20


def seen(p50_us: int = 200, rate: float = 5000.0, **more: Any) -> Seen:
    """What a server did: the same latency in every cell, and so many answers a second."""
    closed = {
        (rows, clients): Cell(
            (more.pop("p50_100_us", 2 * p50_us) if rows > 1 else p50_us,) * 200, rate, 0.2, p50_us
        )
        for rows in ROWS
        for clients in CLIENTS
    }
    half = Cell((more.pop("half_us", p50_us),) * 200, rate / 2, 0.1, p50_us)
    private = more.pop("private_mib", 50) * MIB
    return Seen(more.pop("ready_s", 1.0), 90 * MIB, private, 120 * MIB, closed, rate / 2, half)


def figures(**servers: Seen) -> Figures:
    once = {
        "greenroom": seen(),
        "greenroom_2": seen(private_mib=70),
        "mlflow": seen(6000, 150),
        "mlflow_2": seen(9000, 200),
        "floor": seen(180, 5500),
        "hello": seen(50, 30_000),
        **servers,
    }
    return Figures(1, (once,), {})


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (figures(), []),
        (
            figures(greenroom=seen(320)),
            ["18.8 times faster than MLflow on one row", "0.56 of the floor's speed"],
        ),
        (
            figures(greenroom=seen(rate=3700)),
            ["24.7 times MLflow's requests a second", "0.67 of the floor's"],
        ),
        # Two workers that answer 500 a second are 250 for each, and so the better MLflow.
        (
            figures(mlflow_2=seen(9000, 500)),
            ["20.0 times MLflow's requests a second per worker; expected at least 25"],
        ),
        (figures(greenroom=seen(p50_100_us=1300)), ["9.2 times faster than MLflow on 100 rows; expected at"]),
        (
            figures(mlflow=seen(3500, 300), greenroom=seen(150, 8000), floor=seen(180, 5500)),
            [
                "the floor itself is 19.4 times the speed of MLflow, so the measurement is wrong",
                "the floor itself is 18.3 times the requests a second of MLflow",
            ],
        ),
        (
            figures(hello=seen(50, 15_000)),
            ["hello world has only 2.7 times the requests of the floor, so the"],
        ),
        (figures(greenroom=seen(half_us=2100)), ["2.10 ms p99 of one row at half of saturation; expected 2"]),
        (figures(greenroom=seen(ready_s=3.4)), ["3.4 s from start to ready; expected 3 at most"]),
        (
            figures(greenroom_2=seen(private_mib=95)),
            ["45.0 MiB private to an idle extra worker; expected 40"],
        ),
    ],
)
def test_what_was_promised_and_is_not_held_is_said(
    found: Figures, says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sentences = broken(found)
    assert len(sentences) == len(says), sentences
    assert all(sentence.startswith(start) for sentence, start in zip(sentences, says, strict=True))
    assert json.loads(as_json(found))["broken"] == sentences
    print_tables(found)
    shown = " ".join(capsys.readouterr().out.split())
    assert all(f"Not held: {sentence}" in shown for sentence in sentences)


def test_a_server_that_was_not_measured_is_no_figure() -> None:
    found = Figures(1, ({"greenroom": seen()},), {"mlflow": "it ended with code 1 before it answered"})
    plain = json.loads(as_json(found))
    assert (plain["p50_ratio_to_mlflow"], plain["share_of_floor"]) == (None, None)
    assert plain["p99_ms_half_load"] == 0.2
    assert plain["unable"] == {"mlflow": "it ended with code 1 before it answered"}
    # Of 200 latencies none can be said to be one in a thousand.
    assert plain["servers"]["greenroom"]["half_load"]["p99.9_ms"] is None


class Stalling(socketserver.StreamRequestHandler):
    """Answers at once, but for one request, over which the whole server stands still for half a second."""

    turn = threading.Lock()
    answered = 0

    def handle(self) -> None:
        while self.rfile.readline():
            length = 0
            while (line := self.rfile.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            self.rfile.read(length)
            with self.turn:
                type(self).answered += 1
                if self.answered == 100:
                    time.sleep(0.5)
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"predictions":[0.5]}')


@pytest.fixture
def stalling() -> Any:
    Stalling.answered = 0
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stalling) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def ask(port: int, folder: Path, answer: float, *more: object) -> subprocess.CompletedProcess[str]:
    file = folder / "requests.json"
    file.write_text(json.dumps({"bodies": ["{}"], "answers": [[answer]]}))
    command = [sys.executable, "-m", "benchmarks.serving_load", file, port, "/invocations", *more]
    return subprocess.run(
        list(map(str, command)), cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )


def test_requests_that_were_due_while_a_server_stood_still_are_counted(stalling: int, tmp_path: Path) -> None:
    # Two clients can have two requests out; some hundred were due in that half second.
    done = ask(stalling, tmp_path, 0.5, 2, 2, 200)
    assert done.returncode == 0, done.stderr
    latencies = json.loads(done.stdout)["latencies_us"]
    assert 200 < len(latencies) < 450
    assert max(latencies) >= 450_000
    assert sum(latency > 100_000 for latency in latencies) > 40


def test_an_answer_that_is_not_that_of_xgboost_is_no_measurement(stalling: int, tmp_path: Path) -> None:
    done = ask(stalling, tmp_path, 0.50000006, 1, 0.05)
    assert done.returncode == 1
    assert "an answer that is not XGBoost's, bit for bit" in done.stderr


def test_a_short_round_ends_with_one_json_object() -> None:
    names = ("greenroom_2", "mlflow_2", "floor_threads", "floor_2", "hello")
    without = [word for name in names for word in ("--without", name)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "serving", "--seconds", "0.1", "--rounds", "1", *without],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    *tables, last = done.stdout.splitlines()
    found = json.loads(last)
    assert found["unable"] == {}, done.stderr
    assert done.returncode == bool(found["broken"])
    assert sum("mlflow models serve" in line for line in tables) == len(CLIENTS) + 1
    assert set(found["servers"]) == {"greenroom", "mlflow", "floor"}
    for server in found["servers"].values():
        assert 10 < server["private_mib"] <= server["idle_mib"] < 2000
        assert server["rows_100_clients_8"]["rps"] > 0
        assert server["rows_1_clients_8"]["request_us"] > 0
    ratios = ("p50_ratio_to_mlflow", "rps_ratio_to_mlflow", "share_of_floor", "p50_ratio_100_rows")
    assert all(found[ratio] > 0 for ratio in ratios)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seconds", "0"], "'0' is not a number of seconds, above 0 and up to 60"),
        (["--without", "nginx"], "invalid choice: 'nginx'"),
        (["--peers", "/nowhere/python"], "there is no Python at /nowhere/python; `make bench-serving`"),
    ],
)
def test_what_cannot_be_measured_is_a_usage_error(arguments: list[str], says: str) -> None:
    command = [sys.executable, "-m", "benchmarks", "serving", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert says in done.stderr
