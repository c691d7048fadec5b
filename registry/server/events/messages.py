"""What a line of the ledger says to webhooks. Pure."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlflow.entities.webhook import WebhookAction, WebhookEntity
from mlflow.webhooks.types import ModelVersionAliasCreatedPayload, ModelVersionAliasDeletedPayload

from registry.ledger import Action
from registry.stages import ALIAS, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.ledger import Line

# MLflow tells of a new version itself; a verdict and a removal change nothing that anyone waits for.
SILENT = frozenset({Action.REGISTERED, Action.VALIDATED, Action.DELETED})

# MLflow has no event of its own for stages. A webhook cannot subscribe to this one: it goes to whoever
# asked to hear of new aliases, the nearest thing MLflow has to "what is live changed".
STAGE_ENTITY = "model_version_stage"

_ALIAS_ENTITY = WebhookEntity.MODEL_VERSION_ALIAS.value
_CREATED = WebhookAction.CREATED.value
_DELETED = WebhookAction.DELETED.value


@dataclass(frozen=True)
class Event:
    """One message about one line, for the webhooks subscribed to `model_version_alias.SUBSCRIPTION`."""

    line: Line
    entity: str
    action: str
    data: dict[str, Any]
    subscription: str

    @property
    def payload(self) -> str:
        """The body that is sent: JSON, as MLflow writes it."""
        message = {
            "entity": self.entity,
            "action": self.action,
            "timestamp": self.line.at,
            "data": self.data,
        }
        return json.dumps(message)

    def delivery_id(self, webhook_id: str) -> str:
        """Name this event to one webhook: the same however often it is sent, so doubles can be dropped."""
        said = f"{self.line.hash} {self.entity}.{self.action} {webhook_id}"
        return str(uuid.uuid5(uuid.NAMESPACE_OID, said))


def events_of(lines: Sequence[Line]) -> list[Event]:
    """Return the events of the lines of one decision, in their order.

    Each line but the silent ones makes a stage event. A line that puts a version into Production also
    makes MLflow's stock event of a new alias. Where the decision as a whole leaves Production empty, the
    line that emptied it also makes the stock event of a removed alias.
    """
    emptied = _emptying_lines(lines)
    events: list[Event] = []
    for line in lines:
        if line.action in SILENT:
            continue
        events.append(Event(line, STAGE_ENTITY, line.action.value, _stage_data(line), _CREATED))
        if _enters_production(line):
            created = ModelVersionAliasCreatedPayload(name=line.model, alias=ALIAS, version=str(line.version))
            events.append(Event(line, _ALIAS_ENTITY, _CREATED, created, _CREATED))
        if line.number in emptied:
            deleted = ModelVersionAliasDeletedPayload(name=line.model, alias=ALIAS)
            events.append(Event(line, _ALIAS_ENTITY, _DELETED, deleted, _DELETED))
    return events


def _stage_data(line: Line) -> dict[str, Any]:
    return {
        "name": line.model,
        # MLflow's events say versions as text.
        "version": str(line.version),
        "from_stage": line.from_stage.value,
        "to_stage": line.to_stage.value,
        "by": line.by,
        "reason": line.reason,
        "digest": line.digest,
        "ledger_line": line.number,
        "ledger_hash": line.hash,
    }


def _enters_production(line: Line) -> bool:
    return line.to_stage is Stage.PRODUCTION is not line.from_stage


def _leaves_production(line: Line) -> bool:
    return line.from_stage is Stage.PRODUCTION is not line.to_stage


def _emptying_lines(lines: Sequence[Line]) -> set[int]:
    """Find the lines after which Production stays empty; a replaced version leaves it filled."""
    emptied: dict[str, Line] = {}
    filled: dict[str, int] = {}
    for line in lines:
        if _enters_production(line):
            filled[line.model] = line.version
            emptied.pop(line.model, None)
        # The old version may be archived before or after the new one goes in.
        elif _leaves_production(line) and filled.get(line.model, line.version) == line.version:
            emptied[line.model] = line
    return {line.number for line in emptied.values()}
