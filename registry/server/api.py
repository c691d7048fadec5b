"""Our REST routes, beside MLflow's and behind its login: what our command line and others call.

One of them, `changes`, is answered before the login where a ticket is shown that it gave out.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED
from mlflow.server import handlers

from registry.changes import CHANGES_PATH
from registry.errors import RegistryError
from registry.policy import Act
from registry.server import identity, reading
from registry.server.changes import Tickets
from registry.server.decisions import Asked, Refused
from registry.server.store import GreenroomStore
from registry.server.tables import newest_number
from registry.service import ROOT
from registry.validation import Validation

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.server.reading import Exposing
    from registry.server.versions import Version

_MOST_LINES = 1000
_HIGHEST = 2**31 - 1
# Of these the rules say who may do them, and MLflow who sees the model.
_REVIEWS = (Act.APPROVE, Act.REJECT, Act.ROLLBACK, Act.APPROVE_EXPOSURE, Act.REJECT_EXPOSURE)

api = Blueprint("greenroom", __name__, url_prefix=ROOT)


def the_store() -> GreenroomStore:
    """Return the registry of this server. Raises where it was started without Greenroom's store."""
    store = handlers._get_model_registry_store()  # noqa: SLF001  # MLflow's own handlers call it
    if not isinstance(store, GreenroomStore):
        raise MlflowException(
            "This server keeps its registry without Greenroom. Start it with --registry-store-uri"
            " greenroom+sqlite:///… or greenroom+postgresql+psycopg://…"
        )
    return store


@cache
def tickets() -> Tickets:
    """Return those of this server."""
    from mlflow.server import auth

    return Tickets(auth.get_flask_server_secret_key().encode())


def _route(path: str, method: str) -> Callable[[Callable[[], Any]], Callable[[], Response]]:
    def decorate(function: Callable[[], Any]) -> Callable[[], Response]:
        @api.route(path, methods=[method])
        @handlers.catch_mlflow_exception  # type: ignore[untyped-decorator]  # mlflow has no types
        @wraps(function)
        def answer() -> Response:
            return jsonify(function())

        return answer  # type: ignore[no-any-return]

    return decorate


@_route("/decisions", "POST")
def post_decision() -> Any:
    """Ask for, approve, reject, withdraw, roll back or archive a version; or expose it, or end that."""
    said = _body({"action", "name", "version", "reason", "attempt", "accept_signature_change"})
    action, model = _text(said, "action"), _text(said, "name")
    if action not in set(Act) - {Act.DELETE}:
        raise _bad(f"action is {action!r:.40}, expected one of {', '.join(sorted(set(Act) - {Act.DELETE}))}")
    act, reason, attempt = Act(action), _text(said, "reason", 100_000), _text(said, "attempt", 64)
    role = the_store().rules.reviewer_role
    allowed = identity.may_read(model) if act in _REVIEWS else identity.may_take_part(model, role)
    if not allowed:
        raise MlflowException(f"This login may not change {model}", PERMISSION_DENIED)
    if act is Act.ROLLBACK:
        number = _number(said, "version") if said.get("version") is not None else None
        written = the_store().roll_back(model, number, reason, attempt)
    else:
        accepts = said.get("accept_signature_change", False) is True
        asked = Asked(act, model, _number(said, "version"), reason, attempt, accepts)
        written = the_store().decide(asked)
    return {"lines": [line.to_plain() for line in written]}


@_route("/validations", "POST")
def post_validation() -> Any:
    """Write a verdict down, under the login of who asks."""
    said = _body({"name", "version", "attempt", "validation"})
    model, number, attempt = _text(said, "name"), _number(said, "version"), _text(said, "attempt", 64)
    if not identity.may_edit(model):
        raise MlflowException(f"This login may not change {model}", PERMISSION_DENIED)
    try:
        verdict = Validation.from_plain(said.get("validation") or {})
    except RegistryError as error:
        raise Refused(f"The verdict on {model} version {number}", (f"{error}.",)) from error
    return {"lines": [line.to_plain() for line in the_store().validate(model, number, verdict, attempt)]}


@_route("/version", "GET")
def get_version() -> Any:
    """Answer with all about one version: where it stands, its history, and what the caller may do."""
    dossier = reading.read_dossier(the_store(), _argument("name"), _whole(_argument("version"), "version"))
    return {
        **version_as_plain(dossier.candidate),
        "champion": dossier.champion.number if dossier.champion else None,
        "signature_breaks": list(dossier.signature_breaks),
        "refusals": {act: list(reasons) for act, reasons in dossier.refusals.items()},
        "lines": [line.to_plain() for line in dossier.lines],
    }


@_route("/requests", "GET")
def get_requests() -> Any:
    """Answer with what waits for a reviewer."""
    return {"requests": [version_as_plain(v) for v in reading.read_queue(the_store())]}


@_route("/exposures", "GET")
def get_exposures() -> Any:
    """Answer with the versions that may answer clients beside Production, and those that wait for it."""
    model = _argument("name") if "name" in request.args else None
    if model is not None:
        if not identity.may_read(model):
            raise MlflowException(f"This login may not see {model}", PERMISSION_DENIED)
        the_store().get_registered_model(model)
    return {"exposures": [_exposure_as_plain(found) for found in reading.read_exposures(the_store(), model)]}


@_route("/ledger", "GET")
def get_ledger() -> Any:
    """Answer with a page of the ledger: of one model, or the whole chain."""
    after = _whole(request.args.get("after", "0"), "after")
    limit = min(_whole(request.args.get("limit", str(_MOST_LINES)), "limit"), _MOST_LINES)
    lines = reading.read_lines(the_store(), request.args.get("name"), after, limit)
    return {"lines": [line.to_plain() for line in lines]}


@_route(CHANGES_PATH, "GET")
def get_changes() -> Any:
    """Answer with the length of the ledger, and a ticket with which that is asked again for less."""
    with the_store().sessions() as session:
        number = newest_number(session)
    return {"number": number, "ticket": tickets().issue(time.time())}


@_route("/rules", "GET")
def get_rules() -> Any:
    """Answer with the rules this server goes by."""
    return asdict(the_store().rules)


def version_as_plain(version: Version) -> dict[str, Any]:
    """Return a version and its standing as JSON values."""
    standing = version.standing
    return {
        "name": version.model,
        "version": version.number,
        "stage": version.stage,
        "author": standing.author,
        "run_id": version.run_id,
        "digest": standing.digest,
        "artifact": standing.artifact,
        "validation": standing.verdict.to_plain() if standing.verdict else None,
        "request": standing.request.to_plain() if standing.request else None,
        "approvals": [line.to_plain() for line in standing.approvals],
        "was_in_production": standing.was_in_production,
        "exposure": standing.exposure.to_plain(),
    }


def _exposure_as_plain(found: Exposing) -> dict[str, Any]:
    version = found.version
    return {
        "name": version.model,
        "version": version.number,
        "digest": version.standing.digest,
        **version.standing.exposure.to_plain(),
        "signature_breaks": list(found.breaks),
        "answers": found.answers,
    }


def _body(known: set[str]) -> dict[str, Any]:
    # A form of another site could send a body too, but not with this type.
    try:
        said = request.get_json(silent=True) if request.mimetype == "application/json" else None
    except RecursionError:
        said = None
    if not isinstance(said, dict):
        raise _bad("expected a JSON object, sent as application/json")
    for key in said:
        if key not in known:
            raise _bad(f"unknown key {key!r:.40}, expected {', '.join(sorted(known))}")
    return said


def _text(said: dict[str, Any], key: str, most: int = 256) -> str:
    value = said.get(key)
    if not isinstance(value, str) or len(value) > most:
        raise _bad(f"{key} is {value!r:.40}, expected a text of at most {most:,} characters")
    # A reason is judged by the rules, which say more.
    if key != "reason" and not (value and value.isprintable()):
        raise _bad(f"{key} is {value!r:.40}, expected printable characters, and at least one")
    return value


def _number(said: dict[str, Any], key: str) -> int:
    value = said.get(key)
    if type(value) is not int or not 1 <= value <= _HIGHEST:
        raise _bad(f"{key} is {value!r:.40}, expected a whole number from 1")
    return value


def _argument(key: str) -> str:
    value = request.args.get(key)
    if not value:
        raise _bad(f"the argument {key} is missing")
    if not value.isprintable():
        raise _bad(f"{key} is {value!r:.40}, expected printable characters")
    return value


def _whole(text: str, key: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):  # noqa: PLR2004  # fits 64 bits
        raise _bad(f"{key} is {text!r:.40}, expected a whole number")
    return int(text)


def _bad(what: str) -> MlflowException:
    return MlflowException(f"{request.path}: {what}", INVALID_PARAMETER_VALUE)
