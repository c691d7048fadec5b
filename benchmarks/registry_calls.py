"""What people do to versions, as REST calls: to stock MLflow, and to Greenroom."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import requests

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from benchmarks.registry_artifact import Artifact

AUTHOR, REVIEWERS, OBSERVER = "ann", ("rita", "rob", "ray"), "olga"
LOGINS: dict[str, tuple[str, ...]] = {
    AUTHOR: (),
    **dict.fromkeys(REVIEWERS, ("reviewer",)),
    OBSERVER: (),
}

_TIMEOUT_S = 60.0
_PRODUCTION = {"stage": "Production", "archive_existing_versions": True}
_ARCHIVED = {"stage": "Archived", "archive_existing_versions": False}


class Deed(StrEnum):
    """What happens to a version in a round."""

    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    ARCHIVE = "archive"
    DELETE = "delete"


@dataclass(frozen=True)
class Act:
    """One thing that one login does. `attempt` names it, so that the ledger can be asked about it."""

    deed: Deed
    model: str
    version: int
    login: str
    attempt: str

    @classmethod
    def of(cls, deed: Deed, model: str, version: int, login: str) -> Self:
        """Make an act with a name of its own."""
        return cls(deed, model, version, login, str(uuid.uuid4()))


@dataclass(frozen=True)
class Answer:
    """What the caller was told. `status` is 0 where the connection broke; `body` is the JSON answered."""

    act: Act
    status: int
    body: dict[str, Any]

    @property
    def is_done(self) -> bool:
        """Whether the caller was told that it was done."""
        return self.status == HTTPStatus.OK

    @property
    def is_error(self) -> bool:
        """Whether the caller was told neither that it was done nor why it may not be."""
        return self.status == 0 or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class UnexpectedAnswerError(Exception):
    """A server refused what the benchmark needs before it can measure."""


@dataclass(frozen=True)
class Site:
    """A server to act on."""

    url: str
    passwords: dict[str, str] = field(repr=False)

    def client(self, login: str) -> Client:
        """Open a session as a login."""
        return Client(self.url, login, self.passwords[login])


class Client:
    """One login's session with one server."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self._url = url
        self._session = requests.Session()
        # Neither a proxy nor a .netrc of the user has a say on loopback.
        self._session.trust_env = False
        self._session.auth = (login, password)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def send(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send JSON, or a query where it is a GET; return status and answer, 0 where none came."""
        query, json = (body, None) if method == "GET" else (None, body)
        try:
            answer = self._session.request(
                method, f"{self._url}/api/2.0/{path}", params=query, json=json, timeout=_TIMEOUT_S
            )
        except requests.RequestException as error:
            return 0, {"message": str(error)}
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.status_code, answer.json() if is_json else {"message": answer.text}

    def expect(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Send what must succeed; raises UnexpectedAnswerError."""
        status, answer = self.send(method, path, body)
        if status != HTTPStatus.OK:
            raise UnexpectedAnswerError(
                f"{self._url} answered {method} {path} with {status}: {answer.get('message', answer)}; "
                "expected it to be done"
            )
        return answer


class Flavour(Protocol):
    """How acts are done on one kind of server."""

    @property
    def name(self) -> str:
        """What it is called in the figures."""

    @property
    def has_ledger(self) -> bool:
        """Whether every change has to be in a ledger."""

    def candidate(self, site: Site, model: str, artifact: Artifact) -> int:
        """Make a version that one more call would put in Production; return its number."""

    def act(self, client: Client, act: Act) -> Answer:
        """Do it, in one call."""


@dataclass(frozen=True)
class Stock:
    """MLflow as it comes: what `MlflowClient.transition_model_version_stage` and its kin send."""

    name: str = "stock"
    has_ledger: bool = False

    def candidate(self, site: Site, model: str, artifact: Artifact) -> int:
        """Make a version; anybody may put it in Production."""
        with site.client(AUTHOR) as author:
            return _create_version(author, model, artifact)

    def act(self, client: Client, act: Act) -> Answer:
        """Change the stage, or delete."""
        version = {"name": act.model, "version": str(act.version)}
        match act.deed:
            case Deed.DELETE:
                return Answer(act, *client.send("DELETE", "mlflow/model-versions/delete", version))
            case Deed.ARCHIVE:
                wanted = _ARCHIVED
            case Deed.PROMOTE | Deed.ROLL_BACK:
                wanted = _PRODUCTION
        path = "mlflow/model-versions/transition-stage"
        return Answer(act, *client.send("POST", path, {**version, **wanted}))


@dataclass(frozen=True)
class Greenroom:
    """The same through Greenroom; approving is what puts a version in Production."""

    name: str = "greenroom"
    has_ledger: bool = True

    def candidate(self, site: Site, model: str, artifact: Artifact) -> int:
        """Make a version, validate it and ask for Production: one approval is left to give."""
        with site.client(AUTHOR) as author:
            version = _create_version(author, model, artifact)
            of = {"name": model, "version": version}
            registered = author.expect("GET", "greenroom/version", **of)
            # Evidence may not be older than the artifact, which was logged before the first round.
            now = int(time.time() * 1000)
            run = author.expect("POST", "mlflow/runs/create", experiment_id="0", start_time=now)
            verdict = {
                "passed": True,
                "digest": registered["digest"],
                "run_id": run["run"]["info"]["run_id"],
                "metrics": {"auc": 0.7},
                "reasons": [],
                "window": "2013-07",
                "rows": 300,
                "compared_with": "the rule of thumb",
            }
            author.expect(
                "POST", "greenroom/validations", **of, attempt=str(uuid.uuid4()), validation=verdict
            )
            asked = {"action": "request", "reason": "a round", "attempt": str(uuid.uuid4())}
            author.expect("POST", "greenroom/decisions", **of, **asked)
        return version

    def act(self, client: Client, act: Act) -> Answer:
        """Decide; a deletion is MLflow's own call."""
        if act.deed is Deed.DELETE:
            return Stock().act(client, act)
        action = {Deed.PROMOTE: "approve", Deed.ROLL_BACK: "rollback", Deed.ARCHIVE: "archive"}[act.deed]
        body = {"action": action, "name": act.model, "version": act.version}
        said = {"reason": "a round", "attempt": act.attempt}
        return Answer(act, *client.send("POST", "greenroom/decisions", {**body, **said}))


def _create_version(author: Client, model: str, artifact: Artifact) -> int:
    made = author.expect(
        "POST",
        "mlflow/model-versions/create",
        name=model,
        source=artifact.source,
        run_id=artifact.run_id,
        model_id=artifact.model_id,
    )
    return int(made["model_version"]["version"])
