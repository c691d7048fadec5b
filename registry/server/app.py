"""The MLflow server's app: MLflow's own with its logins, and ours inside them.

Named by `mlflow server --app-name greenroom`. MLflow's user management stays what it is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from mlflow.server import app as mlflow_app
from mlflow.server import auth, handlers
from starlette.middleware import Middleware

from registry.server import api, identity
from registry.server.background import Background
from registry.server.changes import TellsChanges
from registry.server.immutable import KeepsArtifacts, refusal
from registry.server.pages import pages
from registry.server.triggers import MARK
from registry.service import ROOT

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from sqlalchemy.engine import Engine

_JOB_TOKEN = "_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN"  # noqa: S105  # the name of it
_BOOTSTRAPPED = "_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED"
_IN_WORKER = "_MLFLOW_SGI_NAME"
_SENTENCE = re.compile(re.escape(MARK) + r"([^\n]+)")


def prepare_server(environment: MutableMapping[str, str]) -> None:
    """Do once, above all workers, what MLflow does for its own `basic-auth` app and for no other.

    Makes the first admin, and the token that the server's jobs show its workers. Raises where the
    server would start without Greenroom's store, or without the settings that logins need.
    """
    api.the_store()
    secret = auth.get_flask_server_secret_key()
    auth.bootstrap_admin_user()
    environment[_BOOTSTRAPPED] = "true"
    environment[_JOB_TOKEN] = hmac.new(secret.encode(), b"greenroom jobs", hashlib.sha256).hexdigest()


# `mlflow server` imports the app's module after it opened the stores and before it starts its workers:
# the one moment at which a process above the workers and the jobs runs code of ours.
if handlers._model_registry_store is not None and not os.environ.get(_IN_WORKER):  # noqa: SLF001  # see above
    prepare_server(os.environ)


def create_app(app: Flask = mlflow_app) -> Any:
    """Return the app that a worker serves."""
    store = api.the_store()
    app.register_blueprint(api.api)
    app.register_blueprint(pages)
    _register_validators(app)
    wrapped = auth.create_app(app)
    app.after_request(_say_it_plainly)
    background = Background(store.engine, os.environ)
    background.start()
    store.sessions.listeners.append(background.wake)
    if isinstance(wrapped, Flask):
        app.before_request(lambda: _keep_artifacts(store.engine))
    else:
        # Appended, they are the innermost layers: behind MLflow's login of its own routes, before Flask's.
        wrapped.user_middleware.append(Middleware(KeepsArtifacts, engine=store.engine))
        wrapped.user_middleware.append(Middleware(TellsChanges, engine=store.engine, tickets=api.tickets()))
    return wrapped


def _register_validators(app: Flask) -> None:
    # Under MLFLOW_BASIC_AUTH_FAIL_CLOSED a route without a validator is closed to everybody.
    of_one_model = {f"{ROOT}/version", f"{ROOT}/ledger"}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(("greenroom.", "review.")):
            check = _may_read_named if rule.rule in of_one_model else _is_logged_in
            for method in rule.methods or ():
                auth.BEFORE_REQUEST_VALIDATORS[rule.rule, method] = check


def _is_logged_in() -> bool:
    return bool(identity.login())


def _may_read_named() -> bool:
    name = request.args.get("name")
    # Without a name it is the whole chain.
    return (
        identity.may_read(name) if name else identity.may_read_everything(api.the_store().rules.reviewer_role)
    )


def _keep_artifacts(engine: Engine) -> tuple[dict[str, str], int] | None:
    said = refusal(engine, request.method, request.path, request.query_string.decode("latin-1"))
    return ({"error_code": "INVALID_PARAMETER_VALUE", "message": said}, 400) if said else None


def _say_it_plainly(response: Response) -> Response:
    # A guard in the database speaks through a driver, through SQLAlchemy and through MLflow.
    if response.status_code < 400 or not response.is_json:  # noqa: PLR2004
        return response
    body = response.get_json(silent=True)
    found = _SENTENCE.search(str(body.get("message", ""))) if isinstance(body, dict) else None
    if found:
        said = {"error_code": "INVALID_PARAMETER_VALUE", "message": f"{MARK}{found[1].strip()}"}
        response.set_data(json.dumps(said))
        response.status_code = 400
    return response
