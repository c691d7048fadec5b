"""The one place where a version changes its stage."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from registry import policy
from registry.connection import translated
from registry.errors import NothingOnStageError, RefusedError
from registry.history import Transition, append_history, read_history
from registry.stages import Stage, assign
from registry.validation import read_validation
from registry.versions import find_version, list_versions

if TYPE_CHECKING:
    import datetime as dt

    from registry.connection import Registry
    from registry.versions import ModelVersion

REQUEST_TAG = "greenroom.request"
APPROVAL_TAG = "greenroom.approval"


def request(registry: Registry, name: str, version: int, reason: str, now: dt.datetime) -> ModelVersion:
    """Ask for Production: a validated version enters Staging, where a reviewer finds it."""
    found = find_version(registry, name, version)
    facts = _facts(registry, found, reason)
    _refuse(f"The request for {name} version {version}", policy.request_refusals(facts))
    _write_review(registry, found, REQUEST_TAG, reason, now)
    if found.stage is not Stage.STAGING:
        _move(registry, found, Stage.STAGING, reason, now)
    return replace(found, stage=Stage.STAGING)


def approve(registry: Registry, name: str, version: int, reason: str, now: dt.datetime) -> ModelVersion:
    """Approve what was requested. Moves nothing: `promote` does."""
    found = find_version(registry, name, version)
    facts = _facts(registry, found, reason)
    _refuse(f"The approval of {name} version {version}", policy.approve_refusals(facts))
    _write_review(registry, found, APPROVAL_TAG, reason, now)
    return found


def promote(
    registry: Registry, name: str, version: int, to: Stage, reason: str, now: dt.datetime
) -> ModelVersion:
    """Move a version to Staging (validated) or Production (approved); the old one is archived."""
    found = find_version(registry, name, version)
    facts = _facts(registry, found, reason)
    _refuse(f"The move of {name} version {version} to {to}", policy.promote_refusals(facts, to))
    return _move(registry, found, to, reason, now)


def rollback(
    registry: Registry, name: str, version: int | None, reason: str, now: dt.datetime
) -> ModelVersion:
    """Put a version back in Production that was there before.

    Without a number it is the one before the present one; rolled back again, the one before that.
    """
    number = _version_before(registry, name) if version is None else version
    found = find_version(registry, name, number)
    facts = _facts(registry, found, reason)
    _refuse(f"The rollback to {name} version {found.version}", policy.rollback_refusals(facts))
    return _move(registry, found, Stage.PRODUCTION, reason, now)


def read_request(version: ModelVersion) -> policy.Review | None:
    """Read who asked for Production, and why; None where nobody did."""
    return _read_review(version, REQUEST_TAG)


def read_approval(version: ModelVersion) -> policy.Review | None:
    """Read who approved, and why; None where nobody did."""
    return _read_review(version, APPROVAL_TAG)


def _version_before(registry: Registry, name: str) -> int:
    # A rollback takes a version off the pile, so that a second one goes further back and not forth.
    pile: list[int] = []
    for transition in read_history(registry, name):
        if transition.to_stage is Stage.PRODUCTION:
            if transition.version in pile:
                del pile[pile.index(transition.version) + 1 :]
            else:
                pile.append(transition.version)
    existing = {v.version for v in list_versions(registry, name)}
    earlier = [version for version in pile[:-1] if version in existing]
    if not earlier:
        raise NothingOnStageError(
            f"{name} has no earlier Production version to go back to. See: python -m registry history {name}"
        )
    return earlier[-1]


def _move(
    registry: Registry, version: ModelVersion, to: Stage, reason: str, now: dt.datetime
) -> ModelVersion:
    leaving = [
        v
        for v in list_versions(registry, version.name)
        if to is Stage.PRODUCTION and v.stage is Stage.PRODUCTION
    ]
    assign(registry, version.name, version.version, to)
    moved = [(v, Stage.ARCHIVED) for v in leaving] + [(version, to)]
    for each, stage in moved:
        entry = Transition(
            version=each.version,
            from_stage=each.stage,
            to_stage=stage,
            by=registry.user,
            at=now.isoformat(timespec="seconds"),
            reason=reason if each is version else f"replaced by version {version.version}",
            digest=each.digest,
        )
        append_history(registry, version.name, entry)
    return replace(version, stage=to)


def _facts(registry: Registry, version: ModelVersion, reason: str) -> policy.Facts:
    history = read_history(registry, version.name)
    into_production = [
        number
        for number, transition in enumerate(history)
        if transition.version == version.version and transition.to_stage is Stage.PRODUCTION
    ]
    approval = read_approval(version)
    return policy.Facts(
        version=version.version,
        stage=version.stage,
        actor=registry.user,
        reason=reason,
        author=version.author,
        digest=version.digest,
        validation=read_validation(version),
        request=read_request(version),
        approval=approval,
        was_in_production=bool(into_production),
        approval_was_used=approval is not None and any(n >= approval.after for n in into_production),
    )


def _refuse(action: str, reasons: tuple[str, ...]) -> None:
    if reasons:
        raise RefusedError(action, reasons)


def _write_review(registry: Registry, version: ModelVersion, tag: str, reason: str, now: dt.datetime) -> None:
    at = now.isoformat(timespec="seconds")
    after = len(read_history(registry, version.name))
    review = policy.Review(registry.user, at, reason, version.digest, after)
    with translated(f"write {tag} on {version.name} version {version.version}"):
        registry.client.set_model_version_tag(
            version.name, str(version.version), tag, json.dumps(asdict(review))
        )


def _read_review(version: ModelVersion, tag: str) -> policy.Review | None:
    text = version.tags.get(tag)
    return policy.Review(**json.loads(text)) if text else None
