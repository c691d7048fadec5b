"""What happened to each alert: a log of notes on S3 that are written once, so that each happens once.

An alert's events are numbered, and the last one says how it stands. Of several processes that see the same
figures, one writes the next number, and only that one has fired the alert.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from storage import Notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_jobs.monitoring.alerts.judging import Standing
    from batch_jobs.monitoring.declared import Alert
    from storage import Store

Kind = Literal["fired", "resolved"]

_NAME = re.compile(r"(?P<alert>[a-z0-9-]+)\.(?P<number>\d{6})")


@dataclass(frozen=True)
class AlertEvent:
    """An alert that fired or was resolved, as of a day. To receivers `id` names it, however often sent."""

    alert: str
    number: int
    kind: Kind
    date: dt.date
    severity: str
    action: str
    version: int
    value: float
    said: str
    id: str

    @property
    def name(self) -> str:
        """The name of its note."""
        return f"{self.alert}.{self.number:06d}"

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**asdict(self), "date": str(self.date)}


class EventLog:
    """The events of a job's alerts, below a prefix. Notes never change, so each is read once."""

    def __init__(self, prefix: str, store: Store) -> None:
        self._notes = Notes(store, prefix)
        self._kept: dict[str, dict[str, Any]] = {}
        self._probed = False

    def read(self) -> tuple[AlertEvent, ...]:
        """Return all events, in order for each alert."""
        events = []
        for name in self._names():
            if _NAME.fullmatch(name):
                found = self._get(name)
                events.append(AlertEvent(**{**found, "date": dt.date.fromisoformat(found["date"])}))
        return tuple(events)

    def advance(
        self, alert: Alert, standing: Standing, date: dt.date, events: Sequence[AlertEvent]
    ) -> AlertEvent | None:
        """Write down that an alert fires or is resolved, where it does; None where nothing changes.

        None, too, where another process was faster, or the alert was judged as of a later day.
        """
        mine = [event for event in events if event.alert == alert.name]
        last = mine[-1] if mine else None
        stood = last is not None and last.kind == "fired"
        if standing.stands == stood or (last is not None and date < last.date):
            return None
        event = AlertEvent(
            alert=alert.name,
            number=last.number + 1 if last else 1,
            kind="fired" if standing.stands else "resolved",
            date=date,
            severity=alert.severity,
            action=alert.action,
            version=standing.version,
            value=standing.value,
            said=standing.said,
            id=str(uuid.uuid4()),
        )
        return event if self.put(event.name, event.to_plain()) else None

    def put(self, name: str, body: dict[str, Any]) -> bool:
        """Write a note unless there is one of that name; say whether it was this call that wrote it."""
        if not self._probed:
            self._notes.probe()
            self._probed = True
        return self._notes.put_new(name, body)

    def marks(self, event: AlertEvent) -> dict[str, dict[str, Any]]:
        """Return what was noted of what was done about an event, by its name after the event's."""
        start = f"{event.name}."
        return {name.removeprefix(start): self._get(name) for name in self._names() if name.startswith(start)}

    def mark(self, event: AlertEvent, what: str, body: dict[str, Any]) -> bool:
        """Note something about an event, once; say whether it was this call that did."""
        return self.put(f"{event.name}.{what}", body)

    def _names(self) -> tuple[str, ...]:
        return self._notes.list()

    def _get(self, name: str) -> dict[str, Any]:
        if name not in self._kept:
            self._kept[name] = self._notes.get(name) or {}
        return self._kept[name]
