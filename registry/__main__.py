"""`python -m registry`: see what is on stage, ask for it, decide, go back."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from registry import ModelVersion, Registry

_EXAMPLES = """examples:
  python -m registry list
  python -m registry show flight-delay 1
  python -m registry request flight-delay 1 --reason "beats the rule of thumb on July"
  python -m registry approve flight-delay 1 --reason "calibration looked at"
  python -m registry promote flight-delay 1 --to Production --reason "goes live"
  python -m registry rollback flight-delay --reason "too many false alarms since noon"
  python -m registry history flight-delay

exit codes: 0 done, 2 usage or unknown, 4 nothing on stage, 75 try again, 1 refused and other
settings are environment variables: docs/settings.md"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # A server that is down is said after five seconds; with MLflow's own 7 it takes minutes.
    from registry import prepare_client

    prepare_client(os.environ)
    import registry

    try:
        return int(options.run(registry.connect(os.environ), options))
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was decided by halves; look with: python -m registry list", 130)
    except registry.RegistryUnavailableError as error:
        return _fail(error, 75)
    except registry.NothingOnStageError as error:
        return _fail(error, 4)
    except registry.UnknownVersionError as error:
        return _fail(error, 2)
    except registry.RegistryError as error:
        return _fail(error, 1)


def _list(at: Registry, options: argparse.Namespace) -> int:
    from registry import list_versions

    versions = list_versions(at, options.name)
    if options.json:
        return _print_json([_plain(v) for v in versions])
    if not versions:
        print("No model is registered yet. Train one: mlflow run .")
        return 0
    rows = [
        (
            v.name,
            str(v.version),
            v.stage,
            v.author or "",
            f"{v.created_at:%Y-%m-%d %H:%M}",
            (v.digest or "")[:12],
        )
        for v in versions
    ]
    _print_table(("model", "version", "stage", "author", "registered (UTC)", "digest"), rows)
    return 0


def _show(at: Registry, options: argparse.Namespace) -> int:
    from registry import resolve
    from registry.transitions import read_approval, read_request
    from registry.validation import read_validation

    version = resolve(at, f"models:/{options.name}/{options.version}")
    validation = read_validation(version)
    reviews = {"request": read_request(version), "approval": read_approval(version)}
    if options.json:
        found = {k: v and asdict(v) for k, v in {"validation": validation, **reviews}.items()}
        return _print_json({**_plain(version), **found})
    rows = [
        ("stage", version.stage.value),
        ("author", version.author or "not known"),
        ("registered", f"{version.created_at:%Y-%m-%d %H:%M} UTC"),
        ("training run", version.run_id or "none"),
        ("digest", version.digest or "none"),
    ]
    rows += [
        (f"  {f.path}", f"{f.size_bytes:,} bytes")
        for f in (version.manifest.files if version.manifest else ())
    ]
    if validation is None:
        rows.append(("validation", "none"))
    else:
        rows.append(("validation", f"{'passed' if validation.passed else 'failed'}, run {validation.run_id}"))
        rows.append(("", f"on {validation.window}, {validation.rows:,} rows"))
        rows.append(("", f"compared with {validation.compared_with}"))
        rows += [("", reason) for reason in validation.reasons]
    rows += [(k, f"{r.by}, {r.at}: {r.reason}" if r else "none") for k, r in reviews.items()]
    _print_table((f"{version.name} version {version.version}", ""), rows)
    return 0


def _request(at: Registry, options: argparse.Namespace) -> int:
    from registry import request

    version = request(at, options.name, options.version, options.reason, _now())
    return _done(options, version, "waits in Staging for a reviewer's approval")


def _approve(at: Registry, options: argparse.Namespace) -> int:
    from registry import approve

    version = approve(at, options.name, options.version, options.reason, _now())
    return _done(options, version, f"is approved by {at.user}; python -m registry promote lets it go live")


def _promote(at: Registry, options: argparse.Namespace) -> int:
    from registry import Stage, UnknownVersionError, promote

    if options.to not in set(Stage):
        raise UnknownVersionError(
            f"There is no stage {options.to!r}; stages are {', '.join(Stage)}, written exactly so"
        )
    version = promote(at, options.name, options.version, Stage(options.to), options.reason, _now())
    return _done(options, version, f"is in {version.stage}")


def _rollback(at: Registry, options: argparse.Namespace) -> int:
    from registry import rollback

    version = rollback(at, options.name, options.to, options.reason, _now())
    return _done(options, version, "is in Production again")


def _history(at: Registry, options: argparse.Namespace) -> int:
    from registry import read_history

    transitions = read_history(at, options.name)
    if options.json:
        return _print_json([asdict(t) for t in transitions])
    if not transitions:
        print(f"No version of {options.name} has changed its stage yet")
        return 0
    rows = [
        (t.at.replace("+00:00", "Z"), str(t.version), f"{t.from_stage} → {t.to_stage}", t.by, t.reason)
        for t in transitions
    ]
    _print_table(("when (UTC)", "version", "transition", "by", "why"), rows)
    return 0


def _done(options: argparse.Namespace, version: ModelVersion, what: str) -> int:
    if options.json:
        return _print_json(_plain(version))
    print(f"{version.name} version {version.version} {what}")
    return 0


def _plain(version: ModelVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "stage": version.stage,
        "author": version.author,
        "run_id": version.run_id,
        "created_at": version.created_at.isoformat(),
        "digest": version.digest,
    }


def _print_json(value: object) -> int:
    print(json.dumps(value, indent=2))
    return 0


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # In a pipe there is no width to fit; a row is one line.
    width = None if sys.stdout.isatty() else 240
    Console(width=width).print(table)


def _fail(error: object, code: int) -> int:
    print(f"registry: {error}", file=sys.stderr)
    return code


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m registry",
        description="See what is on stage, ask for it, decide, go back.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON for machines")
    decision = argparse.ArgumentParser(add_help=False, parents=[common])
    decision.add_argument("name", help="the registered model")
    decision.add_argument("--reason", required=True, help="why; kept for good")
    numbered = argparse.ArgumentParser(add_help=False, parents=[decision])
    numbered.add_argument("version", type=int)

    verb = verbs.add_parser("list", allow_abbrev=False, parents=[common], help="versions and their stages")
    verb.add_argument("name", nargs="?", help="one model; all without it")
    verb.set_defaults(run=_list)

    verb = verbs.add_parser("show", allow_abbrev=False, parents=[common], help="all about one version")
    verb.add_argument("name")
    verb.add_argument("version", help="a number, or a stage")
    verb.set_defaults(run=_show)

    verb = verbs.add_parser(
        "request",
        allow_abbrev=False,
        parents=[numbered],
        help="ask for Production; the version enters Staging",
    )
    verb.set_defaults(run=_request)

    verb = verbs.add_parser(
        "approve", allow_abbrev=False, parents=[numbered], help="approve what another person requested"
    )
    verb.set_defaults(run=_approve)

    verb = verbs.add_parser(
        "promote", allow_abbrev=False, parents=[numbered], help="move a version to Staging or Production"
    )
    verb.add_argument("--to", required=True, metavar="STAGE", help="Staging or Production")
    verb.set_defaults(run=_promote)

    verb = verbs.add_parser(
        "rollback", allow_abbrev=False, parents=[decision], help="back to an earlier Production version"
    )
    verb.add_argument("--to", type=int, metavar="VERSION", help="which; the one before without it")
    verb.set_defaults(run=_rollback)

    verb = verbs.add_parser(
        "history", allow_abbrev=False, parents=[common], help="every transition: who, when, why"
    )
    verb.add_argument("name")
    verb.set_defaults(run=_history)
    return parser


if __name__ == "__main__":
    sys.exit(main())
