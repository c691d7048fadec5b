"""Who is asking, and what MLflow lets them do: the only place that asks MLflow's logins."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g, has_request_context
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED


@dataclass(frozen=True)
class Actor:
    """The person behind a request, as MLflow's login knows them."""

    name: str
    may_review: bool


def login() -> str:
    """Return the login of the request. Raises where nobody is logged in: then nothing is written."""
    # MLflow's own basic-auth puts it there, after it checked the password; a client cannot.
    name = g.get("mlflow_authenticated_user") if has_request_context() else None
    if not name:
        raise MlflowException(
            "Nobody is logged in, and Greenroom writes nothing without a name. Start the server with"
            " --app-name greenroom, and log in",
            PERMISSION_DENIED,
        )
    return str(name)


def actor(reviewer_role: str) -> Actor:
    """Return who is asking, and whether MLflow's roles make them a reviewer."""
    from mlflow.server.auth import store

    name = login()
    roles = store.list_user_roles(store.get_user(name).id)
    return Actor(name, any(role.name == reviewer_role for role in roles))


def may_read(model: str) -> bool:
    """Whether MLflow lets the caller see a model."""
    return _allows(model, "can_read")


def may_edit(model: str) -> bool:
    """Whether MLflow lets the caller change a model."""
    return _allows(model, "can_update")


def may_take_part(model: str, reviewer_role: str) -> bool:
    """Whether the caller may ask for things about a model: who may change it, and reviewers who see it."""
    return may_edit(model) or (may_read(model) and actor(reviewer_role).may_review)


def may_read_experiment(experiment_id: str) -> bool:
    """Whether MLflow lets the caller see the runs of an experiment."""
    from mlflow.server import auth

    if auth.sender_is_admin():
        return True
    permission = auth._get_experiment_permission(experiment_id, login())  # noqa: SLF001  # no public one
    return bool(permission.can_read)


def may_read_everything(reviewer_role: str) -> bool:
    """Whether the caller may see every model: reviewers, admins, and all where MLflow says so."""
    from mlflow.server import auth

    if auth.sender_is_admin() or actor(reviewer_role).may_review:
        return True
    return bool(auth.get_permission(auth.auth_config.default_permission).can_read)


def _allows(model: str, right: str) -> bool:
    from mlflow.server import auth

    # Admins pass MLflow's own checks unasked.
    if auth.sender_is_admin():
        return True
    return bool(getattr(auth._get_registered_model_permission(model), right))  # noqa: SLF001  # no public one
