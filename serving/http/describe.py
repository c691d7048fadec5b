"""How to ask the endpoint: an OpenAPI document and a page for people, from signature and example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.http.stage import Standing


def openapi(standings: Sequence[Standing]) -> dict[str, Any]:
    """Return the OpenAPI document."""
    return {"openapi": "3.1.0", "paths": {f"/models/{s.name}/invocations": {} for s in standings}}


def page(standings: Sequence[Standing]) -> bytes:
    """Return the page."""
    return " ".join(s.name for s in standings).encode()
