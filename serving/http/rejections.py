"""What the endpoint turns away before, or instead of, asking a model; and how it is counted."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from serving.contract.refusals import RequestError
from serving.watching.tally import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    Headers = Sequence[tuple[bytes, bytes]]

_REASONS = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Reason.TOO_MANY_ROWS,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Reason.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.INTERNAL_SERVER_ERROR: Reason.INTERNAL,
}


class RejectedError(RequestError):
    """A request that never came to a model: why, and headers that say what its sender may do."""

    def __init__(self, status: int, reason: Reason, message: str, headers: Headers = ()) -> None:
        super().__init__(message, status=status)
        self.reason, self.headers = reason, headers


def reason_of(refusal: RequestError) -> Reason:
    """Return how a refusal is counted; those of the contract go by their status."""
    if isinstance(refusal, RejectedError):
        return refusal.reason
    return _REASONS.get(HTTPStatus(refusal.status), Reason.BAD_REQUEST)


def overloaded(limit: int) -> RejectedError:
    """Say that as many requests wait as may."""
    message = f"{limit} requests wait for this worker already, which is as many as may. Ask again in a second"
    return RejectedError(503, Reason.OVERLOAD, message, [(b"retry-after", b"1")])


def full(max_bytes: int) -> RejectedError:
    """Say that the bodies that are arriving take as much memory as they may."""
    message = f"Bodies of {max_bytes:,} bytes are arriving at this worker already, which is as much as may"
    return RejectedError(503, Reason.OVERLOAD, f"{message}. Ask again in a second", [(b"retry-after", b"1")])


def not_ready(model: str, why: str) -> RejectedError:
    """Say that there is no version of a model to answer with."""
    return RejectedError(
        503, Reason.NOT_READY, f"No version of {model} answers here: {why}", [(b"retry-after", b"5")]
    )


def too_late(deadline_s: float) -> RejectedError:
    """Say that an answer would have come too late."""
    return RejectedError(
        504, Reason.DEADLINE, f"There was no answer within {deadline_s:g} s; ask for fewer rows"
    )


def broken() -> RejectedError:
    """Say that it is our fault."""
    return RejectedError(
        500, Reason.INTERNAL, "The endpoint failed over this request; its log says how, by this id"
    )
