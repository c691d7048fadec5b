"""Clients of the endpoint, as the replay plays them: they ask about flights, and tell how those went."""

from __future__ import annotations

import http.client
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deploy.errors import DeployError
from deploy.ports import LOOPBACK

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from email.message import Message

    import pyarrow as pa

_TIMEOUT_S = 60
_JSON = {"Content-Type": "application/json"}
_AT_ONCE = 500


@dataclass
class Clients:
    """They ask about `each_day` flights a day, one at a time; `asked` are those whose outcome is open."""

    port: int
    each_day: int
    key: str
    asked: dict[dt.date, dict[str, str]] = field(default_factory=dict)

    def ask(self, day: dt.date, features: pa.Table) -> list[int]:
        """Ask about some flights of a day; return the versions that answered."""
        chosen = random.Random(str(day)).sample(range(len(features)), min(self.each_day, len(features)))  # noqa: S311  # no secret
        rows = features.take(sorted(chosen)).to_pylist()
        told, versions = self.asked.setdefault(day, {}), []
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_TIMEOUT_S)
        for row in rows:
            flight = row.pop(self.key)
            headers = {**_JSON, "X-Entity-Key": flight}
            answer = _send(connection, "/invocations", {"dataframe_records": [row]}, headers)
            told[flight] = answer["X-Prediction-ID"]
            versions.append(int(answer["X-Model-Version"]))
        connection.close()
        return versions

    def tell(self, day: dt.date, outcomes: Mapping[str, float]) -> int:
        """Tell how the flights of a day went, by their keys; return of how many that was known."""
        told = self.asked.pop(day, {})
        known = [
            {"prediction_id": told[flight], "outcome": outcomes[flight]}
            for flight in told
            if flight in outcomes
        ]
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_TIMEOUT_S)
        for start in range(0, len(known), _AT_ONCE):
            _send(connection, "/feedback", {"outcomes": known[start : start + _AT_ONCE]}, _JSON)
        connection.close()
        return len(known)


def _send(
    connection: http.client.HTTPConnection, path: str, body: dict[str, Any], headers: dict[str, str]
) -> Message:
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status not in (200, 202):
        raise DeployError(f"The endpoint answered {path} with {answer.status}: {said[:300]!r}")
    return answer.headers
