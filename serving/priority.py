"""Who comes first on a busy machine: the workers that answer clients, before what runs beside them."""

from __future__ import annotations

import os

_NICE = 10


def yield_to_workers() -> None:
    """Lower the priority of this process and of what it starts; what is left is enough to be in time."""
    os.nice(_NICE)
