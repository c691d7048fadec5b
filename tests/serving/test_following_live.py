"""An endpoint while reviewers promote and roll back, workers die, and the registry is away."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import requests
import yaml
from commands import REPOSITORY
from endpoints import Endpoint, asking, serving
from review_house import EXHAUSTIVE, House, logging_to, new_name
from tiny_versions import register_tiny, validate_tiny

import registry
from registry import Act
from serving.errors import DifferentAnswerError
from serving.smoke import smoke
from serving.written import Expected

pytest_plugins = ["review_fixtures"]

ROW = {"dataframe_records": [{"carrier": "UA", "distance": 2000.0}]}
BODY = json.dumps(ROW).encode()
# Of a test that swaps: how often, and how long each version serves.
SWAPS, REIGN_S = (12, 10.0) if EXHAUSTIVE else (4, 1.0)


@dataclass(frozen=True)
class Show:
    """A model with versions that answer differently, the first in Production, and who may see it."""

    house: House
    model: str
    expected: dict[int, float]
    environment: dict[str, str]

    def promote(self, version: int) -> None:
        self.house.decide("ann", Act.REQUEST, self.model, version)
        self.house.decide("rita", Act.APPROVE, self.model, version)

    def roll_back(self, version: int) -> None:
        self.house.decide("rita", Act.ROLLBACK, self.model, version)


def add_version(house: House, model: str, seed: int) -> tuple[int, float]:
    """Register and validate a version; return it with what it answers to `ROW`."""
    with logging_to(house.at("ann")) as at:
        version = register_tiny(at, model, seed)
        validate_tiny(house.at("olaf"), version)
        scorer = registry.load(at, version)
    [found] = scorer.predict(pa.Table.from_pylist(ROW["dataframe_records"]))
    return version.version, float(np.float64(found))


@pytest.fixture(scope="module")
def show(sqlite_house: House, tmp_path_factory: pytest.TempPathFactory) -> Show:
    model = new_name("show")
    expected = dict(add_version(sqlite_house, model, seed) for seed in (1, 2))
    assert len(set(expected.values())) == len(expected)
    environment = {
        **sqlite_house.server.environment("olaf"),
        "GREENROOM_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
    }
    found = Show(sqlite_house, model, expected, environment)
    found.promote(1)
    return found


@pytest.fixture(scope="module")
def endpoint(show: Show, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with serving(
        tmp_path_factory.mktemp("endpoint"), show.environment, show.model, "--workers", "2"
    ) as found:
        yield found


def back_to_first(show: Show, endpoint: Endpoint) -> None:
    if show.house.stages(show.model)[1] != "Production":
        show.roll_back(1)
    endpoint.wait_until("a rollback", version=1)


def test_another_worker_costs_little_memory_while_it_is_idle(endpoint: Endpoint) -> None:
    requests.post(f"{endpoint.url}/invocations", json=ROW, timeout=10)
    _wait_for(endpoint, lambda _: len(endpoint.workers()) == 2)
    private = [worker.memory_full_info().uss / 2**20 for worker in endpoint.workers()]
    assert len(private) == 2
    assert max(private) < 40, f"{private} MiB that no other process shares"


def test_promotions_and_rollbacks_reach_clients_and_fail_no_request(show: Show, endpoint: Endpoint) -> None:
    with asking(endpoint, BODY) as heard:
        for swap in range(SWAPS):
            version = 2 if swap % 2 == 0 else 1
            show.promote(version) if swap == 0 else show.roll_back(version)
            endpoint.wait_until(f"swap {swap}", version=version)
            time.sleep(REIGN_S)
    assert heard.failures == []
    wrong = [a for a in heard.answers if a[3] != show.expected[a[2]]]
    assert wrong == [], "an answer that is not its version's"
    # Two workers swap a moment apart, so both versions answer for that moment, and then one.
    assert {version for _, _, version, _, _ in heard.answers} == {1, 2}
    assert (
        requests.post(f"{endpoint.url}/invocations", json=ROW, timeout=10).headers["x-model-version"] == "1"
    )
    swaps = [f'greenroom_serving_model_version{{model="{show.model}",worker="{w}"}}' for w in (0, 1)]
    metrics = endpoint.metrics()
    assert [metrics[name] for name in swaps] == [1, 1]


def test_a_smoke_test_waits_for_an_endpoint_that_has_not_followed_yet(show: Show, endpoint: Endpoint) -> None:
    back_to_first(show, endpoint)
    with logging_to(show.house.at("ann")) as at:
        second = registry.find_version(at, show.model, 2)
    expected = Expected(second, ROW["dataframe_records"], np.array([show.expected[2]], np.float32))
    with pytest.raises(DifferentAnswerError) as caught:
        smoke(endpoint.url, expected, wait_s=1)
    assert "answers by version 1, after 1 s of waiting; expected version 2, which wrote" in str(caught.value)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(smoke, endpoint.url, expected, wait_s=60)
        time.sleep(1)
        assert not waiting.done()
        served_before = show.house.stages(show.model)[2] == "Archived"
        show.roll_back(2) if served_before else show.promote(2)
        report = waiting.result()
    assert (report.model, report.model_version, report.rows) == (show.model, 2, 1)
    back_to_first(show, endpoint)


def test_a_worker_that_is_killed_takes_only_its_own_requests_with_it(show: Show, endpoint: Endpoint) -> None:
    clients = 4
    before = {worker.pid for worker in endpoint.workers()}
    with asking(endpoint, BODY, clients=clients) as heard:
        time.sleep(0.5)
        endpoint.workers()[0].send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len({w.pid for w in endpoint.workers()} - before) == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
    after = {worker.pid for worker in endpoint.workers()}
    assert len(after) == len(before) == 2
    assert len(after - before) == 1, "the dead worker was replaced"
    assert len(heard.failures) <= clients, heard.failures
    assert all(a[1] == 200 and a[3] == show.expected[a[2]] for a in heard.answers)


def test_a_version_that_does_not_answer_as_it_did_is_refused_and_the_old_one_serves(
    show: Show, endpoint: Endpoint
) -> None:
    back_to_first(show, endpoint)
    with asking(endpoint, BODY) as heard:
        number = _promote_a_liar(show)
        found = _wait_for(endpoint, lambda said: "refused" in said)
        time.sleep(1)
    assert (found["version"], found["ready"]) == (1, True)
    assert found["refused"]["version"] == number
    assert "does not answer its example as it did when it was logged" in found["refused"]["why"]
    assert heard.failures == []
    assert {version for _, _, version, _, _ in heard.answers} == {1}
    name = f'greenroom_serving_version_refused{{model="{show.model}",version="{number}"}}'
    assert endpoint.metrics()[name] == 1
    assert "refused" in endpoint.log.read_text()
    show.roll_back(1)
    _wait_for(endpoint, lambda said: "refused" not in said)


def test_it_serves_on_without_the_registry_also_after_a_restart(
    show: Show, endpoint: Endpoint, tmp_path: Path
) -> None:
    back_to_first(show, endpoint)
    show.house.server.kill()
    try:
        _wait_for(endpoint, lambda said: not said["registry"]["reachable"])
        with asking(endpoint, BODY) as heard:
            time.sleep(1)
        assert heard.failures == []
        with serving(tmp_path, show.environment, show.model) as restarted:
            answer = requests.post(f"{restarted.url}/invocations", json=ROW, timeout=10)
            assert answer.json() == {"predictions": [show.expected[1]]}
    finally:
        show.house.server.start()
    _wait_for(endpoint, lambda said: said["registry"]["reachable"])


def test_what_is_taken_off_the_stage_answers_nobody(show: Show, endpoint: Endpoint) -> None:
    back_to_first(show, endpoint)
    show.house.decide("rita", Act.ARCHIVE, show.model, 1)
    endpoint.wait_until("an end", version=None)
    # The workers swap a moment apart.
    _wait_for(endpoint, lambda _: {_ask(endpoint).status_code for _ in range(8)} == {503})
    answer = _ask(endpoint)
    assert answer.status_code == 503
    assert f"No version of {show.model} answers here: none is in Production" in answer.json()["message"]
    assert requests.get(f"{endpoint.url}/ping", timeout=10).status_code == 200
    show.roll_back(1)
    endpoint.wait_until("a return", version=1, ready=True)


def test_it_ends_as_it_is_asked_to_and_finishes_what_it_began(show: Show, tmp_path: Path) -> None:
    with (
        serving(tmp_path, show.environment, show.model, "--drain-delay-s", "2") as endpoint,
        asking(endpoint, BODY) as heard,
    ):
        time.sleep(0.5)
        followers = endpoint.beside("serving.following")
        # Who answers clients comes first on a busy machine.
        assert [p.nice() - endpoint.workers()[0].nice() for p in followers] == [10]
        endpoint.process.send_signal(signal.SIGTERM)
        drained = endpoint.wait_until("draining", draining=True)
        assert endpoint.process.wait(60) == 0
    assert drained["ready"] is False
    # Until nobody listens any more, whoever asks is answered, and no answer breaks half-way.
    closed = {"BrokenPipeError", "ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected"}
    assert {f.split("(")[0] for f in heard.failures} <= closed
    assert [p.is_running() for p in followers] == [False]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nobody-knows-it"], 2, "nobody-knows-it"),
        (["MODEL", "--host", "0.0.0.0"], 2, "0.0.0.0 can be reached from other machines"),
        (["MODEL", "--port", "70000"], 2, "port is 70000, expected 0 (any that is free) to 65535"),
        (["MODEL", "--workers", "-1"], 2, "workers is -1, expected at least 1"),
        (["MODEL", "--deadline-s", "0"], 2, "deadline_s is 0.0, expected seconds above 0"),
        (["MODEL", "MODEL"], 2, "A model is named twice"),
        (["$(reboot)"], 2, "'$(reboot)' is not a model name"),
        (["MODEL", "--port", "TAKEN"], 1, "Cannot listen on 127.0.0.1, port"),
    ],
)
def test_it_says_why_it_does_not_start(show: Show, arguments: list[str], code: int, says: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        given = [{"MODEL": show.model, "TAKEN": port}.get(a, a) for a in arguments]
        done = _start(show, *given)
    assert (done.returncode, says in done.stderr) == (code, True), (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr


def test_it_says_that_nothing_is_in_production_or_that_nobody_can_tell(show: Show, tmp_path: Path) -> None:
    waiting = new_name("waiting")
    show.house.register(waiting)
    done = _start(show, waiting)
    assert (done.returncode, "Production" in done.stderr) == (4, True), done.stderr
    done = _start(show, waiting, MLFLOW_TRACKING_URI="http://127.0.0.1:1", GREENROOM_CACHE_DIR=str(tmp_path))
    assert done.returncode == 75, done.stderr


def _start(show: Show, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving", "start", *arguments]
    if "--port" not in arguments:
        command += ["--port", "0"]
    environment = {**os.environ, **show.environment, **changed}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def _promote_a_liar(show: Show) -> int:
    """Put a version in Production whose recorded predictions are not those of its booster."""
    uri, run_id = show.house.log("ann")
    client = show.house.client("ann")
    location = client.get_logged_model(uri.rpartition("/")[2]).artifact_location
    described = Path(show.house.server.folder.path) / "artifacts" / location.partition(":/")[2] / "MLmodel"
    content = yaml.safe_load(described.read_text())
    content["metadata"]["example_predictions"] = [0.5, 0.5]
    described.write_text(yaml.safe_dump(content))
    version = registry.register(show.house.at("ann"), show.model, uri, run_id)
    validate_tiny(show.house.at("olaf"), version)
    show.promote(version.version)
    return version.version


def _wait_for(endpoint: Endpoint, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    until = time.monotonic() + 60
    while not holds(found := endpoint.ready()):
        assert time.monotonic() < until, f"{found}\n{endpoint.log.read_text()[-3000:]}"
        time.sleep(0.1)
    return found


def _ask(endpoint: Endpoint) -> requests.Response:
    # Over a connection of its own, so that it may come to either worker.
    return requests.post(f"{endpoint.url}/invocations", json=ROW, timeout=10)
