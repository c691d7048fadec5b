"""Processes beside the workers: what ends soon is left alone for longer and longer."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from serving.http.kept import Kept, Pauses


def test_pauses_grow_up_to_the_longest() -> None:
    assert [Pauses().after(ends) for ends in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]
    pauses = Pauses(first_s=300, times=3, at_most_s=900)
    assert [pauses.after(ends) for ends in range(4)] == [300, 300, 900, 900]


def test_what_ended_is_started_again_after_its_pause_and_no_sooner(tmp_path: Path) -> None:
    log = tmp_path / "starts"
    begin = f"import time; open({str(log)!r}, 'a').write(f'{{time.monotonic()}}\\n')"
    kept = Kept("tried", [sys.executable, "-c", begin])
    until = time.monotonic() + 60
    starts: list[float] = []
    while len(starts) < 3 and time.monotonic() < until:
        kept.keep()
        time.sleep(0.05)
        starts = [float(line) for line in log.read_text().splitlines()] if log.exists() else []
    kept.stop()
    first, second, third = starts
    # From one start of the command to the next; what it takes to come to write varies by less than a second.
    assert second - first > 1
    assert third - second > 3


def test_what_is_forgiven_is_started_at_once_and_what_is_not_is_not(tmp_path: Path) -> None:
    log = tmp_path / "starts"
    kept = Kept("tried", ["sh", "-c", f"echo >> {log}"], pauses=Pauses(first_s=600))

    def keep(seconds: float) -> int:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            kept.keep()
            time.sleep(0.01)
        return len(log.read_text()) if log.exists() else 0

    assert keep(3) == 1
    kept.forgive()
    assert keep(3) == 2
    kept.stop()
