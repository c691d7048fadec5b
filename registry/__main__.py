"""`python -m registry`: see what is on stage, ask for it, decide, go back, and check the record."""

from __future__ import annotations

import argparse
import os
import sys

_EXAMPLES = """examples:
  python -m registry list
  python -m registry request flight-delay 1 --reason "beats the rule of thumb on July"
  python -m registry requests
  python -m registry show flight-delay 1
  python -m registry approve flight-delay 1 --reason "calibration looked at"
  python -m registry approve flight-delay 2 --exposure --reason "may answer clients, beside version 1"
  python -m registry end-exposure flight-delay 2 --reason "its answers take too long"
  python -m registry rollback flight-delay --reason "too many false alarms since noon"
  python -m registry history flight-delay --at 2026-03-01T12:00
  python -m registry verify
  python -m registry doctor sqlite:///mlflow.db

exit codes: 0 done, 1 refused and other, 2 usage or unknown, 4 nothing on stage, 75 try again
settings are environment variables: docs/settings.md"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # A server that is down is said after five seconds; with MLflow's own 7 it takes minutes.
    from registry import prepare_client

    prepare_client(os.environ)
    import registry
    from registry import commands
    from storage import StorageError

    try:
        return int(getattr(commands, options.verb.replace("-", "_"))(os.environ, options))
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was decided by halves; look with: python -m registry list", 130)
    except registry.RegistryUnavailableError as error:
        return _fail(error, 75)
    except registry.NothingOnStageError as error:
        return _fail(error, 4)
    except registry.UnknownVersionError as error:
        return _fail(error, 2)
    except (registry.RegistryError, StorageError) as error:
        return _fail(error, 1)


def _fail(error: object, code: int) -> int:
    print(f"registry: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m registry",
        description="See what is on stage, ask for it, decide, go back, and check the record.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB", dest="verb")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON for machines")
    named = argparse.ArgumentParser(add_help=False, parents=[common])
    named.add_argument("name", help="the registered model")
    decision = argparse.ArgumentParser(add_help=False, parents=[named])
    decision.add_argument("--reason", required=True, help="why; kept for good")
    numbered = argparse.ArgumentParser(add_help=False, parents=[decision])
    numbered.add_argument("version", type=int)
    database = argparse.ArgumentParser(add_help=False, parents=[common])
    database.add_argument("database", help="sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME")

    def add(verb: str, parent: argparse.ArgumentParser, said: str) -> argparse.ArgumentParser:
        return verbs.add_parser(verb, allow_abbrev=False, parents=[parent], help=said)

    verb = add("list", common, "versions and their stages")
    verb.add_argument("name", nargs="?", help="one model; all without it")
    verb = add("show", named, "all about one version, and what the rules say to you")
    verb.add_argument("version", help="a number, or a stage")
    challenger = "as a challenger that answers clients, beside the version in Production"
    verb = add("request", numbered, "ask for Production; the version enters Staging")
    verb.add_argument("--exposure", action="store_true", help=f"ask for it {challenger}; it stays in Staging")
    add("requests", common, "what waits for a reviewer")
    verb = add("approve", numbered, "let in what another person asked for")
    either = verb.add_mutually_exclusive_group()
    either.add_argument("--exposure", action="store_true", help=f"let it in {challenger}")
    either.add_argument(
        "--accept-signature-change",
        action="store_true",
        help="approve although clients of the version in Production would break",
    )
    verb = add("reject", numbered, "send back what was asked for")
    verb.add_argument("--exposure", action="store_true", help="that it answers clients, and no more")
    add("withdraw", numbered, "take back what was asked for")
    add("end-exposure", numbered, "stop a challenger from answering clients, at once")
    verb = add("exposures", common, "which challengers may answer clients, and which wait for it")
    verb.add_argument("name", nargs="?", help="one model; all without it")
    verb = add("rollback", decision, "back to an earlier Production version, at once")
    verb.add_argument("--to", type=int, metavar="VERSION", help="which; the one before without it")
    add("archive", numbered, "put a version away; off Production, too")
    verb = add("history", named, "who did what, when and why")
    verb.add_argument("--at", metavar="TIME", help="what was live then (ISO 8601, UTC unless it says more)")
    verb = add("verify", common, "find altered, missing or reordered lines of the ledger")
    verb.add_argument("--database", help="read it there, not from the server")
    add("head", common, "the number and hash of the newest line")
    add("init", database, "install Greenroom's tables and guards in an MLflow database")
    add("doctor", database, "say what of them is missing or altered")
    return parser


if __name__ == "__main__":
    sys.exit(main())
