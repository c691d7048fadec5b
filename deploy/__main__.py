"""The command: `python -m deploy up|down|status|env|clean-state|demo|replay`."""

import argparse
import datetime as dt
import importlib
import json
import os
import shlex
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import deploy
from deploy.settings import UNSET, Settings

_EXAMPLES = """\
examples:
  python -m deploy up
  eval "$(python -m deploy env --role author)"
  python -m deploy status --json
  python -m deploy down
  python -m deploy replay --from 2013-09-15 --to 2013-11-15 --out replay.html
  GREENROOM_S3_PORT=0 GREENROOM_MLFLOW_PORT=0 python -m deploy up    any free ports

settings:
  GREENROOM_STATE_DIR     where everything is kept (.greenroom in the repository)
  GREENROOM_S3_PORT       8333, or the one used before; 0 takes a free one
  GREENROOM_MLFLOW_PORT   5000, or the one used before; 0 takes a free one

exit codes: 0 done, 1 failed, 2 usage, 75 try again, 130 interrupted; status: 1 if not all runs
"""

# The flights are those of 2013; the first version needs some months, and a month to be validated on.
_FIRST, _LAST, _FIRST_POSSIBLE = dt.date(2013, 7, 1), dt.date(2013, 12, 31), dt.date(2013, 4, 1)

_EX_TEMPFAIL = 75
_INTERRUPTED = 130


def up(settings: Settings) -> int:
    stack = deploy.up(
        settings.state_dir,
        s3_port=settings.s3_port,
        mlflow_port=settings.mlflow_port,
        notify=_tell,
    )
    if not stack.started:
        print("The stack is already running.")
    for service, address in stack.addresses.items():
        note = "  started" if service in stack.started else ""
        print(f"{service.title:<7} {address}{note}")
    roles = ", ".join(deploy.Role)
    print(f'Roles ({roles}): eval "$(make -s env ROLE=author)"')
    return 0


def down(settings: Settings) -> int:
    stopped = deploy.down(settings.state_dir)
    for service in stopped:
        print(f"{service.title} stopped.")
    if not stopped:
        print("Nothing is running.")
    return 0


def status(settings: Settings, *, as_json: bool) -> int:
    services = deploy.status(settings.state_dir)
    if as_json:
        print(json.dumps([asdict(service) for service in services]))
    else:
        for service in services:
            pid = "" if service.pid is None else f"pid {service.pid}"
            line = f"{service.service.title:<7} {service.state:<14} {service.address or ''}  {pid}"
            print(line.rstrip())
    return 0 if all(service.state == "running" for service in services) else 1


def env(settings: Settings, role: str) -> int:
    environment = deploy.load(settings.state_dir).environment(role)
    unset = [name for name in UNSET if name in os.environ]
    if unset:
        print("unset", *unset)
    for name, value in environment.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def clean_state(settings: Settings) -> int:
    removed = deploy.clean_state(settings.state_dir)
    print(f"Removed {settings.state_dir}." if removed else f"Nothing at {settings.state_dir}.")
    return 0


def demo(settings: Settings) -> int:
    # By name: what the demo imports takes longer than every other verb needs.
    return int(importlib.import_module("deploy.demo").run(settings))


def replay(parsed: argparse.Namespace) -> int:
    days = parsed.since, parsed.to
    if days[1] <= days[0]:
        print(f"deploy: the replay ends {days[1]}, and has to end after {days[0]}", file=sys.stderr)
        return 2
    return int(importlib.import_module("deploy.replay.run").run(*days, parsed.out, parsed.each_day))


def main(arguments: list[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(parsed.run(Settings.from_environ(os.environ), parsed))
    except deploy.DeployError as error:
        print(f"deploy: {error}", file=sys.stderr)
        if isinstance(error, deploy.UsageError):
            return 2
        return _EX_TEMPFAIL if isinstance(error, deploy.TransientError) else 1
    except OSError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        started = "nothing that this command started was left running"
        left = "the stack may still be up: make down" if parsed.verb == "demo" else started
        print(f"deploy: interrupted; {left}.", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy",
        description="The embedded stack: S3 and MLflow on this machine, on loopback only.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verb = verbs.add_parser("up", help="start what is not running, and wait until it answers")
    verb.set_defaults(run=lambda settings, _: up(settings))
    verb = verbs.add_parser("down", help="stop what was started; data stays")
    verb.set_defaults(run=lambda settings, _: down(settings))
    verb = verbs.add_parser("status", help="what runs, and where")
    verb.add_argument("--json", action="store_true", help="for machines")
    verb.set_defaults(run=lambda settings, parsed: status(settings, as_json=parsed.json))
    verb = verbs.add_parser("env", help="addresses and credentials of a role, for a shell")
    verb.add_argument("--role", choices=[str(role) for role in deploy.Role], required=True)
    verb.set_defaults(run=lambda settings, parsed: env(settings, parsed.role))
    verb = verbs.add_parser("clean-state", help="stop everything and forget all data")
    verb.set_defaults(run=lambda settings, _: clean_state(settings))
    verb = verbs.add_parser("demo", help="the whole lifecycle, on real data")
    verb.set_defaults(run=lambda settings, _: demo(settings))
    verb = verbs.add_parser(
        "replay",
        help="half a year of real flights in minutes, on a stack of its own: each day is scored, answered"
        " for and looked back at; what falls is trained again, compared and reviewed",
    )
    verb.add_argument("--from", dest="since", type=_day, default=_FIRST, metavar="DATE", help="2013-07-01")
    verb.add_argument("--to", type=_day, default=_LAST, metavar="DATE", help="2013-12-31")
    verb.add_argument("--each-day", type=int, default=400, metavar="N", help="requests to the endpoint; 400")
    verb.add_argument("--out", type=Path, default=Path("replay.html"), metavar="FILE", help="the report")
    verb.set_defaults(run=lambda _, parsed: replay(parsed))
    return parser


def _day(text: str) -> dt.date:
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        found = dt.date.min
    if not _FIRST_POSSIBLE <= found <= _LAST:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a day of the replay; expected one from {_FIRST_POSSIBLE} to {_LAST}"
        )
    return found


def _tell(message: str) -> None:
    if sys.stderr.isatty():
        print(message, file=sys.stderr)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
