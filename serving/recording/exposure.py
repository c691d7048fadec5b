"""What there is to remember of an answer, and what its client says later.

Imported by the workers, so it needs nothing beyond the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["champion", "ab", "canary", "shadow"]


@dataclass(frozen=True)
class Exposure:
    """One answer of one version: to whom, by which arm, and how long it took.

    `answered_at` is in epoch seconds, by the clock of this machine. `predictions` are float32, little endian,
    one for each row, and empty where it failed (`status`). `body` is the request, unzipped, and empty where
    requests are not to be recorded. A shadow's exposure has the `prediction_id` of the answer that it copies.
    """

    prediction_id: str
    answered_at: float
    model: str
    version: int
    digest: str
    arm: str
    mode: Mode
    entity: str | None
    status: int
    latency_s: float
    predictions: bytes
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Feedback:
    """What came of one row of an answer, as its client says; `received_at` is in epoch seconds."""

    prediction_id: str
    row: int
    outcome: float
    received_at: float
