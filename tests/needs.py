"""What a machine may lack: tests that need it say so and skip, except where GREENROOM_CI=1 is set."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from deploy.errors import MissingProgramError
from deploy.postgresql import find_binaries


def only_exhaustively(why: str) -> pytest.MarkDecorator:
    """Return a mark for a test that only GREENROOM_EXHAUSTIVE=1 runs, and why."""
    return pytest.mark.skipif(
        "GREENROOM_EXHAUSTIVE" not in os.environ, reason=f"{why}; set GREENROOM_EXHAUSTIVE=1"
    )


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test for a reason; under GREENROOM_CI=1 fail it, so that nothing is left out unseen."""
    if os.environ.get("GREENROOM_CI") == "1":
        pytest.fail(f"{reason} (GREENROOM_CI=1: a skip counts as a failure)", pytrace=False)
    pytest.skip(reason)


def need_postgresql() -> None:
    """Go on where this machine has PostgreSQL's programs; skip or fail, saying what to install, elsewhere."""
    try:
        find_binaries(os.environ)
    except MissingProgramError as error:
        skip_or_fail(str(error))
