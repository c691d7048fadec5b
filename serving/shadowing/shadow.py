"""What a shadow does with copies of requests: load the version that is published, answer, count, record."""

from __future__ import annotations

import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from registry import ArtifactError
from serving.contract.refusals import RequestError
from serving.files import stamp_of
from serving.models.loading import load_model
from serving.models.served import Version
from serving.recording.exposure import Exposure
from serving.recording.spool import Spool
from serving.routing.published import read_published
from serving.watching.arms import CHAMPION_SLOT, ArmTally
from serving.watching.logs import log

if TYPE_CHECKING:
    from serving.contract.limits import Limits
    from serving.http.shadow_queues import Copy
    from serving.models.served import Answer, ServedModel
    from serving.routing.published import ArmView, Places, Published

_TRY_AGAIN_S = 60.0
_MIB = 1024 * 1024


class Shadow:
    """One slot of a model: whichever version is published there."""

    def __init__(
        self,
        model: str,
        slot: int,
        places: Places,
        cells: memoryview[float],
        limits: Limits,
        *,
        lenient: bool,
    ) -> None:
        self._model, self._slot, self._places = model, slot, places
        self._cells, self._limits, self._lenient = cells, limits, lenient
        self._stamp: object = None
        self._view: ArmView | None = None
        self._serves: ServedModel | None = None
        self._tally: ArmTally | None = None
        self._spool: Spool | None = None
        self._again_at = 0.0

    @property
    def is_loaded(self) -> bool:
        """Whether there is a version that answers copies."""
        return self._serves is not None

    def look(self) -> None:
        """See what is published, and load it where it is another than before."""
        stamp = stamp_of(self._places.published)
        if stamp != self._stamp:
            self._stamp = stamp
            published = read_published(self._places.published)
            arms = published.arms if published is not None else ()
            place = self._slot - CHAMPION_SLOT - 1
            view = arms[place] if place < len(arms) else None
            if view is not None and (view.mode != "shadow" or view.idle is not None):
                view = None
            if view != self._view:
                self._view, self._again_at = view, 0.0
                self._tally = ArmTally(self._cells, view.arm) if view is not None else None
            self._record(published)
        held = self._serves.version.digest if self._serves is not None else None
        if self._view is None:
            self._serves = None
        elif held != self._view.digest and time.monotonic() >= self._again_at:
            self._serves = self._load(self._view)

    def see(self, copy: Copy) -> None:
        """Answer a copy. Raises nothing that the version or the request can cause."""
        view, serves, tally = self._view, self._serves, self._tally
        if view is None or tally is None:
            return
        if serves is None or serves.version.digest != copy.digest:
            tally.dropped()  # meant for the version before, or for one that is being loaded
            return
        began = time.perf_counter()
        answer: Answer | None = None
        status = HTTPStatus.OK
        try:
            answer = serves.answer(serves.read(copy.content_type, copy.body, self._limits))
        except RequestError as refusal:
            status = HTTPStatus(refusal.status)
        except Exception as error:  # noqa: BLE001  # whatever a model raises, nobody outside notices
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            log("shadow_failed", "warning", model=self._model, arm=view.arm, error=type(error).__name__)
        took = time.perf_counter() - began
        if answer is None:
            tally.failed()
        else:
            tally.answered(took)
        if self._spool is not None:
            self._spool.add(_exposure(copy, serves.version, view.arm, int(status), took, answer))

    def _record(self, published: Published | None) -> None:
        record = published.record if published is not None else None
        if record is None and self._spool is not None:
            self._spool.close()
            self._spool = None
        elif record is not None and self._spool is None:
            self._spool = Spool(self._places.spool, record.spool_mib * _MIB, self._unrecorded)

    def _unrecorded(self) -> None:
        if self._tally is not None:
            self._tally.unrecorded()

    def _load(self, view: ArmView) -> ServedModel | None:
        assert view.version is not None and view.digest is not None  # noqa: S101, PT018  # as it was read
        version = Version(self._model, view.version, view.digest)
        try:
            found = load_model(
                Path(view.folder or ""), version, view.manifest or "", view.format, lenient=self._lenient
            )
        except (ArtifactError, OSError) as error:
            log("shadow_refused", "error", model=self._model, arm=view.arm, why=str(error))
            self._again_at = time.monotonic() + _TRY_AGAIN_S
            return None
        log("shadow_loaded", model=self._model, arm=view.arm, version=view.version, digest=view.digest)
        return found


def _exposure(
    copy: Copy, version: Version, arm: str, status: int, latency_s: float, answer: Answer | None
) -> Exposure:
    return Exposure(
        prediction_id=copy.prediction_id,
        answered_at=time.time(),
        model=version.model,
        version=version.number,
        digest=version.digest,
        arm=arm,
        mode="shadow",
        entity=copy.entity,
        status=status,
        latency_s=latency_s,
        predictions=answer.recorded() if answer is not None else b"",
        content_type=copy.content_type,
        body=b"",  # what was asked is recorded once, with the answer
    )
