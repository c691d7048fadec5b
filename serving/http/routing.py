"""The arms of one model as one worker has them: who answers a request, and who sees a copy of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.routing.buckets import Hasher
from serving.routing.declaration import CHAMPION
from serving.routing.entity import entity_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serving.http.shadow_queues import ShadowQueue
    from serving.models.served import ServedModel
    from serving.routing.published import ArmView, Published
    from serving.watching.arms import ArmTally


@dataclass(frozen=True, eq=False)
class Arm:
    """Who may answer. `serves` is None for the champion, whose version the stage knows."""

    name: str
    mode: str
    tally: ArmTally
    serves: ServedModel | None = None


@dataclass(frozen=True, eq=False)
class Shadow:
    """Who sees a copy of each request, in a process of its own."""

    name: str
    digest: str
    queue: ShadowQueue
    tally: ArmTally


@dataclass(frozen=True, eq=False)
class Picked:
    """Who answers a request, by what it is about; `entity` None: by its own id, so by chance."""

    arm: Arm
    prediction_id: str
    entity: str | None


class Routing:
    """All arms of a model under one set of routes; made anew whenever any of it changes."""

    def __init__(
        self,
        published: Published,
        champion: Arm,
        arms: Mapping[str, Arm],
        shadows: tuple[Shadow, ...],
        next_id: Callable[[], str],
    ) -> None:
        self.record, self.shadows = published.record, shadows
        # A bucket of an arm that is idle here is the champion's meanwhile.
        self._table = [arms.get(arm, champion) for arm in published.table]
        self._key, self._champion, self._next_id = published.entity, champion, next_id
        self._bucket = Hasher(published.model).bucket

    @property
    def reads_bodies(self) -> bool:
        """Whether what a request is about stands in its body."""
        return self._key is not None and self._key.column is not None

    def pick(self, headers: Mapping[bytes, bytes], content_type: str, body: bytes) -> Picked:
        """Return who answers a request."""
        entity = None if self._key is None else entity_of(self._key, headers, content_type, body)
        prediction_id = self._next_id()
        if entity is None:
            self._champion.tally.without_entity()
            return Picked(self._table[self._bucket(prediction_id.encode())], prediction_id, None)
        # A header may hold any bytes; a table holds text.
        return Picked(
            self._table[self._bucket(entity)], prediction_id, entity.decode("utf-8", "backslashreplace")
        )


def answering(view: ArmView) -> bool:
    """Whether an arm has a version that answers clients."""
    return view.idle is None and view.mode != "shadow" and view.arm != CHAMPION
