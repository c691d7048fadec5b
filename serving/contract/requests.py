"""A body and what it calls itself, to the rows that are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.contract.csv_bodies import read_csv
from serving.contract.json_bodies import read_json
from serving.contract.parquet_bodies import read_parquet
from serving.contract.refusals import RequestError

if TYPE_CHECKING:
    from serving.contract.asked import Asked
    from serving.contract.limits import Limits
    from serving.contract.signature import Signature

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
MEDIA_TYPES = (JSON, CSV, PARQUET)


def read_request(content_type: str, body: bytes, signature: Signature, limits: Limits) -> Asked:
    """Read the rows of a body in any of the formats. Raises `RequestError`."""
    if content_type == JSON or media_type(content_type) == JSON:
        return read_json(body, signature, limits.max_rows)
    if media_type(content_type) == CSV:
        return read_csv(body, signature, limits.max_rows)
    return read_parquet(body, signature, limits.max_rows, 4 * limits.max_body_bytes)


def media_type(content_type: str) -> str:
    """Return which of `MEDIA_TYPES` a Content-Type names. Raises `RequestError` for another, or a charset."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    allowed = ", ".join(MEDIA_TYPES)
    if not kind:
        raise RequestError(f"The request has no Content-Type, expected one of {allowed}", status=415)
    if kind not in MEDIA_TYPES:
        raise RequestError(
            f"The Content-Type is none that is read here, expected one of {allowed}", status=415
        )
    for parameter in filter(None, parameters):
        name, _, value = parameter.partition("=")
        if name.strip() != "charset" or value.strip().strip('"') not in {"utf-8", "utf8"}:
            raise RequestError(
                f"The Content-Type {kind} has a parameter other than charset=utf-8", status=415
            )
    return kind
