"""The most memory that a process ever had, as the kernel counts it: VmHWM of `/proc` (Linux only)."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import DeployError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# The peak never falls, so that only what is reached between the last look and the end is missed.
_PAUSE_S = 0.01
_PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")


class MeasurementError(DeployError):
    """A measured command failed, or the process to be measured was never seen."""


def run_measured(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, words: Sequence[str]
) -> tuple[int, str]:
    """Run a command; return the peak in bytes of the process below it with `words` in a row as arguments.

    That is the command itself, or one that it started. Returns also what was written to standard output.
    `ru_maxrss` would not do: it is handed down from the process that a process was forked from.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=err) as process:
            try:
                peak = _watch(process, words)
            except BaseException:
                process.terminate()
                raise
        out.seek(0)
        err.seek(0)
        said, complained = out.read().decode(), err.read().decode()
    if process.returncode:
        raise MeasurementError(
            f"`{' '.join(command)}` ended with exit code {process.returncode}: {complained[-2000:].strip()}"
        )
    if not peak:
        raise MeasurementError(
            f"`{' '.join(command)}` ran, and no process with the arguments {' '.join(words)!r} was seen;"
            f" expected one in /proc, which {sys.platform} may not have: measure on Linux"
        )
    return peak, said


def _watch(process: subprocess.Popen[bytes], words: Sequence[str]) -> int:
    wanted = b"\0" + b"\0".join(word.encode() for word in words) + b"\0"
    peak, watched = 0, None
    while process.poll() is None:
        if watched is None:
            watched = next((pid for pid in _family(process.pid) if wanted in _read(pid, "cmdline")), None)
        if watched is not None and (found := _PEAK.search(_read(watched, "status"))):
            peak = max(peak, int(found[1]) * 1024)
        time.sleep(_PAUSE_S)
    return peak


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_bytes().split()
        except OSError:
            continue
        for child in found:
            yield from _family(int(child))


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # it has just ended
