"""A test that cannot run says why; continuous integration does not let it pass for that."""

from __future__ import annotations

import pytest
from needs import skip_or_fail


def test_it_skips_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GREENROOM_CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="there is no Chromium"):
        skip_or_fail("there is no Chromium")


def test_in_continuous_integration_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENROOM_CI", "1")
    with pytest.raises(pytest.fail.Exception, match=r"there is no Chromium \(GREENROOM_CI=1"):
        skip_or_fail("there is no Chromium")
