"""The demo: a model's whole life on real data, by public commands only, each printed before it runs."""

import ctypes
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy import ports
from deploy.credentials import Role
from deploy.errors import DeployError
from deploy.lifecycle import up
from deploy.scenario import FIRST_VERSION, OPERATOR, SCORE_AND_COMPARE, SECOND_VERSION, SERVE, Step
from deploy.service import answers
from deploy.settings import UNSET, Settings
from deploy.stack import Stack

_REPOSITORY = Path(__file__).resolve().parent.parent
_ENDPOINT_PORT = 5001
_PATIENCE_S = 120
_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass
class _Play:
    """The demo under way: who types what where, and what has happened so far."""

    environments: Mapping[Role, Mapping[str, str]]
    log: Path
    names: dict[str, str]
    happened: list[tuple[str, str, str, float]] = field(default_factory=list)

    def run(self, step: Step) -> None:
        """Print a command, run it, print what it says; raises DeployError if it fails."""
        command = step.command.format(**self.names)
        _say(f"\n{step.role}$ {command}")
        started = time.monotonic()
        said = ""
        with subprocess.Popen(
            shlex.split(command),
            cwd=_REPOSITORY,
            env=self.environments[step.role],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                _say(f"  {line.rstrip()}")
                said += line
        found = re.search(step.shows, said)
        if process.returncode or found is None:
            raise DeployError(
                f"The demo stopped at `{command}`, which ended with exit code {process.returncode}; what"
                " it said stands above. Run `make demo` again once that is mended."
            )
        self.names.update({k: v for k, v in found.groupdict().items() if k != "shown"})
        shown = " ".join(found["shown"].split())
        self.happened.append((step.title, step.role, shown, time.monotonic() - started))

    @contextmanager
    def endpoint(self) -> Iterator[subprocess.Popen[bytes]]:
        """Serve what is in Production while the block runs."""
        command = SERVE.format(**self.names)
        _say(f"\n{OPERATOR}$ {command} &")
        with (
            self.log.open("ab") as log,
            subprocess.Popen(
                shlex.split(command),
                cwd=_REPOSITORY,
                env=self.environments[OPERATOR],
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_the_demo,  # noqa: PLW1509  # this process has one thread
            ) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()

    def wait_for_endpoint(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the endpoint answers; raises DeployError if it does not come to that."""
        until = time.monotonic() + _PATIENCE_S
        while not answers(int(self.names["port"]), "/ready"):
            if process.poll() is not None or time.monotonic() > until:
                raise DeployError(f"The endpoint did not come to answer; see {self.log}.")
            time.sleep(0.2)


def run(settings: Settings) -> int:
    """Play the demo on the stack of the settings, started if it is not running; it stays up."""
    started = time.monotonic()
    _say("$ make up")
    stack = up(settings.state_dir, s3_port=settings.s3_port, mlflow_port=settings.mlflow_port)
    _say(f"  S3 at {stack.s3_endpoint}, MLflow at {stack.mlflow_uri}")
    _say('  A command below is typed by the role before its "$", in a shell prepared with:')
    _say('  eval "$(make -s env ROLE=author)"')
    port = _ENDPOINT_PORT if ports.is_free(_ENDPOINT_PORT) else ports.free_ports(1)[0]
    play = _Play(
        environments={role: {**_inherited(), **stack.environment(role)} for role in Role},
        log=stack.state_dir / "logs" / "endpoint.log",
        names={"port": str(port)},
    )
    for step in FIRST_VERSION:
        play.run(step)
    # The endpoint loads while the batch job scores.
    with play.endpoint() as endpoint:
        score, compare = SCORE_AND_COMPARE
        play.run(score)
        play.wait_for_endpoint(endpoint)
        play.run(compare)
        for step in SECOND_VERSION:
            play.run(step)
    _print_what_happened(play, stack, time.monotonic() - started)
    return 0


def _inherited() -> dict[str, str]:
    # What would win over the keys of a role is left out, as `make env` unsets it.
    return {name: value for name, value in os.environ.items() if name not in UNSET}


def _print_what_happened(play: _Play, stack: Stack, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("", "by", "what happened"):
        table.add_column(heading, overflow="fold")
    table.add_column("s", justify="right")
    for title, role, shown, took in play.happened[:-1]:
        table.add_row(title, role, Text(shown), f"{took:.0f}")
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print()
    console.print(table)
    _say(f"\nDone in {seconds:.0f} s. The stack is still up:")
    _say(
        f"  MLflow  {stack.mlflow_uri}  (models, runs, plots; log in as author, reviewer, operator or admin)"
    )
    _say(f"  review  {stack.mlflow_uri}/review/  (what waits, who decided what, and why)")
    _say(f"  S3      {stack.s3_endpoint}  (s3://greenroom/flight_delay/predictions)")
    _say("  make env ROLE=reviewer prints a role's password and variables; make down stops the stack")


def _say(line: str) -> None:
    print(line, flush=True)


def _end_with_the_demo() -> None:
    # A killed demo must not leave its endpoint behind; MLflow ties its own children the same way.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
