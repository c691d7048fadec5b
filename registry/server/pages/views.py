"""The routes of the review pages. They read, ask `store` to decide, and fill templates."""

from __future__ import annotations

import os
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import (
    Blueprint,
    Response,
    g,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from mlflow.exceptions import MlflowException
from mlflow.server.handlers import _add_static_prefix
from werkzeug.exceptions import Forbidden, HTTPException, NotFound

from registry.history import live_at
from registry.server import clock, identity, reading
from registry.server.api import the_store
from registry.server.decisions import Asked, Refused
from registry.server.pages import forms, mlflow_link, models, screens, timeline, times, trying
from registry.server.pages.choices import REVIEWS
from registry.server.pages.compared import newest_comparison
from registry.server.pages.runs import read_run

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as Answer

_FOLDER = Path(__file__).parent
_ENTRIES = 100
_MOST_BYTES = 1_000_000
_TITLES = {400: "Not done", 403: "Not allowed", 404: "Not found", 413: "Too large"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none';"
        " base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

# Behind MLflow's own pages, wherever `mlflow server --static-prefix` puts those.
pages = Blueprint("review", __name__, url_prefix=_add_static_prefix("/review"), template_folder="templates")
pages.before_app_request(mlflow_link.forget_cached)
pages.after_app_request(mlflow_link.add_link)
pages.add_app_template_filter(times.shown, "greenroom_time")
# The cookie behind the forms' tokens; nothing else of ours is in it.
pages.record_once(lambda setup: setup.app.config.update(SESSION_COOKIE_SAMESITE="Lax"))


@pages.before_request
def bound() -> None:
    """Refuse what is far larger than any form of ours."""
    request.max_content_length = _MOST_BYTES


@pages.get("")
@pages.get("/")
def queue() -> Response:
    """Show what waits for a review, and what is in Production."""
    store, now = the_store(), clock.now()
    waiting = screens.queue(reading.read_queue(store), store.rules, now)
    live, more_after = models.read_models(store, request.args.get("after", "").replace("\0", ""))
    challengers = reading.read_exposures(store)
    return _page("queue.html", waiting=waiting, challengers=challengers, live=live, more_after=more_after)


@pages.get("/version")
def version() -> Response:
    """Show one version, with all that a reviewer needs to decide."""
    name, number = forms.version_named(request.args)
    return _version_page(name, number, done=request.args.get("done", ""))


@pages.post("/decide")
def decide() -> Answer:
    """Do what was asked for with a form, once, and show the version again."""
    forms.check_origin()
    (name, number), act = forms.version_named(request.form), forms.act_of(request.form)
    _must_see(name)
    if act not in REVIEWS and not identity.may_take_part(name, the_store().rules.reviewer_role):
        raise Forbidden(f"This login may not change {name} (a permission in MLflow).")
    asked = Asked(
        act,
        name,
        number,
        forms.reason_of(request.form),
        forms.attempt_of(request.form, act),
        accepts_signature_change=request.form.get("accept_signature_change") == "yes",
    )
    try:
        written = the_store().decide(asked)
    except Refused as refused:
        return _version_page(name, number, HTTPStatus.BAD_REQUEST, refused=refused, asked=asked)
    done = written[-1].number
    return redirect(url_for("review.version", name=name, version=number, done=done), HTTPStatus.SEE_OTHER)


@pages.post("/try")
def try_row() -> Response:
    """Send a row to a version and to the champion, and show both answers."""
    forms.check_origin()
    name, number = forms.version_named(request.form)
    return _version_page(name, number, typed=request.form)


@pages.get("/history")
def history() -> Response:
    """Show all that happened to a model, the newest first, and what was live at a time."""
    name, when = forms.model_named(request.args), forms.time_asked(request.args)
    _must_see(name)
    lines = models.read_history(the_store(), name)
    if not lines and not models.exists(the_store(), name):
        raise NotFound(f"There is no model {name!r}, and never was.")
    before = request.args.get("before", "")
    upto = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None  # noqa: PLR2004
    shown = [line for line in lines if upto is None or line.number < upto]
    return _page(
        "history.html",
        name=name,
        entries=timeline.entries(shown[-_ENTRIES:]),
        older=shown[-_ENTRIES].number if len(shown) > _ENTRIES else None,
        lines=len(lines),
        when=when,
        live=live_at(lines, when or clock.now()),
    )


@pages.get("/style.css")
def style() -> Response:
    """Return the pages' style."""
    return send_file(_FOLDER / "style.css", mimetype="text/css")


@pages.get("/mlflow.css")
def mlflow_style() -> Response:
    """Return the style of the link in MLflow's own pages."""
    return send_file(_FOLDER / "mlflow.css", mimetype="text/css")


@pages.errorhandler(HTTPException)
def http_problem(error: HTTPException) -> Response:
    """Show what went wrong as a page."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    said = error.description or ""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        said = "The server could not do it. See how things stand before you try again; its log says more."
    return _page("problem.html", status, title=_TITLES.get(status, error.name), said=said)


@pages.errorhandler(MlflowException)
def mlflow_problem(error: MlflowException) -> Response:
    """Show MLflow's own refusals, and ours, as a page."""
    return http_problem(_as_http(error))


@pages.after_request
def add_headers(response: Response) -> Response:
    """Let a browser load nothing but our own, and keep nothing."""
    response.headers.update(_HEADERS)
    if request.endpoint in {"review.style", "review.mlflow_style"}:
        response.headers["Cache-Control"] = "no-cache"
    return response


def _version_page(
    name: str,
    number: int,
    status: int = HTTPStatus.OK,
    *,
    done: str = "",
    refused: Refused | None = None,
    asked: Asked | None = None,
    typed: Any = None,
) -> Response:
    _must_see(name)
    store = the_store()
    if not models.exists(store, name):
        raise NotFound(f"There is no model {name!r}.")
    dossier = reading.read_dossier(store, name, number)
    candidate, champion = dossier.candidate, dossier.champion
    validation = candidate.standing.validation
    evidence = screens.Evidence(
        training=read_run(candidate.run_id, "training"),
        validation=read_run(validation.run_id if validation else None, "validation"),
        champions_training=read_run(champion.run_id, "champion's training")
        if champion and champion.number != number
        else None,
        live=newest_comparison(store, candidate, champion),
    )
    screen = screens.version_screen(
        dossier, evidence, store.rules, may_edit=identity.may_take_part(name, store.rules.reviewer_role)
    )
    return _page(
        "version.html",
        status,
        screen=screen,
        entries=timeline.entries(dossier.lines),
        done=next((line for line in dossier.lines if str(line.number) == done), None),
        refused=tuple(refused.json_kwargs["reasons"]) if refused else (),
        asked=asked,
        attempt=uuid.uuid4(),
        **_tried(screen, typed),
    )


def _tried(screen: screens.VersionScreen, typed: Any) -> dict[str, Any]:
    candidate, champion = screen.dossier.candidate, screen.champion
    inputs = trying.inputs_of(candidate, typed)
    answers, problem = [], ""
    if typed is not None:
        asked = {f"Version {candidate.number}, the candidate": candidate}
        if champion:
            asked[f"Version {champion.number}, in Production"] = champion
        try:
            answers = trying.ask(asked, trying.row_of(inputs), trying.cache_of(os.environ))
        except trying.BadRowError as error:
            problem = str(error)
    return {"inputs": inputs, "answers": answers, "row_problem": problem, "most_inputs": trying.MOST_COLUMNS}


def _must_see(name: str) -> None:
    if not identity.may_read(name):
        raise Forbidden(f"There is no model {name!r} that this login may see.")


def _page(template: str, status: int = HTTPStatus.OK, **shown: Any) -> Response:
    me = identity.actor(the_store().rules.reviewer_role) if g.get("mlflow_authenticated_user") else None
    return make_response(render_template(f"review/{template}", me=me, mlflow=_mlflow, **shown), status)


def _mlflow(*path: object) -> str:
    """Return the address of a page of MLflow's own application."""
    return f"{url_for('serve')}#/{'/'.join(quote(str(part), safe='') for part in path)}"


def _as_http(error: MlflowException) -> HTTPException:
    status = error.get_http_status_code()
    made = HTTPException(error.message if status < HTTPStatus.INTERNAL_SERVER_ERROR else None)
    made.code = status
    return made
