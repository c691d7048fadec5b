"""Upstream, as the replay plays it: features of a day before it, its outcomes on the day after."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from projects.declaration import read_project
from projects.rows.delivery import Delivery, deliver
from storage import data_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from projects.declaration import Project
    from storage import Store


@dataclass(frozen=True)
class Upstream:
    """All days of a project's example data by date, and where they are delivered."""

    project: Project
    days: Mapping[dt.date, Delivery]
    locations: Mapping[str, str]
    store: Store

    @classmethod
    def of(cls, project: str, environment: Mapping[str, str], store: Store) -> Upstream:
        """Read the example data of a project; nothing is delivered yet."""
        declared = read_project(project)
        days = {dt.date.fromisoformat(found.day): found for found in declared.deliveries()}
        locations = {name: data_uri(where, environment) for name, where in declared.sources.items()}
        return cls(declared, days, locations, store)

    def deliver_past(self, until: dt.date) -> int:
        """Deliver all days up to one, and what is known of them; return how many rows that is."""
        return self._deliver(found for day, found in self.days.items() if day <= until)

    def deliver_features(self, day: dt.date) -> None:
        """Deliver what is known of a day before it."""
        self._deliver([Delivery(str(day), self.days[day].features)])

    def deliver_outcomes(self, day: dt.date) -> None:
        """Deliver how a day went. Its features are written again: the same bytes."""
        self._deliver([self.days[day]])

    def outcomes(self, day: dt.date) -> dict[str, float]:
        """Return the label of each row of a day, by its key; a flight that never arrived has none."""
        found, dataset = self.days[day].outcomes, self.project.dataset
        if found is None or dataset is None:
            return {}
        rows = found.to_pandas()
        labels = dataset.label(rows).set_axis(rows[self.project.row_key]).dropna()
        return {str(key): float(label) for key, label in labels.items()}

    def _deliver(self, days: Iterable[Delivery]) -> int:
        return deliver(iter(days), self.locations, self.store, lambda _day, _rows: None)
