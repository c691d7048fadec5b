"""Stops what a block started, when the block ends and also when its process is killed.

A second process waits for the end of a pipe that only this one holds; whatever ends this one, the
kernel closes the pipe.
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy import processes


@contextmanager
def stopping(
    marker: str, *, politely: signal.Signals = signal.SIGTERM, remove: Path | None = None
) -> Iterator[None]:
    """After the block, stop every process under `marker`, then remove a folder if one is given.

    Start nothing under the marker before the block.
    """
    command = [sys.executable, "-m", __name__, marker, str(int(politely)), *([str(remove)] if remove else [])]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A signal to our group, such as Ctrl-C, must not take it along.
        start_new_session=True,
    ) as dog:
        try:
            yield
        finally:
            _stop(marker, politely, remove)
            dog.kill()


def _stop(marker: str, politely: signal.Signals, remove: Path | None) -> None:
    processes.stop(marker, politely=politely)
    if remove is not None:
        shutil.rmtree(remove, ignore_errors=True)


def _main(marker: str, politely: str, *remove: str) -> None:
    sys.stdin.buffer.read()
    _stop(marker, signal.Signals(int(politely)), Path(*remove) if remove else None)


if __name__ == "__main__":
    _main(*sys.argv[1:])
