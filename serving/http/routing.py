"""The arms of one model as one worker has them: who answers a request, and who sees a copy of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.contract.refusals import RequestError
from serving.http.shadow_queues import Copy
from serving.recording.exposure import Exposure
from serving.routing.buckets import Hasher
from serving.routing.entity import entity_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serving.http.shadow_queues import ShadowQueue
    from serving.models.served import Answer, ServedModel, Version
    from serving.recording.exposure import Mode
    from serving.recording.spool import Spool
    from serving.routing.published import Published
    from serving.watching.arms import ArmTally

_ANSWERED, _BROKEN = 200, 500


@dataclass(frozen=True, eq=False)
class Arm:
    """Who may answer. `serves` is None for the champion, whose version the stage knows."""

    name: str
    mode: Mode
    tally: ArmTally
    serves: ServedModel | None = None


@dataclass(frozen=True, eq=False)
class Shadow:
    """Who sees a copy of each request, in a process of its own."""

    name: str
    digest: str
    queue: ShadowQueue
    tally: ArmTally


class Routing:
    """All arms of a model under one set of routes; made anew whenever any of it changes."""

    def __init__(
        self,
        published: Published,
        champion: Arm,
        arms: Mapping[str, Arm],
        shadows: tuple[Shadow, ...],
        next_id: Callable[[], str],
        spool: Spool | None,
    ) -> None:
        self.shadows, self.spool = shadows, spool
        self.records_requests = published.record is not None and published.record.requests
        # A bucket of an arm that is idle here is the champion's meanwhile.
        self._table = [arms.get(arm, champion) for arm in published.table]
        self._key, self._champion, self._next_id = published.entity, champion, next_id
        self._bucket = Hasher(published.model).bucket

    @property
    def reads_bodies(self) -> bool:
        """Whether what a request is about stands in its body."""
        return self._key is not None and self._key.column is not None

    def entity_of(self, headers: Mapping[bytes, bytes], content_type: str, body: bytes) -> bytes | None:
        """Return what a request is about; None where it does not say. Any number of threads may ask."""
        return None if self._key is None else entity_of(self._key, headers, content_type, body)

    def pick(self, entity: bytes | None, content_type: str, body: bytes) -> Routed:
        """Choose who answers a request: by its entity, or by chance where it has none."""
        prediction_id = self._next_id()
        if entity is None:
            self._champion.tally.without_entity()
        arm = self._table[self._bucket(prediction_id.encode() if entity is None else entity)]
        return Routed(self, arm, prediction_id, entity, content_type, body)


class Routed:
    """A request, from when it is picked who answers it to when that is counted and recorded."""

    __slots__ = ("_about", "_arm", "_began", "_prediction_id", "_routing", "_version")

    _version: Version

    def __init__(
        self,
        routing: Routing,
        arm: Arm,
        prediction_id: str,
        entity: bytes | None,
        content_type: str,
        body: bytes,
    ) -> None:
        self._routing, self._arm, self._prediction_id = routing, arm, prediction_id
        # A header may hold any bytes; a table holds text.
        named = None if entity is None else entity.decode("utf-8", "backslashreplace")
        self._about = (named, content_type, body)
        self._began = time.perf_counter()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What clients are told beside the version."""
        arm, prediction_id = self._arm.name.encode(), self._prediction_id.encode()
        return [(b"x-model-arm", arm), (b"x-prediction-id", prediction_id)]

    def take(self, champion: ServedModel) -> ServedModel:
        """Return the version that answers, given the one in Production."""
        served = self._arm.serves or champion
        self._version = served.version
        return served

    def finish(self, answer: Answer, at: float) -> None:
        """Count, record and copy a request whose answer was there at a time, and is sent."""
        latency_s = at - self._began
        self._arm.tally.answered(latency_s)
        self._record(_ANSWERED, latency_s, answer.recorded if self._routing.spool else None)
        entity, content_type, body = self._about
        for shadow in self._routing.shadows:
            copy = Copy(shadow.digest, self._prediction_id, entity, content_type, body)
            if not shadow.queue.put(copy):
                shadow.tally.dropped()

    def fail(self, error: Exception) -> None:
        """Count and record that there was no answer, unless that is the fault of whoever asked."""
        status = error.status if isinstance(error, RequestError) else _BROKEN
        if status >= _BROKEN:
            self._arm.tally.failed()
            self._record(status, time.perf_counter() - self._began, None)

    def _record(self, status: int, latency_s: float, predictions: Callable[[], bytes] | None) -> None:
        if self._routing.spool is None:
            return
        entity, content_type, body = self._about
        self._routing.spool.add(
            Exposure(
                prediction_id=self._prediction_id,
                answered_at=time.time(),
                model=self._version.model,
                version=self._version.number,
                digest=self._version.digest,
                arm=self._arm.name,
                mode=self._arm.mode,
                entity=entity,
                status=status,
                latency_s=latency_s,
                predictions=predictions() if predictions is not None else b"",
                content_type=content_type,
                body=body if self._routing.records_requests else b"",
            )
        )
