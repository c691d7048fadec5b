"""From the spool to the tables: each record once, through kills of the recorder and absences of S3."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import REPOSITORY
from deltalake import DeltaTable
from faulty_s3 import Fault, FaultyS3, faulty_s3
from test_recording_spool import ONE

from serving.errors import ServingError
from serving.recording.exposure import Feedback
from serving.recording.frames import exposure_frame
from serving.recording.recorder import Destination, Recorder
from serving.recording.segments import finish_abandoned, list_segments
from serving.recording.spool import Spool
from storage import S3Settings, StorageUnavailableError

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))


@dataclass(frozen=True)
class Desk:
    """A spool, its recorder, and the tables that it records into."""

    folder: Path
    spool: Spool
    to: Destination
    settings: S3Settings

    def recorder(self) -> Recorder:
        return Recorder(self.folder)

    def table(self, name: str = "exposures") -> list[dict[str, Any]]:
        uri = self.to.exposures_uri if name == "exposures" else self.to.feedback_uri
        table = DeltaTable(uri, storage_options=self.settings.delta_options()).to_pyarrow_table()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def recorded(self) -> list[str]:
        return sorted(row["prediction_id"] for row in self.table())


@pytest.fixture
def desk(tmp_path: Path, s3: S3Settings) -> Desk:
    root = f"s3://greenroom/{uuid.uuid4().hex}"
    kinds = {"carrier": "string", "distance": "double"}
    to = Destination(f"{root}/exposures", f"{root}/feedback", s3, lambda _: kinds)
    return Desk(tmp_path / "spool", Spool(tmp_path / "spool", 2**22, lambda: None), to, s3)


@pytest.fixture(scope="module")
def faulty(s3: S3Settings) -> Iterator[FaultyS3]:
    with faulty_s3(s3) as through:
        yield through


def floats(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


def test_every_row_of_every_answer_is_in_the_table_with_what_was_asked(desk: Desk) -> None:
    records = b'{"dataframe_records": [{"carrier": "AA", "distance": 1}, {"carrier": null, "distance": 2.5}]}'
    csv = b"carrier,distance\nAA,7\n,\n"
    desk.spool.add(
        replace(ONE, prediction_id="a", predictions=floats(0.25, 0.5), body=records, entity="UA-1")
    )
    desk.spool.add(
        replace(ONE, prediction_id="b", predictions=floats(1, 2), body=csv, content_type="text/csv")
    )
    desk.spool.add(replace(ONE, prediction_id="c", predictions=b"", status=500, body=b"{", latency_s=0.5))
    desk.spool.add(replace(ONE, prediction_id="a", mode="shadow", arm="deeper", version=4, body=b""))
    desk.spool.add_feedback([Feedback("a", 1, 1.0, 1_400_000_000.0), Feedback("zz", 0, 0.0, 0.0)])
    assert desk.recorder().step(desk.to).rows == 6
    rows = {(row["prediction_id"], row["row"], row["arm"]): row for row in desk.table()}
    assert len(rows) == 6
    first = rows["a", 1, "champion"]
    assert {name: first[name] for name in ("prediction", "entity", "mode", "model", "model_version")} == {
        "prediction": 0.5, "entity": "UA-1", "mode": "champion", "model": "tiny", "model_version": 3
    }  # fmt: skip
    assert (first["artifact_digest"], first["status"], first["latency_ms"]) == ("sha256:ab", 200, 1.0)
    assert first["date"] == dt.date(2014, 5, 13)
    assert first["answered_at"] == dt.datetime(2014, 5, 13, 16, 53, 20, 250_000, dt.UTC)
    assert json.loads(first["features"]) == {"carrier": None, "distance": 2.5}
    assert json.loads(rows["b", 0, "champion"]["features"]) == {"carrier": "AA", "distance": 7.0}
    assert json.loads(rows["b", 1, "champion"]["features"]) == {"carrier": None, "distance": None}
    failed = rows["c", 0, "champion"]
    assert (failed["prediction"], failed["features"], failed["status"]) == (None, None, 500)
    shadow = rows["a", 0, "deeper"]
    assert (shadow["mode"], shadow["model_version"], shadow["features"]) == ("shadow", 4, None)
    said = {(row["prediction_id"], row["row"]): row for row in desk.table("feedback")}
    assert (said["a", 1]["outcome"], said["zz", 0]["date"]) == (1.0, dt.date(1970, 1, 1))


def test_a_segment_goes_when_it_is_over_and_in_the_table_and_not_before(desk: Desk) -> None:
    recorder = desk.recorder()
    desk.spool.add(ONE)
    assert recorder.step(desk.to).exposures == 1
    assert len(list_segments(desk.folder)) == 1  # its writer may go on, and does
    desk.spool.add(replace(ONE, prediction_id="p-2"))
    desk.spool.close()
    assert recorder.step(desk.to).exposures == 1
    assert list_segments(desk.folder) == {}
    assert recorder.step(desk.to).rows == 0
    assert desk.recorded() == ["p-1", "p-2"]


def test_a_torn_frame_of_a_writer_that_is_gone_is_counted_and_holds_nothing_up(desk: Desk) -> None:
    desk.spool.add(ONE)
    [path] = list_segments(desk.folder).values()
    assert finish_abandoned(path) is None  # we hold its lock
    with path.open("ab") as file:
        file.write(exposure_frame(ONE)[:50])
    desk.spool.close()
    recorded = desk.recorder().step(desk.to)
    assert (recorded.exposures, recorded.broken_bytes) == (1, 50)
    assert list_segments(desk.folder) == {}


def test_while_s3_is_away_all_waits_and_then_is_there_once(desk: Desk, faulty: FaultyS3) -> None:
    away = replace(desk.to, settings=replace(faulty.settings, delta_retries=1))
    recorder = desk.recorder()
    faulty.fail(Fault.CLOSED, at=1, onward=True)
    for number in range(6):
        desk.spool.add(replace(ONE, prediction_id=f"p-{number}"))
        with pytest.raises(StorageUnavailableError, match="S3 does not answer"):
            recorder.step(away)
    faulty.forget()
    while recorder.step(away).rows:
        pass
    assert desk.recorded() == [f"p-{number}" for number in range(6)]
    assert recorder.waiting_bytes() == 0


_RECORD = """
import json, sys
from pathlib import Path
from serving.recording.recorder import Destination, Recorder
from storage import S3Settings
folder, exposures, feedback, settings = json.loads(sys.argv[1])
import deltalake, pyarrow.parquet
print("ready", flush=True)
sys.stdin.readline()
recorder = Recorder(Path(folder))
while recorder.step(Destination(exposures, feedback, S3Settings(**settings), lambda _: {})).rows:
    pass
"""


@pytest.mark.parametrize("at", range(1, 40) if EXHAUSTIVE else [2, 5, 8, 11])
def test_a_recorder_that_is_killed_at_any_request_loses_and_doubles_nothing(
    at: int, desk: Desk, faulty: FaultyS3
) -> None:
    kept = [f"p-{number}" for number in range(5)]
    for name in kept:
        desk.spool.add(replace(ONE, prediction_id=name))
        desk.spool.add_feedback([Feedback(name, 0, 1.0, 5.0)])
    settings = {k: getattr(faulty.settings, k) for k in ("endpoint", "access_key_id", "secret_access_key")}
    given = json.dumps([str(desk.folder), desk.to.exposures_uri, desk.to.feedback_uri, settings])
    faulty.forget()
    with subprocess.Popen(
        [sys.executable, "-c", _RECORD, given],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        faulty.fail(partial(os.kill, process.pid, signal.SIGKILL), at=at)
        process.communicate("go\n")
    faulty.forget()
    assert process.returncode in {-signal.SIGKILL, 0}
    desk.spool.add(replace(ONE, prediction_id="p-5"))
    recorder = desk.recorder()
    while recorder.step(desk.to).rows:
        pass
    assert desk.recorded() == [*kept, "p-5"]
    assert sorted(row["prediction_id"] for row in desk.table("feedback")) == kept


def test_a_clock_that_was_set_back_moves_rows_to_another_day_and_loses_none(desk: Desk) -> None:
    recorder = desk.recorder()
    for number, at in enumerate([1_400_000_000.0, 1_300_000_000.0, 4_000_000_000.0]):
        desk.spool.add(replace(ONE, prediction_id=f"p-{number}", answered_at=at))
        recorder.step(desk.to)
    assert {row["prediction_id"]: row["date"].year for row in desk.table()} == {
        "p-0": 2014, "p-1": 2011, "p-2": 2096
    }  # fmt: skip


def test_notes_that_can_not_be_read_are_a_sentence_and_no_guess(desk: Desk) -> None:
    desk.spool.add(ONE)
    desk.recorder().step(desk.to)
    (desk.folder / "progress.json").write_text('{"writer": 1}')
    with pytest.raises(ServingError, match=r"progress\.json can not be read; expected what this"):
        desk.recorder().step(desk.to)
