"""What tests of more than one project share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry import Registry


@pytest.fixture(scope="module")
def at(roles: dict[str, dict[str, str]]) -> Iterator[Registry]:
    """The registry as the author sees it, in this process too."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in roles["author"].items():
            patch.setenv(name, value)
        yield registry.connect(os.environ)
