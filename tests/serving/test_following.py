"""What is in Production is what is to be served: every change is seen, and none breaks what is served now."""

import gc
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import yaml
from commands import REPOSITORY, As
from review_house import House
from served_house import wait_for
from tiny_versions import validate_tiny

import registry
from registry import Act, ModelVersion, Registry
from serving.following import View, read_view, view_path
from serving.following.__main__ import main as following
from serving.following.events import Event
from serving.following.follower import Follower, Surroundings
from serving.following.preparing import Prepared
from serving.following.trial import try_artifact

pytest_plugins = ["review_fixtures"]


class Door:
    """The way to a server, which can be shut, and which can be stuck: it opens, and nothing answers."""

    def __init__(self, port: int) -> None:
        self.stuck = False
        self.asked = threading.Event()
        # The first line of each request that came through, as long as one does in one piece.
        self.heard: list[bytes] = []
        self._behind = port
        self._through: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._start(self._accept, self._listening)

    def open(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._start(self._accept, self._listening)

    def shut(self) -> None:
        for each in (self._listening, *self._through):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _start(self, work: Callable[[socket.socket], None], on: socket.socket) -> None:
        threading.Thread(target=work, args=(on,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):  # it is shut
            while True:
                self._start(self._pass, listening.accept()[0])

    def _pass(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._behind)) as server:
            both = {client: server, server: client}
            self._through |= both.keys()
            try:
                self._exchange(both)
            finally:
                self._through -= both.keys()

    def _exchange(self, both: dict[socket.socket, socket.socket]) -> None:
        while True:
            for one in select.select([*both], [], [])[0]:
                data = one.recv(65536)
                if not data:
                    return
                if data.startswith((b"GET ", b"POST ")):
                    self.heard.append(data.partition(b" HTTP/")[0])
                if self.stuck:
                    self.asked.set()
                else:
                    both[one].sendall(data)


@dataclass
class Stage:
    """A model of the house, one who follows it, and all that a test needs to put it into trouble."""

    house: House
    model: str
    door: Door
    at: Registry
    told: list[Event] = field(default_factory=list)
    tried: list[Path] = field(default_factory=list)
    now_s: float = 1_700_000_000.0

    def follower(self, submit: Any = None, try_it: Any = None) -> Follower:
        surroundings = Surroundings(
            self.at,
            try_it or self._try,
            submit or at_once,
            self.told.append,
            now=lambda: self.now_s,
            monotonic=lambda: self.now_s,
        )
        return Follower(self.model, surroundings)

    def _try(self, folder: Path, what: str, kind: str) -> str | None:
        self.tried.append(folder)
        return try_artifact(folder, what, kind, os.environ)

    @property
    def path(self) -> Path:
        return view_path(self.at.cache, self.at.uri, self.model)

    @property
    def view(self) -> View:
        found = read_view(self.path)
        assert found is not None
        return found

    def names(self) -> list[str]:
        """What was told since this was last called."""
        names = [event.name for event in self.told]
        self.told.clear()
        return names

    def promote(self, change: Callable[[Path], object] | None = None) -> ModelVersion:
        """Put a version in Production that has an artifact of its own, logged with a change in it."""
        uri, run_id = self.house.log("ann")
        logged = self.house.client("ann").get_logged_model(uri.removeprefix("models:/"))
        if change is not None:
            change(self.house._stored(logged.artifact_location))
        version = registry.register(self.house.at("ann"), self.model, uri, run_id)
        validate_tiny(self.house.at("olaf"), version)
        self.house.decide("ann", Act.REQUEST, self.model, version.version)
        self.house.decide("rita", Act.APPROVE, self.model, version.version)
        return version

    def decide(self, act: Act, version: int | None = None) -> None:
        self.house.decide("rita", act, self.model, version)

    def environment(self) -> dict[str, str]:
        return {"MLFLOW_TRACKING_URI": self.at.uri, "GREENROOM_CACHE_DIR": str(self.at.cache)}


def at_once(work: Callable[[], Prepared]) -> Future[Prepared]:
    """Do it before anything else; the real ones do it beside the asking."""
    future: Future[Prepared] = Future()
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  # as an executor does
        future.set_exception(error)
    return future


@pytest.fixture(scope="module")
def door(sqlite_house: House) -> Iterator[Door]:
    found = Door(int(urlsplit(sqlite_house.server.url).port or 0))
    yield found
    found.shut()


@pytest.fixture
def stage(
    sqlite_house: House, model: str, door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    login = f"olaf:{sqlite_house.server.passwords['olaf']}"
    uri = f"http://{login}@127.0.0.1:{door.port}"
    # MLflow looks up `models:/` where the process as a whole points.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    # The command sets these where nobody did, for its whole process, which is here that of other tests.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    at = registry.connect({"MLFLOW_TRACKING_URI": uri, "GREENROOM_CACHE_DIR": str(tmp_path / "cache")})
    return Stage(sqlite_house, model, door, at)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stage: Stage) -> As:
    return As(stage.environment(), monkeypatch, capsys)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows past a few bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_promotion_rollback_and_off_stage(stage: Stage) -> None:
    registered = stage.house.register(stage.model)
    follower = stage.follower()
    empty = follower.step()
    assert (empty.version, empty.reachable, empty.problem, empty.refused) == (None, True, None, None)
    assert stage.view == empty
    assert stage.names() == ["nothing_to_serve"]

    first = stage.promote()
    assert first.version == registered.version + 1
    view = follower.step()
    assert (view.version, view.digest, view.format) == (first.version, first.digest, "xgboost")
    assert view.manifest == first.manifest.to_json() if first.manifest else None
    assert Path(str(view.folder)).is_absolute()
    assert Path(str(view.folder)) == registry.fetch(stage.at, first)
    assert (view.seen_at, view.reachable, view.problem, view.refused) == (stage.now_s, True, None, None)
    assert stage.view == view
    assert stage.names() == ["preparing", "published"]

    second = stage.promote()
    assert follower.step().version == second.version
    assert stage.view.digest == second.digest != first.digest
    stage.names()

    stage.decide(Act.ROLLBACK)
    assert follower.step().version == first.version
    assert stage.view.folder == view.folder
    assert stage.names() == ["preparing", "published"]
    assert len(stage.tried) == 2  # what answered its example need not do so again

    stage.decide(Act.ARCHIVE, first.version)
    assert follower.step().version is None
    off = stage.view
    assert (off.version, off.folder, off.reachable, off.problem) == (None, None, True, None)
    assert stage.names() == ["off_stage"]
    stage.decide(Act.ROLLBACK, first.version)
    assert follower.step().version == first.version


def test_what_is_served_as_it_is_wanted_rests(stage: Stage) -> None:
    follower = stage.follower()

    def settled() -> bool:
        return follower.is_settled

    assert not settled()  # it has not asked yet
    follower.step()
    assert not settled()  # to register the model is no news in the ledger
    stage.house.register(stage.model)
    follower.step()
    assert settled()  # to promote one is
    assert follower.rest().version is None
    stage.promote()
    assert follower.step().version == 2
    assert settled()
    stage.names()
    stage.now_s += 10
    asked = len(stage.door.heard)
    assert follower.rest() == stage.view
    assert (stage.view.version, stage.view.seen_at, stage.view.reachable) == (2, stage.now_s, True)
    assert (len(stage.door.heard), stage.names()) == (asked, [])
    bad = stage.promote(wrong_answers)
    view = follower.step()
    assert view.refused is not None
    assert view.refused.version == bad.version
    assert settled()
    assert follower.rest().refused == view.refused
    stage.now_s += 5
    assert not settled()  # it is tried again
    stage.decide(Act.ROLLBACK)
    follower.step()
    assert settled()
    stage.door.shut()
    try:
        follower.step()
        assert not settled()  # nobody knows what has happened
    finally:
        stage.door.open()
    follower.step()
    assert settled()
    shutil.rmtree(str(stage.view.folder))
    assert not settled()  # it is to be fetched again


def test_the_same_bytes_under_another_number_are_not_tried_again(stage: Stage) -> None:
    one = stage.house.live(stage.model)
    follower = stage.follower()
    assert follower.step().version == one.version
    two = stage.house.live(stage.model)
    assert one.digest == two.digest
    assert follower.step().version == stage.view.version == two.version
    assert len(stage.tried) == 1


def garbage(folder: Path) -> None:
    (folder / "model.ubj").write_bytes(b"\x00garbage" * 100)


def wrong_answers(folder: Path) -> None:
    content = yaml.safe_load((folder / "MLmodel").read_text())
    content["metadata"]["example_predictions"] = [0.25, 0.5]
    (folder / "MLmodel").write_text(yaml.safe_dump(content))


def test_a_version_that_fails_its_trial_is_refused(stage: Stage) -> None:
    good = stage.promote()
    follower = stage.follower()
    held = follower.step()
    stage.names()
    bad = stage.promote(wrong_answers)
    view = follower.step()
    assert view.refused is not None
    assert (view.refused.version, view.refused.digest) == (bad.version, bad.digest)
    assert view.refused.why.startswith(
        f"{stage.model} version 2 does not answer its example as it did when it was logged: row 0 gives 0."
    )
    assert (view.version, view.digest, view.folder) == (good.version, good.digest, held.folder)
    assert stage.view == view
    assert stage.names() == ["preparing", "refused"]
    # Not again with every look, but after a while; then after twice as long.
    for pause, tries in ((1, 2), (5, 3), (5, 3), (6, 4)):
        stage.now_s += pause
        assert follower.step().refused == view.refused
        assert len(stage.tried) == tries
    # And once the registry's answer is another one, there is nothing refused.
    stage.decide(Act.ROLLBACK)
    assert follower.step().refused is None
    assert stage.view.version == good.version
    stage.decide(Act.ROLLBACK, bad.version)
    assert follower.step().refused == view.refused
    assert len(stage.tried) == 5


def test_bytes_that_were_not_registered_are_refused_untried_until_they_are_right(stage: Stage) -> None:
    good = stage.promote()
    follower = stage.follower()
    follower.step()
    bad = stage.promote()
    path = stage.house.folder_of(bad) / "model.ubj"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"?")
    refused = follower.step().refused
    assert refused is not None
    assert f"{bad.name} version {bad.version} is not the artifact that was registered" in refused.why
    assert "the file 'model.ubj' was changed" in refused.why
    path.unlink()
    stage.now_s += 5
    refused = follower.step().refused
    assert refused is not None
    assert "the file 'model.ubj' is missing" in refused.why
    assert stage.view.version == good.version
    assert len(stage.tried) == 1
    path.write_bytes(before)
    stage.now_s += 10
    assert follower.step() == stage.view
    assert (stage.view.version, stage.view.refused) == (bad.version, None)


def test_an_artifact_that_is_gone_though_it_is_ready(stage: Stage) -> None:
    version = stage.promote()
    folder = stage.house.folder_of(version)
    shutil.move(folder, folder.with_name("away"))
    view = stage.follower().step()
    assert view.version is None
    assert view.refused is not None
    assert view.refused.version == version.version
    assert f"{version.name} version {version.version}" in view.refused.why
    assert stage.tried == []


def test_a_format_that_is_not_allowed_here_is_refused(stage: Stage) -> None:
    version = stage.promote()
    stage.follower().step()
    stage.at = replace(stage.at, formats=("pyfunc",))
    follower = stage.follower()
    assert not follower.sound
    refused = follower.step().refused
    assert refused is not None
    assert (refused.version, refused.digest) == (version.version, version.digest)
    assert refused.why == (
        f"{version.name} version 1 is in the format 'xgboost', and GREENROOM_ARTIFACT_FORMATS allows pyfunc"
        " here"
    )
    assert len(stage.tried) == 1


def test_what_was_added_in_the_cache_is_seen_before_it_is_served_again(stage: Stage) -> None:
    version = stage.promote()
    view = stage.follower().step()
    (Path(str(view.folder)) / "code/more.py").write_text("raise SystemExit")
    follower = stage.follower()
    assert not follower.sound
    refused = follower.step().refused
    assert refused is not None
    assert refused.version == version.version
    assert "the file 'code/more.py' was added" in refused.why


def test_with_the_registry_down_it_stays(stage: Stage) -> None:
    version = stage.promote()
    follower = stage.follower()
    held = follower.step()
    stage.names()
    stage.door.shut()
    try:
        for _ in range(2):
            stage.now_s += 1
            down = follower.step()
        assert stage.view == down
        assert (down.version, down.folder, down.seen_at) == (version.version, held.folder, held.seen_at)
        assert (down.reachable, down.refused) == (False, None)
        assert "the MLflow server does not answer" in str(down.problem)
        assert stage.names() == ["registry_lost"]
        # A process that starts now finds what was there, and believes it only because every byte is right.
        again = stage.follower()
        assert again.sound
        assert again.step().version == version.version
        assert stage.names() == ["resumed"]
        (Path(str(held.folder)) / "requirements.txt").write_text("another\n")
        assert not stage.follower().sound
        assert stage.names() == ["view_unsound"]
    finally:
        stage.door.open()
    back = follower.step()
    assert stage.view == back
    assert (back.reachable, back.problem, back.seen_at) == (True, None, stage.now_s)
    assert stage.names() == ["registry_back"]


def test_what_is_off_stage_is_not_resumed(stage: Stage) -> None:
    version = stage.promote()
    stage.follower().step()
    stage.decide(Act.ARCHIVE, version.version)
    again = stage.follower()
    assert again.sound  # as long as nobody was asked
    assert again.step().version is None
    assert stage.view.version is None


def test_a_rollback_does_not_wait_for_what_is_being_prepared(stage: Stage) -> None:
    held = stage.promote()
    going = threading.Event()

    def slow(*_: object) -> None:
        assert going.wait(60)

    with ThreadPoolExecutor(2) as pool:
        going.set()
        follower = stage.follower(pool.submit, slow)
        preparing = follower.step()
        assert preparing.version is None
        assert preparing.problem == f"{stage.model} version {held.version} is being fetched and tried"
        assert follower.pending is not None
        follower.pending.result()
        assert follower.step().version == held.version
        going.clear()
        new = stage.promote()
        assert follower.step().version == held.version
        under_way = follower.pending
        stage.decide(Act.ARCHIVE, new.version)
        assert follower.step().version is None
        going.set()
        under_way.result()
        assert follower.step().version is None
        assert stage.view.version is None


def test_a_view_is_written_when_there_is_news_and_when_it_grows_old(stage: Stage) -> None:
    stage.promote()
    follower = stage.follower()
    follower.step()
    inode = stage.path.stat().st_ino

    def written(now_s: float) -> bool:
        nonlocal inode
        stage.now_s = now_s
        follower.step()
        before, inode = inode, stage.path.stat().st_ino
        return before != inode and stage.view.seen_at == now_s

    start = stage.now_s
    assert [written(start + s) for s in (1, 2, 3, 4, 5, 6)] == [False, False, True, False, False, True]
    assert written(start - 3600)  # the clock was set back


# MLflow leaves the connection of a download open that it could not write down.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_leaves_what_is_there(stage: Stage) -> None:
    first = stage.promote()
    follower = stage.follower()
    follower.step()
    second = stage.promote()
    stage.names()
    with full_disk():
        view = follower.step()
        assert view.version == first.version
        assert view.refused is not None
        assert "File too large" in view.refused.why
        assert "File too large" in str(follower.unwritten)
        follower.step()
    assert stage.names() == ["preparing", "view_not_written", "refused"]
    assert (stage.view.version, stage.view.refused) == (first.version, None)
    assert [found.name for found in stage.path.parent.iterdir()] == ["view.json"]
    stage.now_s += 5
    follower.step()
    assert (stage.view.version, follower.unwritten) == (second.version, None)
    assert stage.names() == ["preparing", "published"]
    gc.collect()


def test_a_folder_that_was_cleaned_away_is_fetched_again(stage: Stage) -> None:
    version = stage.promote()
    follower = stage.follower()
    folder = Path(str(follower.step().folder))
    shutil.rmtree(folder)
    assert follower.step().version == version.version
    assert folder.is_dir()


def test_a_damaged_view_is_told_and_replaced(stage: Stage) -> None:
    version = stage.promote()
    stage.path.parent.mkdir(parents=True)
    stage.path.write_text('{"version": 1}')
    follower = stage.follower()
    assert stage.names() == ["view_damaged"]
    assert follower.step() == stage.view
    assert stage.view.version == version.version


def test_refused_logins_and_models_that_are_not_there(stage: Stage) -> None:
    version = stage.promote()
    stage.follower().step()
    strangers = Stage(
        stage.house,
        stage.model,
        stage.door,
        registry.connect(
            {**stage.environment(), "MLFLOW_TRACKING_URI": f"http://olaf:no@127.0.0.1:{stage.door.port}"}
        ),
    )
    view = strangers.follower().step()
    assert (view.version, view.reachable) == (version.version, False)
    assert "MLflow does not accept this login. Check MLFLOW_TRACKING_USERNAME" in str(view.problem)
    nobody = Stage(stage.house, "no-such-model", stage.door, stage.at)
    view = nobody.follower().step()
    assert (view.version, view.reachable) == (None, True)
    assert str(view.problem).startswith("There is no registered model 'no-such-model'")


def last_line(ran: Any) -> str:
    return str(ran.err.splitlines()[-1])


def test_once(stage: Stage, command: As) -> None:
    model = stage.model
    stage.house.register(model)
    ran = command(following, model, "--once")
    assert ran.code == 4
    assert last_line(ran).startswith(f"serving.following: No version of {model} is in Production.")
    ran = command(following, model, "no-such-model", "--once")
    assert ran.code == 2
    assert last_line(ran).startswith("serving.following: There is no registered model 'no-such-model'")
    stage.promote(garbage)
    ran = command(following, model, "--once")
    assert ran.code == 1
    assert last_line(ran).startswith(f"serving.following: {model} version 2 ")
    good = stage.promote()
    assert command(following, model, "--once").code == 0
    assert stage.view.version == good.version
    bad = stage.promote(wrong_answers)
    ran = command(following, model, "--once")
    assert (ran.code, ran.out) == (0, "")
    events = [json.loads(line) for line in ran.err.splitlines()]
    assert [event["event"] for event in events] == ["resumed", "preparing", "refused"]
    assert events[-1].items() >= {"level": "error", "model": model, "version": bad.version}.items()
    assert events[-1]["served"] == good.version
    stage.door.shut()
    try:
        assert command(following, model, "--once").code == 0
        stage.path.unlink()
        ran = command(following, model, "--once")
        assert ran.code == 75
        assert "the MLflow server does not answer" in last_line(ran)
        assert "olaf" not in ran.err
    finally:
        stage.door.open()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: MODEL"),
        (["../x", "--once"], "serving.following: '../x' is not a model name"),
        (["x", "--poll-s", "0"], "'0' is not how often to ask; expected 0.1 to 5 seconds"),
        (["x", "--poll-s", "nan"], "'nan' is not how often to ask"),
        (["x", "--poll-s", "60"], "a change has to be seen within 5"),
    ],
)
def test_usage(command: As, arguments: list[str], said: str) -> None:
    ran = command(following, *arguments)
    assert ran.code == 2
    assert said in ran.err


def test_the_process_follows_and_ends_in_the_middle_of_a_request(stage: Stage) -> None:
    first = stage.promote()
    environment = {**os.environ, **stage.environment(), "MLFLOW_HTTP_REQUEST_TIMEOUT": "600"}
    command = [sys.executable, "-m", "serving.following", stage.model, "--poll-s", "0.2"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        events = (json.loads(line) for line in process.stderr)
        try:
            assert heard(events, "published")["version"] == first.version
            assert stage.view.version == first.version
            # While nothing happens, nothing is asked but whether something has.
            del stage.door.heard[:]
            wait_for(lambda: len(stage.door.heard) > 5)
            assert set(stage.door.heard[2:]) == {b"GET /api/2.0/greenroom/changes"}
            second = stage.promote()
            published = heard(events, "published")
            assert (published["version"], published["was"]) == (second.version, first.version)
            assert published["model"] == stage.model
            assert published["ts"].endswith("Z")
            stage.door.stuck = True
            assert stage.door.asked.wait(60)
            process.send_signal(signal.SIGTERM)
            # The request that it is in would take ten minutes.
            assert process.wait(60) == 0
            assert heard(events, "stopped")["why"] == "got SIGTERM"
        finally:
            process.kill()
            stage.door.shut()
            stage.door.stuck = False
            stage.door.open()
    assert stage.view.version == second.version


def heard(events: Iterator[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(event for event in events if event["event"] == name)


def test_it_ends_when_who_started_it_is_gone(stage: Stage) -> None:
    environment = {**os.environ, **stage.environment()}
    script = f"{sys.executable} -m serving.following {stage.model} & echo $!; read _"
    with subprocess.Popen(
        ["sh", "-c", script],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdout is not None
        assert shell.stderr is not None
        child = psutil.Process(int(shell.stdout.readline()))
        try:
            started = json.loads(shell.stderr.readline())
            assert started["event"] == "following"
            shell.kill()
            child.wait(60)
        finally:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        assert '"event": "stopped"' in shell.stderr.read()
