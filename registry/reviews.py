"""What reviewers, authors and operators do with a version, and what they read before they do it.

Every decision is made by the server, under the login of the call, in one transaction; what comes back
are the lines that it wrote in the ledger.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.ledger import Line
from registry.service import call
from registry.stages import Stage
from registry.standing import Exposure
from registry.validation import Validation
from registry.versions import check_name, find_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.connection import Registry
    from registry.policy import Act
    from registry.versions import ModelVersion

_PAGE = 1000


@dataclass(frozen=True)
class Review:
    """A version as the server knows it: where it stands, and what the rules say to the caller.

    `refusals` names, for each act, why the caller may not do it now; empty where they may.
    """

    name: str
    version: int
    stage: Stage
    author: str | None
    run_id: str | None
    digest: str | None
    validation: Validation | None
    validated: Line | None
    request: Line | None
    approvals: tuple[Line, ...]
    champion: int | None
    signature_breaks: tuple[str, ...]
    refusals: Mapping[str, tuple[str, ...]]
    lines: tuple[Line, ...]
    exposure: Exposure


def decide(
    registry: Registry,
    act: Act,
    name: str,
    version: int | None,
    reason: str,
    *,
    accept_signature_change: bool = False,
    attempt: str | None = None,
) -> list[Line]:
    """Do one of the acts of review. Raises `RefusedError` with one sentence for each reason.

    `attempt` is the caller's own id of it: sent twice by one login, it is done once.

    A rollback without a version goes to the one before the present one; rolled back again, the one
    before that.
    """
    check_name(name)
    # Asked first: to a login that is no admin, MLflow answers 403 for versions of no model.
    find_model(registry, name)
    answer = call(
        registry,
        "POST",
        "/decisions",
        f"{act} {name} version {version}" if version else f"{act} {name}",
        action=str(act),
        name=name,
        version=version,
        reason=reason,
        attempt=attempt or str(uuid.uuid4()),
        accept_signature_change=accept_signature_change or None,
    )
    return [Line.from_plain(line) for line in answer["lines"]]


def record_validation(registry: Registry, version: ModelVersion, validation: Validation) -> Line:
    """Hand in the verdict on a version, under one's own login; the newest one counts."""
    answer = call(
        registry,
        "POST",
        "/validations",
        f"record the validation of {version.name} version {version.version}",
        name=version.name,
        version=version.version,
        attempt=str(uuid.uuid4()),
        validation=validation.to_plain(),
    )
    return Line.from_plain(answer["lines"][0])


def read_review(registry: Registry, name: str, version: int) -> Review:
    """Read all that is known of a version, and what the caller may do with it."""
    answer = call(registry, "GET", "/version", f"read {name} version {version}", name=name, version=version)
    return _review(answer)


def list_requests(registry: Registry) -> list[Review]:
    """Return what waits for a reviewer, longest first."""
    answer = call(registry, "GET", "/requests", "list the requests")
    return [_review(found) for found in answer["requests"]]


def read_history(registry: Registry, name: str | None = None) -> Iterator[Line]:
    """Yield every line about a model, oldest first; without a name, the whole ledger."""
    if name is not None:
        check_name(name)
        find_model(registry, name)
    after = 0
    while True:
        answer = call(registry, "GET", "/ledger", "read the ledger", name=name, after=after, limit=_PAGE)
        lines = [Line.from_plain(line) for line in answer["lines"]]
        yield from lines
        if len(lines) < _PAGE:
            return
        after = lines[-1].number


def _review(answer: Mapping[str, Any]) -> Review:
    verdict, request = answer["validation"], answer["request"]
    return Review(
        name=answer["name"],
        version=answer["version"],
        stage=Stage(answer["stage"]),
        author=answer["author"],
        run_id=answer["run_id"],
        digest=answer["digest"],
        validation=Validation.from_plain(verdict["evidence"]["validation"]) if verdict else None,
        validated=Line.from_plain(verdict) if verdict else None,
        request=Line.from_plain(request) if request else None,
        approvals=tuple(Line.from_plain(line) for line in answer["approvals"]),
        champion=answer.get("champion"),
        signature_breaks=tuple(answer.get("signature_breaks", ())),
        refusals={act: tuple(said) for act, said in answer.get("refusals", {}).items()},
        lines=tuple(Line.from_plain(line) for line in answer.get("lines", ())),
        exposure=Exposure.from_plain(answer["exposure"]),
    )
