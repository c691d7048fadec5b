"""The entry point of the store. Every process that uses MLflow imports it, so it imports nothing itself."""

from __future__ import annotations

from typing import Any


def open_store(store_uri: str) -> Any:
    """Open the registry of a server: `greenroom+sqlite:///…` or `greenroom+postgresql+psycopg://…`."""
    from registry.server.store import GreenroomStore

    return GreenroomStore(store_uri)
