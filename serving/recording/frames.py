"""Records as frames: a mark, a kind, a length, a checksum, and the record.

A frame that was cut off, or never was one, is told from a whole one by its checksum (CRC-32); what lies
behind it is found by the next mark. Imported by the workers, so it needs nothing beyond the standard library.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from serving.recording.exposure import Exposure, Feedback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.recording.exposure import Mode

_MARK = b"\xf7GR1"
# Mark, checksum of all behind it, kind, length of the payload.
_HEAD = struct.Struct("<4sIBI")
_CHECKED_FROM = 8
_EXPOSURE, _FEEDBACK = 1, 2
_EXPOSED = struct.Struct("<dqhd8I?")
_OUTCOME = struct.Struct("<Iqdd")


@dataclass(frozen=True)
class Frames:
    """What a piece of a segment holds, and where the last whole frame ends.

    Bytes that are `broken` lie between whole frames. What lies behind the last one may still become one.
    """

    exposures: tuple[Exposure, ...]
    feedback: tuple[Feedback, ...]
    end: int
    broken: int


def exposure_frame(exposure: Exposure) -> bytes:
    """Return the frame of an exposure."""
    entity = exposure.entity
    parts = (
        exposure.prediction_id.encode(errors="replace"),
        exposure.model.encode(errors="replace"),
        exposure.digest.encode(errors="replace"),
        exposure.arm.encode(errors="replace"),
        exposure.mode.encode(),
        b"" if entity is None else entity.encode(errors="replace"),
        exposure.content_type.encode(errors="replace"),
        exposure.predictions,
    )
    head = _EXPOSED.pack(
        exposure.answered_at,
        exposure.version,
        exposure.status,
        exposure.latency_s,
        *map(len, parts),
        entity is not None,
    )
    return _frame(_EXPOSURE, b"".join((head, *parts, exposure.body)))


def feedback_frame(outcomes: Sequence[Feedback]) -> bytes:
    """Return one frame of several outcomes: it is there whole or not at all."""
    parts = []
    for outcome in outcomes:
        name = outcome.prediction_id.encode(errors="replace")
        parts += [_OUTCOME.pack(len(name), outcome.row, outcome.outcome, outcome.received_at), name]
    return _frame(_FEEDBACK, b"".join(parts))


def read_frames(content: bytes, most_bytes: int | None = None) -> Frames:
    """Read the whole frames of `content` that end within `most_bytes`, but at least one."""
    exposures: list[Exposure] = []
    feedback: list[Feedback] = []
    at = end = broken = 0
    while (at := content.find(_MARK, at)) >= 0:
        size = _whole(content, at)
        if size is None:
            at += 1
            continue
        if most_bytes is not None and end and at + size > most_bytes:
            break
        broken += at - end
        payload = memoryview(content)[at + _HEAD.size : at + size]
        if content[at + _CHECKED_FROM] == _EXPOSURE:
            exposures.append(_exposure(payload))
        else:
            feedback += _outcomes(payload)
        at = end = at + size
    return Frames(tuple(exposures), tuple(feedback), end, broken)


def _frame(kind: int, payload: bytes) -> bytes:
    head = _HEAD.pack(_MARK, 0, kind, len(payload))
    checksum = zlib.crc32(payload, zlib.crc32(head[_CHECKED_FROM:]))
    return _HEAD.pack(_MARK, checksum, kind, len(payload)) + payload


def _whole(content: bytes, at: int) -> int | None:
    """Return the size of the frame at a mark; None where it is none, or not whole."""
    if at + _HEAD.size > len(content):
        return None
    _, checksum, kind, length = _HEAD.unpack_from(content, at)
    size = _HEAD.size + int(length)
    if kind not in {_EXPOSURE, _FEEDBACK} or at + size > len(content):
        return None
    found = zlib.crc32(memoryview(content)[at + _CHECKED_FROM : at + size])
    return size if found == checksum else None


def _exposure(payload: memoryview) -> Exposure:
    answered_at, version, status, latency_s, *lengths, has_entity = _EXPOSED.unpack_from(payload)
    parts: list[Any] = []
    at = _EXPOSED.size
    for length in lengths:
        parts.append(bytes(payload[at : at + length]))
        at += length
    *texts, predictions = parts
    prediction_id, model, digest, arm, mode, entity, content_type = (text.decode() for text in texts)
    return Exposure(
        prediction_id=prediction_id,
        answered_at=answered_at,
        model=model,
        version=version,
        digest=digest,
        arm=arm,
        mode=cast("Mode", mode),
        entity=entity if has_entity else None,
        status=status,
        latency_s=latency_s,
        predictions=predictions,
        content_type=content_type,
        body=bytes(payload[at:]),
    )


def _outcomes(payload: memoryview) -> list[Feedback]:
    found, at = [], 0
    while at < len(payload):
        length, row, outcome, received_at = _OUTCOME.unpack_from(payload, at)
        at += _OUTCOME.size
        found.append(Feedback(bytes(payload[at : at + length]).decode(), row, outcome, received_at))
        at += length
    return found
