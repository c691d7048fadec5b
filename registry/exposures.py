"""Which challengers may answer clients, beside the version in Production, and how that is stopped.

It is asked for, approved and rejected as everything else (`registry.decide`); the server decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.policy import Act
from registry.reviews import decide
from registry.service import call
from registry.standing import Exposure
from registry.versions import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.connection import Registry
    from registry.ledger import Line


@dataclass(frozen=True)
class Exposed:
    """A version in Staging that may answer clients now, with the artifact of this digest and no other.

    `approved_by` are the reviewers, parted by commas where the rules ask for several; `approved_at` is
    when the last of them approved (ISO 8601, UTC, the server's clock).
    """

    version: int
    digest: str
    approved_by: str
    approved_at: str


@dataclass(frozen=True)
class ExposureReview:
    """An exposure that was asked for, and what has become of it.

    `answers` is whether the version may answer clients now. `signature_breaks` says why it may not,
    though approved, while the present version in Production is there.
    """

    name: str
    version: int
    digest: str
    exposure: Exposure
    signature_breaks: tuple[str, ...]
    answers: bool


def exposed(registry: Registry, model: str) -> tuple[Exposed, ...]:
    """Return what of a model may answer clients now beside the version in Production, by number.

    Takes one small request. Raises `UnknownVersionError` where there is no such model.
    """
    return tuple(
        Exposed(
            version=found.version,
            digest=found.digest,
            approved_by=", ".join(line.by for line in found.exposure.approvals),
            approved_at=found.exposure.begun.at,
        )
        for found in list_exposures(registry, model)
        if found.answers and found.exposure.begun
    )


def list_exposures(registry: Registry, model: str | None = None) -> list[ExposureReview]:
    """Return what may answer clients and what waits for an approval for it, of one model or of all."""
    if model is not None:
        check_name(model)
    answer = call(registry, "GET", "/exposures", f"list exposures of {model or 'all models'}", name=model)
    return [_exposure(found) for found in answer["exposures"]]


def end_exposure(
    registry: Registry, model: str, version: int, reason: str, attempt: str | None = None
) -> Line:
    """Stop a version from answering clients, or take back the request that it should; say why.

    Whoever may change the model may do it. `attempt` is the caller's own id of what it tried (at most 64
    characters): sent twice by one login, it is done once, and the same line comes back. Raises
    `RefusedError` where there is nothing to end.
    """
    return decide(registry, Act.END_EXPOSURE, model, version, reason, attempt=attempt)[-1]


def _exposure(found: Mapping[str, Any]) -> ExposureReview:
    return ExposureReview(
        name=found["name"],
        version=found["version"],
        digest=found["digest"],
        exposure=Exposure.from_plain(found),
        signature_breaks=tuple(found["signature_breaks"]),
        answers=found["answers"],
    )
