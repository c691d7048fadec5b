"""The review pages in a real Chromium, mostly without JavaScript: keyboard, phone, contrast, labels."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from needs import skip_or_fail
from playwright.sync_api import Browser, Page, sync_playwright
from review_pages_content import (
    Content,
    approve,
    lines_of,
    stage_of,
)

from deploy.scratch_server import ScratchServer
from registry import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["review_pages_fixtures"]

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
# Debian's; another one can be named.
CHROMIUM = os.environ.get("CHROMIUM", "chromium")
_FINDINGS = Path(__file__).with_name("review_pages_findings.js").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which(CHROMIUM)
    if program is None:
        skip_or_fail(f"there is no {CHROMIUM} here; install it: apt-get install chromium")
    with sync_playwright() as playwright:
        # Chromium keeps no sandbox for root, who runs the tests in a container.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(executable_path=program, args=arguments)
        yield started
        started.close()


@contextmanager
def opened(
    browser: Browser, server: ScratchServer, login: str = "reviewer", **settings: Any
) -> Iterator[Page]:
    """A page of a browser that knows a login's password; fails on anything the console says."""
    password = server.passwords[login]
    context = browser.new_context(
        base_url=server.url,
        http_credentials={"username": login, "password": password},
        **{"viewport": DESKTOP, **settings},
    )
    said: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    # A refusal is an answer, and no fault of the page.
    assert [text for text in said if "responded with a status of 4" not in text] == []


def addresses(model: str, challenged: str) -> list[str]:
    return [
        f"/review/version?name={challenged}&version=2",
        f"/review/version?name={challenged}&version=3",
        "/review/",
        f"/review/version?name={model}&version=2",
        f"/review/version?name={model}&version=1",
        f"/review/history?name={model}",
        "/review/version?name=nowhere&version=1",
    ]


def test_a_reviewer_goes_from_the_queue_to_an_approval(
    browser: Browser, server: ScratchServer, waiting: ModelVersion
) -> None:
    with opened(browser, server, java_script_enabled=False) as page:
        page.goto("/review/")
        page.get_by_role("link", name=f"{waiting.name}, version 1").click()
        page.get_by_label("Reason").first.fill("the calibration is fine")
        page.get_by_role("button", name="Approve").click()
        status = page.get_by_role("status")
        assert "promoted by reviewer" in status.inner_text()
        assert page.get_by_role("button", name="Approve").count() == 0
        # Loaded again, the page sends nothing again.
        page.reload()
        assert "promoted by reviewer" in page.get_by_role("status").inner_text()
    assert stage_of(server, waiting.name, 1) == "Production"
    assert len(lines_of(server, waiting.name)) == 5


def test_a_reviewer_rejects_and_is_asked_for_a_reason(
    browser: Browser, server: ScratchServer, waiting: ModelVersion
) -> None:
    with opened(browser, server, java_script_enabled=False) as page:
        page.goto(f"/review/version?name={waiting.name}&version=1")
        page.get_by_role("button", name="Reject").click()
        assert page.url.endswith("version=1"), "the browser itself holds back a form without a reason"
        page.get_by_label("Reason").first.fill("July is worse\nin the evening")
        page.get_by_role("button", name="Reject").click()
        assert "rejected by reviewer" in page.get_by_role("status").inner_text()
        assert page.get_by_text("July is worse in the evening").count() == 1
    assert stage_of(server, waiting.name, 1) == "None"


def test_the_author_sees_why_and_no_button(
    browser: Browser, server: ScratchServer, waiting: ModelVersion
) -> None:
    with opened(browser, server, "author") as page:
        page.goto(f"/review/version?name={waiting.name}&version=1")
        rules = page.get_by_role("complementary", name="Decide")
        assert "author is the author of version 1; another person must approve." in rules.inner_text()
        assert page.get_by_role("button", name="Approve").count() == 0


def test_a_challenger_is_let_before_clients_and_taken_from_them(
    browser: Browser, server: ScratchServer, challenged: str
) -> None:
    with opened(browser, server, java_script_enabled=False) as page:
        page.goto("/review/")
        page.get_by_role("region", name="Challengers before clients").get_by_role(
            "link", name=f"{challenged}, version 3"
        ).click()
        for act, reason, done in (
            ("Approve for exposure", "as version 2", "exposed by reviewer"),
            ("End the exposure", "it is enough", "exposure ended by reviewer"),
            ("Ask for exposure to clients", "after all", "exposure requested by reviewer"),
        ):
            page.locator("summary", has_text=act).click()
            form = page.locator("details[open] form")
            form.get_by_label("Reason").fill(reason)
            form.get_by_role("button", name=act).click()
            assert done in page.get_by_role("status").inner_text()
    assert stage_of(server, challenged, 3) == "Staging"


def test_a_row_is_sent_to_both(browser: Browser, server: ScratchServer, content: Content) -> None:
    with opened(browser, server, java_script_enabled=False) as page:
        page.goto(f"/review/version?name={content.model}&version=2")
        page.get_by_label("carrier").fill("B6")
        page.get_by_label("distance").fill("1200.5")
        page.get_by_role("button", name="Send to version 2 and version 1").click()
        answer = page.get_by_role("status").inner_text()
        assert "Version 2, the candidate\n0." in answer
        assert "Version 1, in Production\n0." in answer
        assert page.get_by_label("distance").input_value() == "1200.5"
        page.get_by_label("distance").fill("far")
        page.get_by_role("button", name="Send to version 2 and version 1").click()
        assert "distance is 'far', expected a number" in page.get_by_role("alert").inner_text()


def test_history_says_what_was_live(browser: Browser, server: ScratchServer, content: Content) -> None:
    with opened(browser, server, java_script_enabled=False) as page:
        page.goto("/review/")
        page.get_by_role("link", name=f"History of {content.model}").click()
        page.get_by_role("heading", name="In Production now").wait_for()
        assert page.get_by_role("heading", name="In Production now").count() == 1
        items = page.get_by_role("list").locator("> li")
        assert items.count() == len(lines_of(server, content.model))
        assert items.first.inner_text().startswith("Version 2 requested for review")
        page.get_by_label("What was live at (UTC)").fill("2013-06-30T12:00")
        page.get_by_role("button", name="Show").click()
        assert "In Production on 2013-06-30, 12:00 UTC\n\nNothing." in page.locator("main").inner_text()


def test_a_keyboard_is_enough(browser: Browser, server: ScratchServer, waiting: ModelVersion) -> None:
    with opened(browser, server) as page:
        page.goto(f"/review/version?name={waiting.name}&version=1")
        page.keyboard.press("Tab")
        assert _focused(page) == "Skip to the content"
        page.keyboard.press("Enter")
        _tab_to(page, "what can be done")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "reason"
        page.keyboard.type("typed without a mouse")
        page.keyboard.press("Tab")
        assert _focused(page) == "Approve"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.wait_for_url("**done=*")
    assert stage_of(server, waiting.name, 1) == "Production"


def test_two_clicks_are_one_approval(browser: Browser, server: ScratchServer, waiting: ModelVersion) -> None:
    with opened(browser, server, java_script_enabled=False) as page:
        page.goto(f"/review/version?name={waiting.name}&version=1")
        page.get_by_label("Reason").first.fill("looked twice")
        page.get_by_role("button", name="Approve").dblclick()
        page.get_by_role("status").wait_for()
    actions = [str(line.action) for line in lines_of(server, waiting.name)]
    assert actions == ["registered", "validated", "requested", "approved", "promoted"]


def test_nothing_is_wider_than_a_phone(
    browser: Browser, server: ScratchServer, content: Content, challenged: str
) -> None:
    with opened(browser, server, viewport=PHONE, is_mobile=True, has_touch=True) as page:
        for address in addresses(content.model, challenged):
            page.goto(address)
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width == PHONE["width"], address
            assert page.evaluate("visualViewport.scale") == 1
        small = page.evaluate(
            "[...document.querySelectorAll('button')].filter(b => b.offsetHeight < 44).map(b => b.innerText)"
        )
        assert small == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(
    browser: Browser,
    server: ScratchServer,
    content: Content,
    challenged: str,
    waiting: ModelVersion,
    scheme: str,
) -> None:
    approve(server, waiting)
    with opened(browser, server, color_scheme=scheme) as page:
        for address in [*addresses(content.model, challenged), f"/review/history?name={waiting.name}"]:
            page.goto(address)
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert page.evaluate(_FINDINGS) == [], address


def test_a_refusal_is_accessible_too(browser: Browser, server: ScratchServer, waiting: ModelVersion) -> None:
    with opened(browser, server, java_script_enabled=False) as page:
        page.goto(f"/review/version?name={waiting.name}&version=1")
        page.get_by_label("Reason").first.fill(" ")
        page.get_by_role("button", name="Approve").click()
        assert "A reason is needed" in page.get_by_role("alert").inner_text()
        assert page.get_by_role("heading", level=1).count() == 1
        assert page.title().startswith(waiting.name)


def test_mlflow_and_the_pages_lead_to_each_other(
    browser: Browser, server: ScratchServer, content: Content
) -> None:
    # MLflow's own application says things on the console, so nothing is expected of it here.
    password = server.passwords["reviewer"]
    context = browser.new_context(
        base_url=server.url,
        http_credentials={"username": "reviewer", "password": password},
    )
    page = context.new_page()
    page.goto("/")
    page.get_by_text("Welcome to MLflow").wait_for()
    link = page.get_by_role("link", name="Review", exact=True)
    assert link.bounding_box()
    link.click()
    page.get_by_role("link", name=f"{content.model}, version 2").click()
    page.get_by_role("link", name="the version", exact=True).click()
    page.get_by_role("heading", name="Version 2").wait_for()
    page.go_back()
    page.get_by_role("link", name="validation run", exact=True).click()
    page.get_by_text("validate version 2").first.wait_for()
    page.go_back()
    # An image that is not one is not decoded.
    page.evaluate("document.images[0].scrollIntoView()")
    page.evaluate("document.images[0].decode()")
    context.close()


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText")).strip()


def _tab_to(page: Page, text: str, most: int = 60) -> None:
    for _ in range(most):
        if _focused(page) == text:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{most} times Tab did not lead to {text!r}")
