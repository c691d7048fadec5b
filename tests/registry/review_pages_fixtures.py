"""One server for all tests of the review pages, a model to look at, and versions to decide about."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from review_pages_content import MARKUP, Content, ask, make_content, register_again, review_server
from review_pages_html import Visitor

from deploy.scratch_server import ScratchServer
from registry import ModelVersion


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScratchServer]:
    with review_server(tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest.fixture(scope="session")
def content(server: ScratchServer) -> Content:
    """Looked at by all, changed by none."""
    return make_content(server, "flight-delay", MARKUP)


@pytest.fixture
def waiting(server: ScratchServer, content: Content) -> ModelVersion:
    """A version of a model of its own, that waits for a review."""
    version = register_again(server, content.champion, f"model-{uuid.uuid4().hex[:8]}")
    ask(server, version, "please look")
    return version


@pytest.fixture
def visitor(server: ScratchServer) -> Visitor:
    """A reviewer."""
    return Visitor(server, "reviewer")
