"""The connection to an MLflow server, and the one place where its errors become ours."""

from __future__ import annotations

import getpass
import re
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException

from registry.errors import RegistryError, RegistryUnavailableError, UnknownVersionError
from registry.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOGIN = re.compile(r"//[^/@\s]*@")


@dataclass(frozen=True)
class Registry:
    """One MLflow server, seen as one user.

    `cache` is the folder for verified artifacts; `formats` are those that may be loaded here.
    """

    client: MlflowClient
    uri: str
    user: str
    cache: Path
    formats: tuple[str, ...] = ("xgboost",)


def connect(environment: Mapping[str, str]) -> Registry:
    """Connect as the standard `MLFLOW_*` variables say; nothing is sent yet.

    The user is the MLflow login. A server without logins knows nobody; there the name of the
    operating system's user is taken, as MLflow does for its runs.
    """
    uri = environment.get("MLFLOW_TRACKING_URI")
    if not uri:
        raise RegistryError(
            "MLFLOW_TRACKING_URI is not set, so there is no registry to ask. Set it to the MLflow"
            ' server; with the embedded stack: eval "$(make -s env)"'
        )
    if not uri.startswith(("http://", "https://")):
        # MLflow itself falls back to a file of its own, where nobody would find the model again.
        raise RegistryError(
            f"MLFLOW_TRACKING_URI is {_LOGIN.sub('//***@', uri)!r}, expected the address of an MLflow server,"
            ' http://… or https://…; with the embedded stack: eval "$(make -s env)"'
        )
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cache = environment.get("GREENROOM_CACHE_DIR") or str(Path(home) / "greenroom")
    user = environment.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    with translated("connect to MLFLOW_TRACKING_URI"):
        return Registry(MlflowClient(uri, uri), uri, user, Path(cache), _formats(environment))


def _formats(environment: Mapping[str, str]) -> tuple[str, ...]:
    text = environment.get("GREENROOM_ARTIFACT_FORMATS") or FORMATS[0]
    formats = tuple(word.strip() for word in text.split(","))
    for found in formats:
        if found not in FORMATS:
            raise RegistryError(
                f"GREENROOM_ARTIFACT_FORMATS names {found!r:.40}, expected some of {', '.join(FORMATS)}"
            )
    return formats


def experiment_id(registry: Registry, name: str) -> str:
    """Return the id of an experiment, created where there is none of that name. Raises what MLflow raises.

    `mlflow.set_experiment` would leave the id in the process, for whatever it logs next and wherever.
    """
    client = registry.client
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except RestException as error:
        # Somebody else's first run began at the same moment.
        if error.error_code == "RESOURCE_ALREADY_EXISTS" and (found := client.get_experiment_by_name(name)):
            return str(found.experiment_id)
        raise


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn what MLflow raises while doing `action` into a `RegistryError`."""
    try:
        yield
    except RestException as error:
        raise _from_answer(error, action) from error
    except MlflowException as error:
        raise _from_text(error, action) from error


def _from_text(error: MlflowException, action: str) -> RegistryError:
    # What is not JSON (a refusal of the login, a proxy's page) reaches us in words only.
    said = _LOGIN.sub("//***@", " ".join(str(error).split()))
    status = re.search(r"failed with error code (\d+)", said)
    code = int(status[1]) if status else 0
    if code == HTTPStatus.UNAUTHORIZED:
        return RegistryError(
            f"Could not {action}: MLflow does not accept this login. Check MLFLOW_TRACKING_USERNAME and"
            " MLFLOW_TRACKING_PASSWORD"
        )
    if code == HTTPStatus.FORBIDDEN:
        return RegistryError(f"Could not {action}: this login may not do that. Ask an admin of the server")
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR or ("API request to" in said and not code):
        return RegistryUnavailableError(
            f"Could not {action}: the MLflow server does not answer. Is it running, and is"
            " MLFLOW_TRACKING_URI right? Then try again"
        )
    return RegistryError(f"Could not {action}: {said[:300]}")


def _from_answer(error: RestException, action: str) -> RegistryError:
    said = _LOGIN.sub("//***@", " ".join(str(error).split()))[:300]
    if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
        return UnknownVersionError(f"Could not {action}: there is no such thing. {said}")
    if error.error_code in {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}:
        return RegistryUnavailableError(f"Could not {action}: MLflow asks to try later. {said}")
    return RegistryError(f"Could not {action}: {said}")
