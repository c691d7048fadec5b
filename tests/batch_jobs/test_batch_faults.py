"""Every call of a run fails, loses its answer, or kills the run; the run after it leaves what is right.

The faults happen in proxies, before S3 and before MLflow, to real requests of whole runs: one partition of
three splits. By default a seeded few of them; all with GREENROOM_EXHAUSTIVE=1.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from commands import As
from deltalake import DeltaTable
from faulty_s3 import Fault, FaultyS3, faulty_s3

import deploy
from batch_jobs.__main__ import main
from storage import S3Settings, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))
SAMPLE = 2
SEED = 7
TABLE = "s3://greenroom/flight_delay/predictions"
DAYS = count(1)
# What a row says of itself, but for what differs from day to day and from run to run.
TOLD = ("outcome", "flight_id", "prediction", "reasons", "row", "input_position", "model_version")


@dataclass(frozen=True)
class Proxied:
    """A stack behind two proxies, and three files of which each day of it is made."""

    s3: FaultyS3
    mlflow: FaultyS3
    settings: S3Settings
    files: tuple[bytes, ...]
    environment: Mapping[str, str]

    def deliver(self) -> str:
        """Put the files on S3 as the input of a day that nobody has used."""
        day = f"2031-{(n := next(DAYS)) // 28 + 1:02d}-{n % 28 + 1:02d}"
        store = Store.connect(self.settings)
        for number, body in enumerate(self.files):
            store.write(f"s3://greenroom/flight_delay/features/date={day}/{number}.parquet", body)
        return day

    def live(self, day: str) -> list[tuple[Any, ...]]:
        """Return what is live of a day, in an order of its own."""
        options = self.settings.delta_options()
        if not DeltaTable.is_deltatable(TABLE, options):
            return []
        table = DeltaTable(TABLE, storage_options=options)
        rows = table.to_pyarrow_dataset(file_pruning_predicate=[("date", "=", day)]).to_table().to_pylist()
        told = [(row["input_file"].rpartition("/")[2], *(row[name] for name in TOLD)) for row in rows]
        return sorted(told, key=repr)


@pytest.fixture(scope="module")
def proxied(stack: deploy.Stack, roles: dict[str, dict[str, str]], in_production: int) -> Iterator[Proxied]:
    assert in_production
    settings = S3Settings.from_environment(stack.environment("operator"))
    store = Store.connect(settings)
    (pinned,) = store.snapshot("s3://greenroom/flight_delay/features/date=2013-07-01").objects
    day = pq.read_table(store.open(pinned))
    files = tuple(parquet(day.slice(start, 330)) for start in range(0, 966, 330))
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
        yield Proxied(s3, mlflow, settings, files, environment)


@pytest.fixture
def run(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str]]:
    """Run a day in this process."""
    operator = As(proxied.environment, monkeypatch, capsys)

    def ran(day: str) -> tuple[int, str]:
        done = operator(main, "run", "flight_delay", "--date", day)
        return done.code, done.out + done.err

    return ran


@pytest.fixture
def undisturbed(proxied: Proxied, run: Callable[[str], tuple[int, str]]) -> list[tuple[Any, ...]]:
    """What a run leaves that nothing happens to. It counts the requests, too."""
    day = proxied.deliver()
    proxied.s3.forget()
    proxied.mlflow.forget()
    code, said = run(day)
    assert code == 0, said
    rows = proxied.live(day)
    assert len(rows) == 966
    assert {row[0] for row in rows} == {"0.parquet", "1.parquet", "2.parquet"}
    return rows


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def chosen(requests: int, *what: str) -> list[int]:
    numbers = range(1, requests + 1)
    return list(numbers) if EXHAUSTIVE else sorted(random.Random(f"{SEED} {what}").sample(numbers, SAMPLE))


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("place", ["s3", "mlflow"])
def test_any_request_may_fail(
    proxied: Proxied,
    run: Callable[[str], tuple[int, str]],
    undisturbed: list[tuple[Any, ...]],
    place: str,
    fault: Fault,
) -> None:
    faulty: FaultyS3 = getattr(proxied, place)
    for number in chosen(len(faulty.requests), place, fault.name):
        day = proxied.deliver()
        faulty.fail(fault, at=number)
        code, said = run(day)
        assert faulty.failed, (number, said)
        faulty.forget()
        assert code in (0, 75), (number, said)
        assert proxied.live(day) in ([], undisturbed), number
        code, said = run(day)
        assert code == 0, (number, said)
        assert proxied.live(day) == undisturbed, number


@pytest.mark.parametrize("place", ["s3", "mlflow"])
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    proxied: Proxied,
    run: Callable[[str], tuple[int, str]],
    undisturbed: list[tuple[Any, ...]],
    place: str,
) -> None:
    faulty: FaultyS3 = getattr(proxied, place)
    for number in chosen(len(faulty.requests), place, "kill"):
        day = proxied.deliver()
        with watching(proxied, day) as seen:
            killed = run_to_be_killed(day, proxied, faulty, number)
            assert killed, number
            faulty.forget()
            assert proxied.live(day) in ([], undisturbed), number
            code, said = run(day)
        assert code == 0, (number, said)
        assert proxied.live(day) == undisturbed, number
        assert seen <= {0, len(undisturbed)}, number


def run_to_be_killed(day: str, proxied: Proxied, faulty: FaultyS3, number: int) -> bool:
    """Run a day in a process that is killed when it sends its request of that number."""
    # From a process that has all imports, and not a thread.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["batch_jobs.verbs", "batch_jobs.run", "registry.loading", "mlflow"])
    ready, go = context.Event(), context.Event()
    process = context.Process(target=_run_when_told, args=(day, dict(proxied.environment), ready, go))
    process.start()
    assert ready.wait(120)
    faulty.fail(partial(os.kill, process.pid or 0, signal.SIGKILL), at=number)
    go.set()
    process.join(120)
    return process.exitcode == -signal.SIGKILL


def _run_when_told(day: str, environment: dict[str, str], ready: Any, go: Any) -> None:
    os.environ.update(environment)
    ready.set()
    go.wait()
    raise SystemExit(main(["run", "flight_delay", "--date", day]))


@contextmanager
def watching(proxied: Proxied, day: str) -> Iterator[set[int]]:
    """Read a day again and again, as users do; give how many rows were ever seen at once."""
    seen: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            seen.add(len(proxied.live(day)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield seen
    over.set()
    thread.join(60)
