"""What the registry tests share: the registry as the author sees it, and models of their own."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

import registry
from registry import Registry


@pytest.fixture
def at(roles: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """The registry as the author sees it, with a cache of its own."""
    for name, value in roles["author"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GREENROOM_CACHE_DIR", str(tmp_path / "cache"))
    return registry.connect(os.environ)


@pytest.fixture
def model() -> str:
    return f"tiny-{uuid.uuid4().hex[:8]}"
