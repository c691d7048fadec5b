"""How to ask the endpoint: an OpenAPI document and a page for people, of what is served now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from serving.http.docs_page import write_page
from serving.http.openapi import write_openapi
from serving.http.sheets import sheet_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.http.stage import Standing
    from serving.settings import Settings


class Describer:
    """Describes one endpoint. What it wrote is kept until another version is served."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._of: tuple[object, ...] = ()
        self._openapi = self._page = b""

    def openapi(self, standings: Sequence[Standing]) -> bytes:
        """Return the OpenAPI document."""
        self._describe(standings)
        return self._openapi

    def page(self, standings: Sequence[Standing]) -> bytes:
        """Return the page, HTML in UTF-8."""
        self._describe(standings)
        return self._page

    def _describe(self, standings: Sequence[Standing]) -> None:
        served = tuple(standing.serves and standing.serves.version for standing in standings)
        if served == self._of:
            return
        sheets = [sheet_of(standing) for standing in standings]
        self._openapi = orjson.dumps(write_openapi(sheets, self._settings))
        self._page = write_page(sheets, self._settings)
        self._of = served
