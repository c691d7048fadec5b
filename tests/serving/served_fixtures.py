"""What the tests of one request share: artifacts, and endpoints that serve them, each started once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_versions import publish
from served_house import House, open_house, write_foreign, write_plain, write_typed


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain(tmp_path_factory.mktemp("artifacts") / "plain")


@pytest.fixture(scope="session")
def typed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_typed(tmp_path_factory.mktemp("artifacts") / "typed")


@pytest.fixture(scope="session")
def classes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts") / "classes"
    return write_plain(folder, objective="multi:softprob", num_class=3)


@pytest.fixture(scope="session")
def asked(
    tmp_path_factory: pytest.TempPathFactory, plain_folder: Path, typed_folder: Path, classes_folder: Path
) -> Iterator[House]:
    """Three models of ours, with little patience for slow clients."""
    cache = tmp_path_factory.mktemp("asked")
    publish(cache, "plain", 3, plain_folder)
    publish(cache, "typed", 3, typed_folder)
    publish(cache, "classes", 5, classes_folder)
    bounds = ("--read-timeout-s", "1.5", "--max-body-bytes", "2000000", "--max-rows", "5000")
    with open_house(cache, ["plain", "typed", "classes"], *bounds) as running:
        yield running


@pytest.fixture(scope="session")
def slow_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A model that sleeps, raises and answers NaN, behind a token, with room for three requests."""
    cache = tmp_path_factory.mktemp("slow-asked")
    publish(cache, "told", 3, write_foreign(cache / "artifacts" / "told"), "pyfunc")
    bounds = ("--max-waiting", "3", "--deadline-s", "6", "--max-connections", "40", "--threads", "2")
    with open_house(cache, ["told"], *bounds, token="a-token-of-20-letters") as running:
        yield running
