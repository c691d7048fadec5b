"""The verbs of `python -m registry`: fetch, and hand to the output. Named as they are typed."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import registry
from registry import output
from registry.errors import NothingOnStageError, UnknownVersionError
from registry.heads import HEADS_VARIABLE, Heads
from registry.ledger import find_faults
from registry.policy import Act

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from registry.ledger import Head, Line


def list(environment: Mapping[str, str], options: argparse.Namespace) -> int:  # noqa: A001  # the verb
    """Print the versions of one model, or of all."""
    versions = registry.list_versions(registry.connect(environment), options.name)
    return output.print_versions(versions, as_json=options.json)


def show(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Print one version: where it stands, its history, and what the caller may do."""
    at = registry.connect(environment)
    version = registry.resolve(at, f"models:/{options.name}/{options.version}")
    review = registry.read_review(at, version.name, version.version)
    return output.print_review(version, review, as_json=options.json)


def requests(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Print what waits for a reviewer."""
    waiting = registry.list_requests(registry.connect(environment))
    return output.print_requests(waiting, as_json=options.json)


def request(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Ask for Production, or for exposure."""
    act = Act.REQUEST_EXPOSURE if options.exposure else Act.REQUEST
    return _decide(act, environment, options)


def approve(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Let a version in, or before clients."""
    if options.exposure:
        return _decide(Act.APPROVE_EXPOSURE, environment, options)
    accepts = options.accept_signature_change
    return _decide(Act.APPROVE, environment, options, accept_signature_change=accepts)


def reject(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Send a request back."""
    act = Act.REJECT_EXPOSURE if options.exposure else Act.REJECT
    return _decide(act, environment, options)


def end_exposure(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Stop a challenger."""
    return _decide(Act.END_EXPOSURE, environment, options)


def exposures(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Print which challengers may answer clients, and which wait for it."""
    found = registry.list_exposures(registry.connect(environment), options.name)
    return output.print_exposures(found, as_json=options.json)


def withdraw(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Take a request back."""
    return _decide(Act.WITHDRAW, environment, options)


def archive(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Put a version away."""
    return _decide(Act.ARCHIVE, environment, options)


def rollback(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Go back to an earlier version."""
    options.version = options.to
    return _decide(Act.ROLLBACK, environment, options)


def history(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Print every line about a model, or what was live at a time."""
    lines = [*registry.read_history(registry.connect(environment), options.name)]
    if options.at is None:
        return output.print_history(options.name, lines, as_json=options.json)
    when = _time(options.at)
    live = registry.live_at(lines, when)
    if live is None:
        raise NothingOnStageError(
            f"No version of {options.name} was in Production at {when:%Y-%m-%d %H:%M:%S} UTC"
        )
    return output.print_live(options.name, live, when, as_json=options.json)


def verify(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Compare the ledger with itself and with its heads."""
    lines = _ledger(environment, options.database)
    heads = _heads(environment)
    faults = find_faults(lines, heads or ())
    return output.print_verdict(len(lines), heads, faults, as_json=options.json)


def head(environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Print the newest line's number and hash."""
    lines = _ledger(environment, None)
    return output.print_head(lines[-1] if lines else None, as_json=options.json)


def init(environment: Mapping[str, str], options: argparse.Namespace) -> int:  # noqa: ARG001  # as all verbs
    """Install tables and guards."""
    from registry.server import operate

    return output.print_sentences(operate.init(options.database), "Nothing was missing", as_json=options.json)


def doctor(environment: Mapping[str, str], options: argparse.Namespace) -> int:  # noqa: ARG001
    """Say what is missing or altered."""
    from registry.server import operate

    problems = operate.doctor(options.database)
    output.print_sentences(problems, "All tables and guards are there", as_json=options.json)
    return 1 if problems else 0


def _decide(act: Act, environment: Mapping[str, str], options: argparse.Namespace, **also: Any) -> int:
    at = registry.connect(environment)
    if options.version is not None:
        # A number that no version can have is told as such, and not sent.
        registry.find_version(at, options.name, options.version)
    lines = registry.decide(at, act, options.name, options.version, options.reason, **also)
    return output.print_decision(lines, as_json=options.json)


def _ledger(environment: Mapping[str, str], database: str | None) -> Sequence[Line]:
    if database is None:
        return [*registry.read_history(registry.connect(environment))]
    from registry.server import operate

    return operate.read_ledger(database)


def _heads(environment: Mapping[str, str]) -> tuple[Head, ...] | None:
    from storage import S3Settings, Store

    uri = environment.get(HEADS_VARIABLE)
    if not uri:
        return None
    return (*Heads(Store.connect(S3Settings.from_environment(environment)), uri).read(),)


def _time(text: str) -> dt.datetime:
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise UnknownVersionError(
            f"--at is {text!r:.40}, expected a time such as 2026-03-01T12:00 (UTC unless it says more)"
        ) from error
    return when if when.tzinfo else when.replace(tzinfo=dt.UTC)
