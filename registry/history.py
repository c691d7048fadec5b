"""What happened on stage: one entry for every transition, oldest first."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from registry.connection import translated
from registry.stages import Stage
from registry.versions import find_model

if TYPE_CHECKING:
    from registry.connection import Registry

# Kept as tags of the registered model until the ledger table of the server plugin takes over.
HISTORY_TAG = "greenroom.history."


@dataclass(frozen=True)
class Transition:
    """One change of stage: who, when (UTC, ISO 8601), from, to, why, and of which artifact."""

    version: int
    from_stage: Stage
    to_stage: Stage
    by: str
    at: str
    reason: str
    digest: str | None


def read_history(registry: Registry, name: str) -> list[Transition]:
    """Return all transitions of a model, in the order in which they happened."""
    tags = find_model(registry, name).tags
    entries = [json.loads(tags[key]) for key in sorted(tags) if key.startswith(HISTORY_TAG)]
    return [
        Transition(**{**e, "from_stage": Stage(e["from_stage"]), "to_stage": Stage(e["to_stage"])})
        for e in entries
    ]


def append_history(registry: Registry, name: str, transition: Transition) -> None:
    """Add one entry after the newest."""
    number = len(read_history(registry, name)) + 1
    with translated(f"write the history of {name}"):
        registry.client.set_registered_model_tag(
            name, f"{HISTORY_TAG}{number:06d}", json.dumps(asdict(transition))
        )
