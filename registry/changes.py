"""Whether anything has happened in a registry, for much less than it takes to ask what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import RegistryError
from registry.service import call

if TYPE_CHECKING:
    from registry.connection import Registry

# Below the root of our routes, and the header of a request that shows a ticket.
CHANGES_PATH, TICKET_HEADER = "/changes", "x-greenroom-ticket"
# A server that takes longer is asked for all, which has its own patience and says what is wrong.
_PATIENCE_S = 3


class Changes:
    """What a server says of the length of its ledger, which grows with all that changes a stage."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._ticket: str | None = None

    def number(self) -> int | None:
        """Return it; None where the server does not tell, or is not there: who asks it more will hear why."""
        headers = {TICKET_HEADER: self._ticket} if self._ticket else {}
        how = {"extra_headers": headers, "timeout": _PATIENCE_S, "max_retries": 0}
        try:
            said = call(self._registry, "GET", CHANGES_PATH, "ask whether anything has changed", how)
        except RegistryError:
            return None
        # One that is over is answered with the next.
        self._ticket = said.get("ticket", self._ticket)
        number = said.get("number")
        return number if isinstance(number, int) else None
