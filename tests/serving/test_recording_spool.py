"""The spool: nothing that a worker kept is lost with it, and never more is kept than may be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from commands import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.recording.exposure import Exposure, Feedback
from serving.recording.frames import exposure_frame, feedback_frame, read_frames
from serving.recording.spool import DONE, OPEN, Spool, held_bytes

ONE = Exposure(
    prediction_id="p-1",
    answered_at=1_400_000_000.25,
    model="tiny",
    version=3,
    digest="sha256:ab",
    arm="champion",
    mode="champion",
    entity=None,
    status=200,
    latency_s=0.001,
    predictions=b"\x00\x00\x80?",
    content_type="application/json",
    body=b'{"instances": []}',
)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_EXPOSURES = st.builds(
    Exposure,
    prediction_id=_TEXTS,
    answered_at=st.floats(0, 4e9),
    model=_TEXTS,
    version=st.integers(1, 2**62),
    digest=_TEXTS,
    arm=_TEXTS,
    mode=st.sampled_from(["champion", "ab", "canary", "shadow"]),
    entity=st.none() | _TEXTS,
    status=st.integers(200, 599),
    latency_s=st.floats(0, 1e5),
    predictions=st.binary(max_size=40),
    content_type=_TEXTS,
    body=st.binary(max_size=200),
)
_OUTCOMES = st.lists(
    st.builds(Feedback, _TEXTS, st.integers(0, 10**6), st.floats(allow_nan=False), st.floats(0, 4e9)),
    min_size=1,
    max_size=5,
)


def spooled(folder: Path) -> list[str]:
    """The ids of all exposures in a spool, in the order of its segments."""
    found = [read_frames(path.read_bytes()) for path in sorted(folder.iterdir())]
    return [exposure.prediction_id for frames in found for exposure in frames.exposures]


def some(folder: Path, limit_bytes: int = 2**20) -> tuple[Spool, list[int]]:
    drops: list[int] = []
    return Spool(folder, limit_bytes, lambda: drops.append(1)), drops


@given(st.lists(_EXPOSURES, max_size=4), _OUTCOMES)
def test_what_was_kept_is_read_back_to_the_last_bit(exposures: list[Exposure], said: list[Feedback]) -> None:
    content = b"".join(map(exposure_frame, exposures)) + feedback_frame(said)
    found = read_frames(content)
    assert (list(found.exposures), list(found.feedback)) == (exposures, said)
    assert (found.end, found.broken) == (len(content), 0)


@given(st.lists(_EXPOSURES, min_size=1, max_size=4), st.data())
def test_a_frame_that_was_cut_off_is_left_for_later_and_those_before_it_are_whole(
    exposures: list[Exposure], data: st.DataObject
) -> None:
    frames = [exposure_frame(exposure) for exposure in exposures]
    cut = data.draw(st.integers(0, len(frames[-1]) - 1))
    found = read_frames(b"".join(frames[:-1]) + frames[-1][:cut])
    assert list(found.exposures) == exposures[:-1]
    assert found.end == sum(map(len, frames[:-1]))


@settings(max_examples=50)
@given(st.lists(_EXPOSURES, min_size=3, max_size=3), st.data())
def test_a_broken_frame_costs_itself_and_no_other(exposures: list[Exposure], data: st.DataObject) -> None:
    frames = [bytearray(exposure_frame(exposure)) for exposure in exposures]
    at = data.draw(st.integers(0, len(frames[1]) - 1))
    frames[1][at] ^= data.draw(st.integers(1, 255))
    found = read_frames(b"".join(frames))
    assert list(found.exposures) == [exposures[0], exposures[2]]
    assert found.broken == len(frames[1])


def test_a_bounded_read_ends_between_two_frames_and_goes_on_there() -> None:
    content = exposure_frame(ONE) * 10
    found = read_frames(content, most_bytes=len(content) // 4)
    assert (len(found.exposures), found.end) == (2, len(content) // 5)
    assert len(read_frames(content[found.end :]).exposures) == 8
    assert len(read_frames(content, most_bytes=1).exposures) == 1


def test_all_workers_together_stay_within_the_bound_and_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    limit = 2**20
    workers = [some(tmp_path, limit) for _ in range(3)]
    large = replace(ONE, body=b"x" * 10_000)
    kept = 0
    for _ in range(60):
        for spool, _drops in workers:
            kept += spool.add(large)
    on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert on_disk <= held_bytes(tmp_path) <= limit
    assert kept == len(spooled(tmp_path)) > 80  # most of the bound is used
    assert sum(len(drops) for _, drops in workers) == 180 - kept


def test_there_is_room_again_when_a_segment_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.recording.spool._LOOK_AGAIN_S", 0.0)
    spool, drops = some(tmp_path)
    while not drops:
        spool.add(replace(ONE, body=b"x" * 10_000))
    min(tmp_path.glob(f"*{DONE}")).unlink()
    assert spool.add(ONE)
    assert spool.add_feedback([Feedback("p-1", 0, 1.0, 2.0)])


def test_one_record_larger_than_a_segment_has_one_of_its_own(tmp_path: Path) -> None:
    spool, drops = some(tmp_path)
    assert spool.add(replace(ONE, body=b"x" * 500_000))
    assert not spool.add(replace(ONE, body=b"x" * 2_000_000))
    assert drops == [1]
    assert spool.add(ONE)
    assert spooled(tmp_path) == ["p-1", "p-1"]


def test_a_folder_that_can_not_be_written_costs_drops_and_no_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool, drops = some(tmp_path / "file" / "spool")
    assert not spool.add(ONE)
    assert not spool.add_feedback([Feedback("p-1", 0, 1.0, 2.0)])
    assert drops == [1, 1]


def test_a_full_disk_leaves_whole_frames_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, drops = some(tmp_path)
    assert spool.add(ONE)
    write = os.write
    with monkeypatch.context() as patch:
        # What the kernel does when the last block is taken: some bytes, then no more.
        patch.setattr(os, "write", lambda file, frame: write(file, frame[:20]))
        assert not spool.add(replace(ONE, prediction_id="p-2"))
    assert spool.add(replace(ONE, prediction_id="p-3"))
    assert spooled(tmp_path) == ["p-1", "p-3"]
    assert drops == [1]


_WORKER = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from test_recording_spool import ONE
from serving.recording.spool import Spool
spool, n = Spool(Path(sys.argv[1]), 64 * 2**20, lambda: None), 0
while True:
    assert spool.add(replace(ONE, prediction_id=f"p-{n}", body=b"x" * 3_000))
    print(n, flush=True)
    n += 1
"""


def test_a_worker_that_is_killed_loses_nothing_that_it_kept(tmp_path: Path) -> None:
    tests = str(Path(__file__).parent)
    command = [sys.executable, "-c", _WORKER, str(tmp_path), tests]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout
        for _ in range(2000):  # over the end of a segment
            assert worker.stdout.readline()
        os.kill(worker.pid, signal.SIGKILL)
        rest = worker.stdout.read().split("\n")[:-1]
    told = 2000 + len(rest)
    found = spooled(tmp_path)
    assert found[:told] == [f"p-{n}" for n in range(told)]
    assert len(found) - told in {0, 1}
    assert len(list(tmp_path.glob(f"*{OPEN}"))) == 1


def test_a_spool_that_is_closed_leaves_no_segment_open() -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool, _ = some(Path(folder))
        spool.add(ONE)
        spool.close()
        assert [path.suffix for path in Path(folder).iterdir()] == [DONE]
