"""The alerts of a job, after a day was measured: judged, told, acted upon."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from batch_jobs.monitoring.alerts.events import EventLog
from batch_jobs.monitoring.alerts.judging import judge
from batch_jobs.monitoring.alerts.retraining import retrain_pending
from batch_jobs.monitoring.alerts.telling import tell_pending
from evidence import LEAST_BLOCKS
from storage import data_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_jobs.monitoring.alerts.events import AlertEvent
    from batch_jobs.monitoring.alerts.retraining import Retrained
    from batch_jobs.monitoring.figures import DayFigures
    from batch_jobs.monitoring.watch import Watch
    from registry import Registry

# Beside the files of the table: readers of Delta pass over what begins with an underscore.
FOLDER = "_alerts"


class Alarms:
    """Judges the alerts of a watched job day after day; its log lies below the table of figures."""

    def __init__(self, watch: Watch, registry: Registry, environment: Mapping[str, str]) -> None:
        self._watch, self._registry, self._environment = watch, registry, environment
        self.log = EventLog(f"{data_uri(watch.monitor.output, environment)}/{FOLDER}", watch.store)

    def look(self, date: dt.date) -> list[AlertEvent]:
        """Fire and resolve alerts as of a day; return what this call fired or resolved.

        As of the newest measured day only: outcomes that came late for an older one change what is
        known of it, and not what is to be done now.
        """
        alerts = self._watch.monitor.alerts
        if not alerts:
            return []
        # Twice as many as a window needs to be judged: some may have been unfit.
        back = max(2 * LEAST_BLOCKS, *(alert.of for alert in alerts))
        since = date - dt.timedelta(days=back - 1)
        days = self._watch.table.read(since)
        if not days or max(days) != date:
            return []
        events = self.log.read()
        happened = []
        for alert in alerts:
            standing = judge(alert, days, date)
            event = None if standing is None else self.log.advance(alert, standing, date, events)
            if event is not None:
                happened.append(event)
        return happened

    def tell(self) -> list[str]:
        """Send what has not arrived at the webhook yet; return what went wrong."""
        webhook = self._watch.monitor.webhook
        if webhook is None:
            return []
        return tell_pending(self._watch.job, webhook, self.log, self._environment)

    def act(self) -> list[Retrained]:
        """Retrain where an alert asks for it, on days whose outcomes are known; that takes minutes."""
        retraining = self._watch.monitor.retrain
        if retraining is None:
            return []
        if not any(event.kind == "fired" and event.action == "retrain" for event in self.log.read()):
            return []
        days = self._watch.table.read()
        known = [day.date for day in days.values() if _has_outcomes(day)]
        if not known:
            return []
        return retrain_pending(
            self._watch.job, retraining, self.log, max(known), self._registry, self._environment
        )


def _has_outcomes(day: DayFigures) -> bool:
    return any(each.metric == "labelled" and each.source == "batch" and each.value for each in day.figures)
