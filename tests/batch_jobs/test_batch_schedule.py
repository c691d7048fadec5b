"""The scheduler on the stack: what was missed is caught up, once, whoever asks and whatever happens.

Jobs of their own, in a folder of their own, score days around today, of real flights.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from commands import REPOSITORY, As
from deltalake import DeltaTable
from faulty_s3 import Fault, faulty_s3

import deploy
from batch_jobs import job as job_module
from batch_jobs.__main__ import main
from storage import S3Settings, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# `python -m batch_jobs`, with the jobs of a test's folder.
SCHEDULE = """
import sys
from pathlib import Path
from batch_jobs import job
job.ROOT = Path(sys.argv[1])
from batch_jobs.__main__ import main
sys.exit(main(["schedule", "--json", *sys.argv[2:]]))
"""


@dataclass(frozen=True)
class Job:
    """A job of one test: its file, its input and its table."""

    name: str
    folder: Path
    settings: S3Settings

    @property
    def table(self) -> str:
        return f"s3://greenroom/scheduled/{self.name}/predictions"

    def declare(self, schedule: Mapping[str, Any] | None = None, **changed: Any) -> None:
        """Write the job's file, as that of the flights but for where it reads and writes."""
        there = yaml.safe_load((REPOSITORY / "batch_jobs" / "flight_delay.yaml").read_text())
        found = {
            **there,
            "input": f"scheduled/{self.name}/features/date={{date}}",
            "output": f"scheduled/{self.name}/predictions",
            "schedule": {"cron": "0 0 1 1 *", "timezone": "UTC", "days_back": 7, **(schedule or {})},
            **changed,
        }
        (self.folder / f"{self.name}.yaml").write_text(yaml.safe_dump(found))

    def deliver(self, day: dt.date, table: pa.Table, files: int = 1) -> None:
        """Put rows on S3 as the input of a day."""
        store, rows = Store.connect(self.settings), -(-len(table) // files)
        for number in range(files):
            buffer = io.BytesIO()
            pq.write_table(table.slice(number * rows, rows), buffer)
            where = f"s3://greenroom/scheduled/{self.name}/features/date={day}/{number}.parquet"
            store.write(where, buffer.getvalue())

    def history(self) -> list[dict[str, Any]]:
        """Return the commits that brought rows, oldest first."""
        options = self.settings.delta_options()
        if not DeltaTable.is_deltatable(self.table, options):
            return []
        found = DeltaTable(self.table, storage_options=options).history()
        return [line for line in reversed(found) if line["operation"] == "WRITE"]

    def rows(self, day: dt.date) -> int:
        """Count what is live of a day."""
        options = self.settings.delta_options()
        if not DeltaTable.is_deltatable(self.table, options):
            return 0
        table = DeltaTable(self.table, storage_options=options)
        return len(table.to_pyarrow_dataset(file_pruning_predicate=[("date", "=", str(day))]).to_table())


@pytest.fixture(scope="module")
def settings(stack: deploy.Stack) -> S3Settings:
    return S3Settings.from_environment(stack.environment("operator"))


@pytest.fixture(scope="module")
def one_day(in_production: int, settings: S3Settings) -> pa.Table:
    assert in_production == 1
    store = Store.connect(settings)
    (pinned,) = store.snapshot("s3://greenroom/flight_delay/features/date=2013-07-01").objects
    return pq.read_table(store.open(pinned))


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: S3Settings) -> Job:
    found = Job(f"scheduled_{uuid.uuid4().hex[:8]}", tmp_path, settings)
    monkeypatch.setattr(job_module, "ROOT", tmp_path)
    found.declare()
    return found


def days_ago(number: int) -> dt.date:
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=number)


def events(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def kinds(said: str) -> list[tuple[str | None, str]]:
    return sorted((event["date"] or "", event["event"]) for event in events(said))


class Scheduler:
    """A scheduler in a process of its own, that tests read and signal."""

    def __init__(self, job: Job, environment: Mapping[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCHEDULE, str(job.folder), *arguments],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.heard: list[dict[str, Any]] = []

    def hear(self, *kinds: str, date: dt.date | None = None) -> dict[str, Any]:
        """Wait for an event of one of these kinds."""
        assert self.process.stdout
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            self.heard.append(event)
            if event["event"] in kinds and (date is None or event["date"] == str(date)):
                return event
        raise AssertionError(f"the scheduler ended; it said {self.heard}")

    def end(self, asked: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(asked)
        said, _ = self.process.communicate(timeout=60)
        self.heard += events(said)
        return self.process.returncode


@pytest.fixture
def schedulers(roles: dict[str, dict[str, str]]) -> Iterator[Any]:
    begun: list[Scheduler] = []

    def begin(job: Job, *arguments: str, **changed: str) -> Scheduler:
        begun.append(Scheduler(job, {**roles["operator"], **changed}, *arguments))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.communicate()


def test_once_catches_up_what_is_missing_and_what_was_delivered_again(
    operator: As, one_day: pa.Table, job: Job
) -> None:
    for number in (1, 2, 7, 8):
        job.deliver(days_ago(number), one_day)
    ran = operator(main, "schedule", "--once")
    assert (ran.code, ran.err) == (0, "")
    first, *others = ran.out.splitlines()
    assert first.endswith(
        f"Z {job.name} tick: 3 days since {days_ago(7)} to score with flight-delay version 1"
    )
    assert len(others) == 3
    (line,) = (line for line in others if str(days_ago(2)) in line)
    assert f" {job.name} {days_ago(2)} published: 966 rows = 966 scored + 0 quarantined" in line
    assert [job.rows(days_ago(number)) for number in (1, 2, 7, 8)] == [966, 966, 966, 0]

    again = operator(main, "schedule", job.name, "--once", "--json")
    assert (again.code, kinds(again.out)) == (0, [("", "tick")])
    job.deliver(days_ago(2), one_day.slice(0, 900))
    third = operator(main, "schedule", job.name, "--once", "--json")
    assert kinds(third.out) == [("", "tick"), (str(days_ago(2)), "published")]
    assert job.rows(days_ago(2)) == 900
    assert len(job.history()) == 4


def test_what_is_stale_by_its_rules_is_scored_again_where_the_job_says_so(
    operator: As, one_day: pa.Table, job: Job
) -> None:
    job.deliver(days_ago(1), one_day)
    assert operator(main, "schedule", "--once").code == 0
    job.declare(limits={"quarantined_share": 0.3})
    left = operator(main, "schedule", "--once")
    assert left.out.rstrip().endswith("version 1; 1 stale and left as they are, see status")
    assert len(job.history()) == 1
    job.declare({"rescore": ["input", "rules"]}, limits={"quarantined_share": 0.3})
    ran = operator(main, "schedule", "--once", "--json")
    assert kinds(ran.out) == [("", "tick"), (str(days_ago(1)), "published")]
    assert len(job.history()) == 2


def test_an_unfit_day_is_told_each_time_and_scored_again_only_when_something_changed(
    operator: As, one_day: pa.Table, job: Job
) -> None:
    bad, good = days_ago(2), days_ago(1)
    nulls = one_day.set_column(
        one_day.column_names.index("temp"), "temp", pa.nulls(len(one_day), pa.float64())
    )
    job.deliver(bad, pa.concat_tables([nulls.slice(0, 400), one_day.slice(400)]))
    job.deliver(good, one_day)
    first = operator(main, "schedule", "--once")
    assert first.code == 3
    (line,) = first.err.splitlines()
    assert f" {job.name} {bad} unfit: " in line
    assert "not tried again until its input, the suites, the limits or the version change" in line
    assert (job.rows(bad), job.rows(good)) == (0, 966)

    runs = _runs(operator, job)
    again = operator(main, "schedule", "--once")
    assert again.code == 3
    assert f" {job.name} {bad} unfit: as before, not tried again until" in again.err
    assert "0 days since" in again.out
    assert "1 unfit as before" in again.out
    assert _runs(operator, job) == runs

    # An operator who asks for it is not kept from trying.
    assert operator(main, "run", job.name, "--date", str(bad)).code == 3
    job.deliver(bad, one_day.slice(0, 950))
    fixed = operator(main, "schedule", "--once", "--json")
    assert (fixed.code, kinds(fixed.out)) == (0, [("", "tick"), (str(bad), "published")])


def _runs(operator: As, job: Job) -> list[tuple[str, int]]:
    """Return the MLflow runs of a job, and when each ended last."""
    from mlflow import MlflowClient

    with pytest.MonkeyPatch.context() as patch:
        for name, value in operator.environment.items():
            patch.setenv(name, value)
        client = MlflowClient(operator.environment["MLFLOW_TRACKING_URI"])
        experiment = client.get_experiment_by_name(f"{job.name} batch")
        found = client.search_runs([experiment.experiment_id])
    return sorted((run.info.run_id, run.info.end_time) for run in found)


def test_limits_that_were_corrected_are_a_reason_to_try_again(
    operator: As, one_day: pa.Table, job: Job
) -> None:
    bad = days_ago(1)
    job.declare(limits={"quarantined_share": 0.2, "usual_rows": {"stop": [0.5, 2]}})
    for number in (2, 3, 4):
        job.deliver(days_ago(number), one_day)
    assert operator(main, "schedule", "--once").code == 0
    job.deliver(bad, one_day.slice(0, 400))
    assert operator(main, "schedule", "--once").code == 3
    assert "as before" in operator(main, "schedule", "--once").err
    job.declare(limits={"quarantined_share": 0.2, "usual_rows": {"stop": [0.1, 2]}})
    assert operator(main, "schedule", "--once").code == 0
    assert job.rows(bad) == 400


def test_two_schedulers_at_once_publish_each_day_once(one_day: pa.Table, job: Job, schedulers: Any) -> None:
    for number in (1, 2, 3):
        job.deliver(days_ago(number), one_day, files=3)
    both = [schedulers(job, "--once", GREENROOM_SPLIT_BYTES="1000") for _ in range(2)]
    said = [each.process.communicate(timeout=300)[0] for each in both]
    assert [each.process.returncode for each in both] == [0, 0], said
    published = [event["date"] for each in said for event in events(each) if event["event"] == "published"]
    assert sorted(published) == [str(days_ago(number)) for number in (3, 2, 1)], said
    assert len(job.history()) == 3
    assert [job.rows(days_ago(number)) for number in (1, 2, 3)] == [966] * 3


def test_a_scheduler_catches_up_at_once_and_ends_when_it_is_asked_to(
    one_day: pa.Table, job: Job, schedulers: Any
) -> None:
    job.deliver(days_ago(1), one_day)
    scheduler = schedulers(job)
    assert scheduler.hear("scheduled")["said"] == "now, and at 0 0 1 1 * UTC, 7 days back"
    assert scheduler.hear("published")["rows"] == 966
    with pytest.raises(subprocess.TimeoutExpired):
        scheduler.process.wait(3)
    started = time.monotonic()
    assert scheduler.end(signal.SIGINT) == 0
    assert time.monotonic() - started < 10
    assert scheduler.heard[-1]["event"] == "stopped"


def test_a_day_under_way_is_left_after_its_splits_and_finished_by_the_next_start(
    one_day: pa.Table, job: Job, schedulers: Any, settings: S3Settings
) -> None:
    """Forty splits, one at a time: the day is not done when the signal comes."""
    job.deliver(days_ago(1), one_day, files=40)
    scheduler = schedulers(job, "--workers", "1", GREENROOM_SPLIT_BYTES="1000")
    scheduler.hear("tick")
    _wait_for_notes(job, settings)
    started = time.monotonic()
    assert scheduler.end() == 0, scheduler.heard
    assert time.monotonic() - started < 30
    assert [event["event"] for event in scheduler.heard] == ["scheduled", "tick", "stopped"]
    assert job.history() == []

    follower = schedulers(job, "--once", GREENROOM_SPLIT_BYTES="1000")
    said, _ = follower.process.communicate(timeout=300)
    assert follower.process.returncode == 0, said
    (report,) = (event for event in events(said) if event["event"] == "published")
    assert report["rows"] == 966
    assert 0 < report["resumed_splits"] < 40
    assert len(job.history()) == 1


def test_a_server_that_hangs_does_not_keep_a_scheduler_that_is_asked_to_end(
    one_day: pa.Table, job: Job, schedulers: Any, settings: S3Settings
) -> None:
    job.deliver(days_ago(1), one_day, files=40)
    with faulty_s3(settings) as faulty:
        environment = {
            "AWS_ENDPOINT_URL_S3": str(faulty.settings.endpoint),
            "GREENROOM_SPLIT_BYTES": "1000",
        }
        scheduler = schedulers(job, "--workers", "1", **environment)
        scheduler.hear("tick")
        _wait_for_notes(job, settings)
        faulty.fail(partial(time.sleep, 120), at=1, onward=True)
        started = time.monotonic()
        assert scheduler.end() == 0
        assert time.monotonic() - started < 40
    assert scheduler.heard[-1]["event"] == "stopped"
    assert "a day under way was left, and the next start goes on with it" in scheduler.heard[-1]["said"]
    assert job.history() == []


def _wait_for_notes(job: Job, settings: S3Settings) -> None:
    """Wait until some splits of a day are noted."""
    store, prefix = Store.connect(settings), f"{job.table}/_staging".removeprefix("s3://greenroom/")
    for _ in range(300):
        found = store.client.list_objects_v2(Bucket="greenroom", Prefix=prefix).get("Contents", [])
        if len(found) > 4:
            return
        time.sleep(0.1)
    raise AssertionError("no split was finished")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("AWS_ENDPOINT_URL_S3", "S3 does not answer"),
        ("MLFLOW_TRACKING_URI", "the MLflow server does not answer"),
    ],
)
def test_a_server_that_is_down_has_its_own_exit_code(
    operator: As, one_day: pa.Table, job: Job, name: str, says: str
) -> None:
    job.deliver(days_ago(1), one_day)
    ran = operator(main, "schedule", "--once", **{name: "http://127.0.0.1:1"})
    assert (ran.code, ran.out) == (75, "")
    assert f" {job.name} failed: " in ran.err
    assert says in ran.err
    assert "next tick" not in ran.err


def test_a_server_that_is_down_at_a_tick_is_asked_again_at_the_next(
    one_day: pa.Table, job: Job, schedulers: Any, settings: S3Settings
) -> None:
    job.declare({"cron": "* * * * *"})
    job.deliver(days_ago(1), one_day)
    with faulty_s3(settings) as faulty:
        faulty.fail(Fault.CLOSED, at=1, onward=True)
        scheduler = schedulers(job, AWS_ENDPOINT_URL_S3=str(faulty.settings.endpoint))
        failed = scheduler.hear("failed")
        assert "S3 does not answer" in failed["said"]
        assert failed["said"].endswith(". Tried again at the next tick")
        assert failed["code"] == 75
        faulty.forget()
        assert scheduler.hear("published")["rows"] == 966
        assert scheduler.end() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no_such_job"], "There is no job 'no_such_job'; there is: "),
        (["unscheduled"], "batch_jobs/unscheduled.yaml has no schedule. Add one, as: schedule: {cron:"),
        (["broken"], "batch_jobs/broken.yaml: schedule: timezone is 'Mars', expected a name"),
        ([], "batch_jobs/broken.yaml: schedule: timezone is 'Mars', expected a name"),
    ],
)
def test_a_wrong_job_file_ends_the_scheduler_before_it_begins(
    operator: As, in_production: int, job: Job, arguments: list[str], says: str
) -> None:
    assert in_production
    Job("broken", job.folder, job.settings).declare({"timezone": "Mars"})
    text = yaml.safe_load((job.folder / "broken.yaml").read_text())
    del text["schedule"]
    (job.folder / "unscheduled.yaml").write_text(yaml.safe_dump(text))
    for how in (["--once"], []):
        ran = operator(main, "schedule", *arguments, *how)
        assert (ran.code, says in ran.err) == (2, True), ran.err


def test_without_any_schedule_there_is_nothing_to_keep(operator: As, in_production: int, job: Job) -> None:
    assert in_production
    (job.folder / f"{job.name}.yaml").unlink()
    ran = operator(main, "schedule", "--once")
    assert (ran.code, "No job has a schedule. Add one, as: schedule: {cron:" in ran.err) == (2, True), ran.err


def test_one_job_that_fails_keeps_no_other_from_its_days(operator: As, one_day: pa.Table, job: Job) -> None:
    early = Job(f"{job.name}_early", job.folder, job.settings)
    early.declare(model="models:/flight-delay/Archived")
    job.deliver(days_ago(1), one_day)
    ran = operator(main, "schedule", "--once")
    assert ran.code == 4
    assert f" {early.name} failed: No version of flight-delay is in Archived" in ran.err
    assert job.rows(days_ago(1)) == 966
