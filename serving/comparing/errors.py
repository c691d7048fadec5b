"""What can keep a comparison from being made."""

from __future__ import annotations

from serving.errors import ServingError


class NothingToCompareError(ServingError):
    """There are not two arms with answers."""
