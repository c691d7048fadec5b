"""`python -m deploy replay`: sets the scene, lets the days go by, and ends with the report."""

from __future__ import annotations

import datetime as dt
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import deploy
from deploy import ports
from deploy.credentials import Role
from deploy.replay.clients import Clients
from deploy.replay.people import People
from deploy.replay.play import JOB, MODEL, Play
from deploy.replay.scene import Endpoint
from deploy.replay.upstream import Upstream
from deploy.settings import UNSET
from storage import S3Settings, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.replay.play import Happened

_DAY = dt.timedelta(days=1)
_KEY = "flight_id"


def run(since: dt.date, until: dt.date, out: Path, each_day: int) -> int:
    """Play the days on a stack of its own; leave the report at `out`."""
    began = time.monotonic()
    for name in UNSET:
        # From the process, too: where the settings of a role say nothing, deltalake takes what is there.
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="greenroom-replay-") as scratch:
        folder = Path(scratch)
        _say(f"Playing {since} to {until} on a stack of its own, in {folder}")
        with deploy.running(folder / "state", s3_port=0, mlflow_port=0) as stack:
            own = {
                "GREENROOM_CACHE_DIR": str(folder / "cache"),
                "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            }
            people = People({role: {**os.environ, **stack.environment(role), **own} for role in Role})
            author = people.environments[Role.AUTHOR]
            port = ports.free_ports(1)[0]
            endpoint = Endpoint.of(port, f"{JOB}.yaml", folder / "routes")
            play = Play(
                people,
                Upstream.of(JOB, author, Store.connect(S3Settings.from_environment(author))),
                endpoint,
                Clients(port, each_day, _KEY),
                _say,
            )
            play.prepare(since - _DAY)
            log = folder / "endpoint.log"
            with endpoint.running(MODEL, people.environments[Role.OPERATOR], log):
                for nth in range((until - since).days + 1):
                    play.day(since + nth * _DAY)
            report = f"python -m batch_jobs monitor {JOB} --from {since} --to {until - _DAY} --no-alerts"
            people.type(Role.AUTHOR, f"{report} --out {out.resolve()}", allowed=(0, 3))
    _print_what_happened(play.happened)
    _say(f"\nDone in {time.monotonic() - began:.0f} s. The report: {out}")
    return 0


def _print_what_happened(happened: Sequence[Happened]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("day", "by", "what happened"):
        table.add_column(heading, overflow="fold")
    for each in happened:
        table.add_row(str(each.day), each.by, Text(each.what))
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print()
    console.print(table)


def _say(line: str) -> None:
    print(line, flush=True)
