"""What happens while a model is followed, one JSON object a line. Pure."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.following.view import View

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Event:
    """What happened to a model; `about` holds what else there is to say of it."""

    level: Level
    name: str
    model: str | None
    about: Mapping[str, Any] = field(default_factory=dict)

    def line(self, now_s: float) -> str:
        """Return it as a line of JSON, at a time in epoch seconds."""
        moment = dt.datetime.fromtimestamp(now_s, dt.UTC).isoformat(timespec="milliseconds")
        of = {"model": self.model} if self.model else {}
        start = {"ts": moment.replace("+00:00", "Z"), "level": self.level, "event": self.name}
        return json.dumps({**start, **of, **self.about})


def differences(before: View, after: View) -> list[Event]:
    """Say what another view means, in the order in which it is to be told."""
    found: list[Event] = []

    def add(level: Level, name: str, **about: Any) -> None:
        found.append(Event(level, name, after.model, about))

    if after.reachable and not before.reachable:
        add("info", "registry_back")
    if not after.reachable and (before.reachable or before.problem != after.problem):
        add("warning", "registry_lost", version=after.version, problem=after.problem)
    if after.version is None and before.version is not None:
        add("warning", "off_stage", was=before.version, problem=after.problem)
    elif after.version is not None and (after.version, after.digest) != (before.version, before.digest):
        add("info", "published", version=after.version, digest=after.digest, was=before.version)
    elif _is_empty(after) and not (_is_empty(before) and before.problem == after.problem):
        add("warning", "nothing_to_serve", problem=after.problem or "Nothing is in Production")
    if after.refused and after.refused != before.refused:
        about = {"digest": after.refused.digest, "why": after.refused.why, "served": after.version}
        add("error", "refused", version=after.refused.version, **about)
    return found


def _is_empty(view: View) -> bool:
    # Before it was ever asked, a registry has said nothing.
    return view.version is None and view.refused is None and view.reachable and view.seen_at > 0
