"""Every call of a run fails, loses its answer, or kills the run; the run after it leaves what is right.

The faults happen in proxies, before S3 and before MLflow, to real requests of whole runs: one partition of
three splits, the model not yet in the cache. By default they are a seeded few, one request of each; with
GREENROOM_EXHAUSTIVE=1 all, and then a loop ends with the first run that sends no request of its number.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, product
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from faulty_s3 import Fault, FaultyS3, faulty_s3

import deploy
from batch_jobs.__main__ import main
from storage import S3Settings, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    Rows = list[tuple[Any, ...]]

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))
SEED = 7
DAY = "2031-01-01"
ROWS = 966
JOB = ("run", "flight_delay", "--date", DAY)
# What a row says of itself, but for what differs from run to run.
TOLD = ("outcome", "flight_id", "prediction", "reasons", "row", "input_position", "model_version")
PLACES = ("s3", "mlflow")
PUBLISHED = ("no table", "another delivery is published")
PRELOADED = [
    "batch_jobs.verbs",
    "batch_jobs.days",
    "batch_jobs.run",
    "registry.loading",
    "registry.trees.kernel",
    "mlflow",
    "boto3",
]


@dataclass(frozen=True)
class Place:
    """Where one run works: data of its own on S3, below `root`, and a cache of its own."""

    root: str
    environment: Mapping[str, str]
    settings: S3Settings

    @property
    def table(self) -> str:
        return f"{self.root}/flight_delay/predictions"

    def open(self, version: int | None = None) -> DeltaTable | None:
        """Return the table as it is, or as it was; None where there is none yet."""
        options = self.settings.delta_options()
        if not DeltaTable.is_deltatable(self.table, options):
            return None
        return DeltaTable(self.table, version=version, storage_options=options)

    def live(self) -> Rows:
        """Return what is live of the day, in an order of its own."""
        return rows_of(self.open())


def rows_of(table: DeltaTable | None) -> Rows:
    if table is None:
        return []
    rows = table.to_pyarrow_dataset(file_pruning_predicate=[("date", "=", DAY)]).to_table().to_pylist()
    told = [(row["input_file"].rpartition("/")[2], *(row[name] for name in TOLD)) for row in rows]
    return sorted(told, key=repr)


@dataclass(frozen=True)
class Proxied:
    """A stack behind two proxies, and three files of which a day is made."""

    s3: FaultyS3
    mlflow: FaultyS3
    settings: S3Settings
    files: Sequence[bytes]
    environment: Mapping[str, str]
    folder: Path
    numbers: Iterator[int]

    def at(self, place: str) -> FaultyS3:
        return self.s3 if place == "s3" else self.mlflow

    def deliver(self, files: Sequence[bytes], published: Place | None = None) -> Place:
        """Deliver a day where nobody has been; what was published elsewhere is the table that is there."""
        number = next(self.numbers)
        root = f"s3://greenroom/faults/{number}"
        store = Store.connect(self.settings)
        for name, body in enumerate(files):
            store.write(f"{root}/flight_delay/features/date={DAY}/{name}.parquet", body)
        own = {"GREENROOM_DATA": root, "GREENROOM_CACHE_DIR": str(self.folder / str(number))}
        place = Place(root, {**self.environment, **own}, self.settings)
        if published is not None:
            copy(published.table, place.table, store)
        return place


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing happens to: what it found, what it left, and how many requests it sent where."""

    published: Place | None
    before: Rows
    after: Rows
    requests: Mapping[str, int]


def copy(table: str, to: str, store: Store) -> None:
    """Copy a table, but for the notes of who made it."""
    here, there = (uri.removeprefix("s3://greenroom/") for uri in (table, to))
    for found in store.client.list_objects_v2(Bucket="greenroom", Prefix=f"{here}/")["Contents"]:
        key = found["Key"]
        if "/_staging/" not in key:
            name = f"{there}{key.removeprefix(here)}"
            store.client.copy_object(Bucket="greenroom", Key=name, CopySource=f"greenroom/{key}")


@pytest.fixture(scope="module")
def proxied(
    stack: deploy.Stack,
    roles: dict[str, dict[str, str]],
    in_production: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxied]:
    assert in_production
    settings = S3Settings.from_environment(stack.environment("operator"))
    store = Store.connect(settings)
    (pinned,) = store.snapshot("s3://greenroom/flight_delay/features/date=2013-07-01").objects
    day = pq.read_table(store.open(pinned))
    files = [parquet(day.slice(start, 330)) for start in range(0, ROWS, 330)]
    # The proxy passes on what comes, to whatever it stands before.
    of_mlflow = replace(settings, endpoint=roles["operator"]["MLFLOW_TRACKING_URI"])
    with faulty_s3(settings) as s3, faulty_s3(of_mlflow) as mlflow:
        environment = {
            **roles["operator"],
            "AWS_ENDPOINT_URL_S3": str(s3.settings.endpoint),
            "MLFLOW_TRACKING_URI": str(mlflow.settings.endpoint),
            "GREENROOM_SPLIT_BYTES": "1000",
            # MLflow's client waits for minutes between its tries.
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        }
        yield Proxied(s3, mlflow, settings, files, environment, tmp_path_factory.mktemp("caches"), count())


@pytest.fixture(scope="module")
def undisturbed(proxied: Proxied, request: pytest.FixtureRequest) -> Undisturbed:
    """What a run leaves that nothing happens to. It counts the requests, too."""
    published = None
    if request.param != PUBLISHED[0]:
        # One file of the three, as if the others had been late.
        published = proxied.deliver(proxied.files[:1])
        assert run_in_a_process(published) == 0
    place = proxied.deliver(proxied.files, published)
    before = place.live()
    assert len(before) == (0 if published is None else 330)
    proxied.s3.forget()
    proxied.mlflow.forget()
    assert run_in_a_process(place) == 0
    requests = {each: len(proxied.at(each).requests) for each in PLACES}
    after = place.live()
    assert len(after) == ROWS
    assert {row[0] for row in after} == {"0.parquet", "1.parquet", "2.parquet"}
    return Undisturbed(published, before, after, requests)


@pytest.fixture
def survived(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """The requests that something happened to, and that a rerun made good; how many is told at the end."""
    numbers: list[int] = []
    yield numbers
    with capsys.disabled():
        print(f"\n{request.node.name}: {len(numbers)} faults survived", flush=True)


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def chosen(requests: int, *what: str) -> Iterable[int]:
    """Return a number of a request, or all there may be; it is for the caller to end then."""
    if EXHAUSTIVE:
        return count(1)
    return [random.Random(f"{SEED} {what}").randint(1, requests)]


def some(*axes: Iterable[object]) -> list[tuple[object, ...]]:
    """Return all combinations, or each place and fault once, by turns with and without a table."""
    if EXHAUSTIVE:
        return list(product(PUBLISHED, PLACES, *axes))
    return [(PUBLISHED[n % 2], *rest) for n, rest in enumerate(product(PLACES, *axes))]


@pytest.mark.parametrize(("undisturbed", "where", "fault"), some(Fault), indirect=["undisturbed"])
def test_any_request_may_fail(
    proxied: Proxied, undisturbed: Undisturbed, where: str, fault: Fault, survived: list[int]
) -> None:
    for number in chosen(undisturbed.requests[where], where, fault.name):
        if not survives(proxied, undisturbed, where, fault, number, onward=False):
            break
        survived.append(number)


@pytest.mark.parametrize(
    ("undisturbed", "where", "fault"),
    some([Fault.SLOW_DOWN, Fault.CLOSED, Fault.LOST_ANSWER]),
    indirect=["undisturbed"],
)
def test_an_outage_may_begin_at_any_request(
    proxied: Proxied, undisturbed: Undisturbed, where: str, fault: Fault, survived: list[int]
) -> None:
    for number in chosen(undisturbed.requests[where], where, fault.name, "onward"):
        if not survives(proxied, undisturbed, where, fault, number, onward=True):
            break
        survived.append(number)


def survives(
    proxied: Proxied,
    undisturbed: Undisturbed,
    where: str,
    fault: Fault,
    number: int,
    *,
    onward: bool,
) -> bool:
    """Run a day while something happens, and again; False where there was no request of that number."""
    place, faulty = proxied.deliver(proxied.files, undisturbed.published), proxied.at(where)
    with watching(place, undisturbed):
        faulty.fail(fault, at=number, onward=onward)
        exit_code = run_in_a_process(place)
        happened = faulty.failed
        assert exit_code in (0, 75), number
        faulty.forget()
        again = run_in_a_process(place)
    assert again == 0, number
    assert place.live() == undisturbed.after, number
    assert happened or EXHAUSTIVE, number
    return happened


@pytest.mark.parametrize(("undisturbed", "where"), some(), indirect=["undisturbed"])
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    proxied: Proxied, undisturbed: Undisturbed, where: str, survived: list[int]
) -> None:
    faulty = proxied.at(where)
    for number in chosen(undisturbed.requests[where], where, "kill"):
        place = proxied.deliver(proxied.files, undisturbed.published)
        with watching(place, undisturbed):
            exit_code = run_in_a_process(place, partial(kill_at, faulty, number))
            happened = faulty.failed
            assert exit_code == (-signal.SIGKILL if happened else 0), number
            faulty.forget()
            again = run_in_a_process(place)
        assert again == 0, number
        assert place.live() == undisturbed.after, number
        assert happened or EXHAUSTIVE, number
        if not happened:
            break
        survived.append(number)


def kill_at(faulty: FaultyS3, number: int, pid: int) -> None:
    faulty.fail(partial(os.kill, pid, signal.SIGKILL), at=number)


def run_in_a_process(place: Place, before: Callable[[int], None] = lambda _: None) -> int | None:
    """Run the day in a process of its own, whose id `before` is told; return how it ended.

    Not in this one: it would change the environment, which what reads tables in a thread looks at unlocked.
    """
    # From a process that has all imports, and not a thread.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ready, go = context.Event(), context.Event()
    process = context.Process(target=_run_when_told, args=(dict(place.environment), ready, go))
    process.start()
    assert ready.wait(600)
    before(process.pid or 0)
    go.set()
    process.join(600)
    return process.exitcode


def _run_when_told(environment: dict[str, str], ready: Any, go: Any) -> None:
    os.environ.update(environment)
    ready.set()
    go.wait()
    raise SystemExit(main([*JOB]))


@contextmanager
def watching(place: Place, undisturbed: Undisturbed) -> Iterator[None]:
    """Open the table again and again, as users do: the day is what it was, and then what it should be.

    Every version is read, also those that were the latest between two looks.
    """
    over = threading.Event()
    began = place.open()
    assert rows_of(began) == undisturbed.before

    def watch() -> None:
        seen = -1 if began is None else began.version()
        expected = [undisturbed.before, undisturbed.after]
        while True:
            is_last = over.is_set()
            table = place.open()
            latest = -1 if table is None else table.version()
            for version in range(seen + 1, latest + 1):
                found = rows_of(place.open(version))
                assert found in expected, f"version {version} has {len(found)} rows"
                expected = expected[expected.index(found) :]
            seen = latest
            if is_last:
                return
            over.wait(0.1)

    with ThreadPoolExecutor(1) as pool:
        watched = pool.submit(watch)
        try:
            yield
        finally:
            over.set()
        watched.result()
