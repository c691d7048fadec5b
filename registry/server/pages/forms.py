"""What comes in with a request: read, bounded, and refused in a sentence where it is not ours."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from flask import request
from flask_wtf.csrf import validate_csrf
from werkzeug.exceptions import BadRequest, NotFound
from wtforms import ValidationError

from registry.policy import Act
from registry.server.pages import times
from registry.server.pages.choices import EXPOSURES

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

_HIGHEST = 2**31 - 1
_MOST_NAME = 256
# Long enough to read all evidence in peace. The token also ends with the browser's session.
_FORM_LIVES_S = 12 * 3600
ACTS = (Act.APPROVE, Act.REJECT, Act.REQUEST, Act.WITHDRAW, Act.ROLLBACK, Act.ARCHIVE, *EXPOSURES)


def check_origin() -> None:
    """Raise unless the form was sent from a page of ours, and lately."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise BadRequest(_foreign("another site sent it"))
    try:
        validate_csrf(request.form.get("csrf_token", ""), time_limit=_FORM_LIVES_S)
    except ValidationError as error:
        raise BadRequest(_foreign(str(error).rstrip("."))) from error


def version_named(values: Mapping[str, str]) -> tuple[str, int]:
    """Return the model and the version that are named. Raises where there can be no such version."""
    text = values.get("version", "")
    # No more digits than the highest has: longer ones are slow to read.
    if not (text.isascii() and text.isdecimal() and len(text) < 11) or not 1 <= int(text) <= _HIGHEST:  # noqa: PLR2004
        raise NotFound(f"There is no version {text[:40]!r}; expected a whole number from 1.")
    return model_named(values), int(text)


def model_named(values: Mapping[str, str]) -> str:
    """Return the model that is named. Raises where there can be no such model."""
    name = values.get("name", "")
    if not 0 < len(name) <= _MOST_NAME or not name.isprintable():
        raise NotFound(f"There is no model {name[:40]!r}.")
    return name


def act_of(values: Mapping[str, str]) -> Act:
    """Return what is asked for."""
    act = values.get("act", "")
    if act not in ACTS:
        raise BadRequest(f"The form asks to {act[:40]!r}; expected one of {', '.join(ACTS)}.")
    return Act(act)


def attempt_of(values: Mapping[str, str], act: Act) -> str:
    """Return the id of the attempt: each act of one form has its own, and is done once."""
    try:
        form = uuid.UUID(values.get("attempt", ""))
    except ValueError as error:
        raise BadRequest("The form has no attempt id. Open the page again.") from error
    return str(uuid.uuid5(form, act))


def reason_of(values: Mapping[str, str]) -> str:
    """Return the reason; a line break that was typed becomes a space."""
    return values.get("reason", "").replace("\r\n", " ").replace("\n", " ").strip(" ")


def time_asked(values: Mapping[str, str]) -> dt.datetime | None:
    """Return the time that is asked about, if any."""
    text = values.get("at", "")
    if not text:
        return None
    try:
        return times.moment(text)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{text[:40]!r} is no time; expected, in UTC: 2026-01-31T13:45.") from error


def _foreign(why: str) -> str:
    return (
        f"Nothing was changed: the form did not come from a page of this server, or is too old ({why})."
        " Open the page again."
    )
