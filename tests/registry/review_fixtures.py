"""One Greenroom server for each engine, started once for all tests of review.

A test takes a model name of its own, not a server of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from needs import need_postgresql
from review_house import AWAY, ENGINES, SHOWN, House, new_name, open_house

from deploy.postgresql import PostgresServer, create_database, running_postgresql
from registry import Act


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    need_postgresql()
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Make an empty PostgreSQL database; the server of it is started when it is first needed."""

    def make(name: str) -> str:
        return create_database(request.getfixturevalue("postgresql"), name)

    return make


@pytest.fixture(scope="session")
def sqlite_house(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[str], str]
) -> Iterator[House]:
    with open_house("sqlite", tmp_path_factory.mktemp("house"), new_database) as house:
        yield house


@pytest.fixture(scope="session")
def postgresql_house(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[str], str]
) -> Iterator[House]:
    need_postgresql()
    with open_house("postgresql", tmp_path_factory.mktemp("house"), new_database) as house:
        yield house


@pytest.fixture(params=ENGINES)
def house(request: pytest.FixtureRequest) -> House:
    """The session's server on one engine, then on the other; both stay up until the end."""
    found: House = request.getfixturevalue(f"{request.param}_house")
    return found


@pytest.fixture(scope="session")
def _shown() -> dict[str, str]:
    return {}


@pytest.fixture
def shown(house: House, _shown: dict[str, str]) -> Iterator[str]:
    """A model of ann's with a version in every stage, for tests in which nothing is allowed."""
    if house.engine not in _shown:
        name = new_name("shown")
        house.live(name)
        house.staged(name)
        house.register(name)
        house.register(name)
        house.decide("ann", Act.ARCHIVE, name, AWAY)
        _shown[house.engine] = name
    name = _shown[house.engine]
    before = house.said(name)
    yield name
    assert house.stages(name) == SHOWN
    assert house.said(name) == before


@pytest.fixture
def model() -> str:
    return new_name("tiny")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
        yield Path(folder)
