"""What can go wrong on the way to a webhook."""

from __future__ import annotations


class UndeliveredError(Exception):
    """The event did not arrive, for the reason that the message says. Trying again may help."""
