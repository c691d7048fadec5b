"""Events of the scheduler: one line each, for people, or as JSON for machines. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping


class Kind(StrEnum):
    """What happened. The last three are told on stderr."""

    SCHEDULED = "scheduled"
    TICK = "tick"
    PUBLISHED = "published"
    CURRENT = "current"
    STOPPED = "stopped"
    WARNING = "warning"
    UNFIT = "unfit"
    FAILED = "failed"


@dataclass(frozen=True)
class Event:
    """What happened to a job, or to one of its days; `code` is the exit code that it stands for.

    `figures` are for machines.
    """

    kind: Kind
    job: str
    said: str
    date: dt.date | None = None
    code: int = 0
    figures: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_trouble(self) -> bool:
        """Whether somebody should look at it."""
        return self.kind in (Kind.WARNING, Kind.UNFIT, Kind.FAILED)

    def line(self, now: dt.datetime) -> str:
        """Say it in a line: the moment, the job, the day if it is about one, the kind, a sentence."""
        date = f" {self.date}" if self.date else ""
        said = " ".join(self.said.split())
        return f"{now:%Y-%m-%dT%H:%M:%SZ} {self.job}{date} {self.kind}: {said}"

    def to_json(self, now: dt.datetime) -> str:
        """Return the same as one line of JSON, with the figures."""
        about = {"at": f"{now:%Y-%m-%dT%H:%M:%SZ}", "job": self.job, "date": self.date, "event": self.kind}
        return json.dumps({**self.figures, **about, "said": self.said, "code": self.code}, default=str)
