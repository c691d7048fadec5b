"""One server for all tests of the review pages, a model to look at, and versions to decide about."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from live_comparisons import beside, record
from review_pages_content import (
    MARKUP,
    Content,
    approve,
    ask,
    logged_in,
    make_content,
    register_again,
    review_server,
)
from review_pages_html import Visitor

import registry
from deploy.scratch_server import ScratchServer
from registry import Act, ModelVersion


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScratchServer]:
    with review_server(tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest.fixture(scope="session")
def content(server: ScratchServer) -> Content:
    """Looked at by all, changed by none."""
    return make_content(server, "flight-delay", MARKUP)


@pytest.fixture(scope="session")
def challenged(server: ScratchServer, content: Content) -> str:
    """A model whose version 2 may answer clients, was compared, and has a version 3 that waits for it."""
    model = "challenged"
    champion, challenger, third = (
        register_again(server, like, model) for like in (content.champion, *[content.candidate] * 2)
    )
    ask(server, champion, "the first one")
    approve(server, champion)
    with logged_in(server, "author") as at:
        for version in (challenger, third):
            ask(server, version, "newer months")
            registry.decide(at, Act.REQUEST_EXPOSURE, model, version.version, f"10 % of clients {MARKUP}")
        record(at, challenger, beside(challenger, champion))
    with logged_in(server, "reviewer") as at:
        registry.decide(at, Act.APPROVE_EXPOSURE, model, challenger.version, "one week")
    return model


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
