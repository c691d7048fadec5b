"""What the review pages refuse, and how: foreign forms, markup, logins without the right."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from review_pages_content import (
    MARKUP,
    Content,
    grant,
    lines_of,
    logged_in,
    make_version,
    stage_of,
)
from review_pages_html import Visitor

import registry
from deploy.scratch_server import ScratchServer
from registry import ModelVersion

if TYPE_CHECKING:
    pass

pytest_plugins = ["review_pages_fixtures"]


def test_no_page_answers_without_a_login(server: ScratchServer, content: Content) -> None:
    query = f"?name={content.model}&version=2"
    nobody = Visitor(server, None).session
    for path in ("/", "/version" + query, "/history" + query, "/style.css", "/mlflow.css", "/nothing", ""):
        assert nobody.get(f"{server.url}/review{path}", timeout=30).status_code == 401, path
    for path in ("/decide", "/try", "/"):
        assert nobody.post(f"{server.url}/review{path}", timeout=30).status_code == 401, path


def test_the_author_is_told_why_another_must_approve(server: ScratchServer, waiting: ModelVersion) -> None:
    author = Visitor(server, "author")
    page = author.version(waiting.name, 1)
    assert "author may not approve: that takes the MLflow role 'reviewer'" in page.text
    assert "author is the author of version 1; another person must approve." in page.text
    assert not any("approve" in form.buttons for form in page.forms)
    forced = author.send(page.form("withdraw"), act="approve", reason="it is fine <b>")
    assert forced.status == 400
    assert "Not done: the rules refuse to approve it" in forced.text
    assert "author is the author of version 1; another person must approve." in forced.text
    assert "it is fine <b>" in forced.text
    assert "<b>" not in forced.html
    assert stage_of(server, waiting.name, 1) == "Staging"
    assert "Another person must approve it." in author.get("/review/").text


def test_a_reason_that_is_refused_is_still_in_the_form(visitor: Visitor, waiting: ModelVersion) -> None:
    form = visitor.version(waiting.name, 1).form("approve")
    for reason, said in (
        ("", "A reason is needed"),
        (" \n ", "A reason is needed"),
        ("bell \x07 rings", "or one that cannot be printed"),
        ("override \u202e text", "or one that cannot be printed"),
        ("x" * 100_000, "The reason has 100,000 characters"),
        ("é" * 1001, "The reason has 1,001 characters"),
    ):
        page = visitor.send(form, act="approve", reason=reason)
        assert page.status == 400, said
        assert said in page.text
        assert page.form("approve").fields["reason"].strip() == reason.strip()
    too_large = visitor.send(form, act="approve", reason="é" * 300_000)
    assert too_large.status == 413


@pytest.mark.parametrize("token", ["missing", "forged", "of another session", "sent by another site"])
def test_a_foreign_form_changes_nothing(
    server: ScratchServer, visitor: Visitor, waiting: ModelVersion, token: str
) -> None:
    form = visitor.version(waiting.name, 1).form("approve")
    if token == "sent by another site":
        visitor.session.headers["Sec-Fetch-Site"] = "cross-site"
    elif token == "missing":
        del form.fields["csrf_token"]
    elif token == "forged":
        form.fields["csrf_token"] = "x"
    elif token == "of another session":
        other = Visitor(server, "second").version(waiting.name, 1)
        form.fields["csrf_token"] = other.form("approve").fields["csrf_token"]
    before = lines_of(server, waiting.name)
    for address in ("/review/decide", "/review/try"):
        form.action = address
        page = visitor.send(form, act="approve", reason="do it")
        assert page.status == 400
        assert "Nothing was changed: the form did not come from a page of this server" in page.text
    assert lines_of(server, waiting.name) == before


def test_a_double_click_is_done_once(server: ScratchServer, visitor: Visitor, waiting: ModelVersion) -> None:
    form = visitor.version(waiting.name, 1).form("approve")
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda _: visitor.send(form, act="approve", reason="once"), range(4)))
    assert [page.status for page in pages] == [200] * 4
    actions = [str(line.action) for line in lines_of(server, waiting.name)]
    assert actions == ["registered", "validated", "requested", "approved", "promoted"]


def test_bad_forms_are_refused_in_a_sentence(
    server: ScratchServer, visitor: Visitor, waiting: ModelVersion
) -> None:
    form = visitor.version(waiting.name, 1).form("approve")
    before = lines_of(server, waiting.name)
    for changed, status, said in (
        ({"act": "delete"}, 400, "The form asks to 'delete'; expected one of approve, reject"),
        ({"act": "approve", "attempt": "1"}, 400, "The form has no attempt id."),
        ({"act": "approve", "version": "0"}, 404, "There is no version '0'"),
        ({"act": "approve", "version": "9" * 5000}, 404, "There is no version '9999"),
        ({"act": "approve", "version": "\uff17"}, 404, "expected a whole number from 1"),
        ({"act": "approve", "version": "999"}, 404, "version=999) not found"),
        ({"act": "approve", "name": "nowhere"}, 404, "version=1) not found"),
        ({"act": "approve", "name": "x\0y"}, 404, "There is no model 'x\\x00y'"),
        ({"act": "approve", "name": "x" * 100_000}, 404, "There is no model 'xxxx"),
    ):
        page = visitor.send(form, **{"reason": "do it", **changed})
        assert (page.status, said in page.text) == (status, True), (changed, page.text)
        assert "Traceback" not in page.text
    assert lines_of(server, waiting.name) == before


def test_markup_is_shown_and_not_run(server: ScratchServer, visitor: Visitor, content: Content) -> None:
    name = "<b>odd & ${x} {{12345679*63}} é"
    with logged_in(server, "author") as at:
        at.client.create_registered_model(name)
        source, run_id = content.champion.source, content.champion.run_id
        model_id = source.removeprefix("models:/")
        version = at.client.create_model_version(name, source, run_id, model_id=model_id)
        at.client.set_tag(content.champion.run_id, "greenroom.quality.training", MARKUP)
    for page in (
        visitor.get("/review/"),
        visitor.version(content.model, 2),
        visitor.get("/review/history", name=content.model),
        visitor.version(content.model, 1),
        visitor.version(name, int(version.version)),
        visitor.get("/review/history", name=name),
        visitor.get("/review/history", name=MARKUP),
        visitor.get("/review/history", name=content.model, at=MARKUP),
        visitor.get("/review/version", name=content.model, version=MARKUP),
        visitor.get("/review/", after=MARKUP),
    ):
        assert "script" not in page.tags
        assert "b" not in page.tags
        assert "777777777" not in page.text
    assert MARKUP in visitor.get("/review/").text
    assert f"{name}, version 1" in visitor.version(name, 1).text
    assert f"Quality of the data for training: {MARKUP}" in visitor.version(content.model, 1).text


def test_who_may_not_see_a_model_sees_nothing_of_it(
    server: ScratchServer, visitor: Visitor, waiting: ModelVersion
) -> None:
    grant(server, "stranger", "registered_model", waiting.name, "DENY")
    stranger = Visitor(server, "stranger")
    said = f"There is no model '{waiting.name}' that this login may see."
    for path in ("/review/version", "/review/history"):
        page = stranger.get(path, name=waiting.name, version=1)
        assert (page.status, said in page.text) == (403, True)
    assert waiting.name not in stranger.get("/review/").text
    assert waiting.name in visitor.get("/review/").text
    for address, act in (("decide", "approve"), ("decide", "archive"), ("try", "")):
        form = stranger.version("flight-delay", 2).form("try")
        form.action = f"/review/{address}"
        page = stranger.send(form, act=act, name=waiting.name, version="1", reason="let me")
        assert (page.status, said in page.text) == (403, True), page.text
    assert stage_of(server, waiting.name, 1) == "Staging"
    address = f"{server.url}/api/2.0/greenroom/exposures"
    exposures = stranger.session.get(address, params={"name": waiting.name}, timeout=30)
    assert (exposures.status_code, exposures.json()["message"]) == (
        403,
        f"This login may not see {waiting.name}",
    )


def test_who_may_only_read_a_model_is_offered_nothing(server: ScratchServer, waiting: ModelVersion) -> None:
    stranger = Visitor(server, "stranger")
    page = stranger.version(waiting.name, 1)
    assert page.status == 200
    assert [form.action for form in page.forms] == ["/review/try#try"]
    form = page.form("try")
    form.action = "/review/decide"
    page = stranger.send(form, act="archive", reason="mine now")
    assert (page.status, f"This login may not change {waiting.name}" in page.text) == (403, True), page.text
    assert stage_of(server, waiting.name, 1) == "Staging"


def test_looking_changes_nothing(server: ScratchServer, visitor: Visitor, content: Content) -> None:
    before = lines_of(server, content.model)
    url = f"{server.url}/review"
    query = {
        "name": content.model,
        "version": "2",
        "act": "approve",
        "reason": "x",
        "attempt": str(uuid.uuid4()),
    }
    for path in ("", "/", "/version", "/history", "/style.css", "/mlflow.css", "/decide", "/try"):
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = visitor.session.request(method, url + path, params=query, timeout=30)
            # MLflow closes what no check of ours is entered for.
            closed = {403, 405} if path in ("/decide", "/try") and method != "OPTIONS" else {200}
            assert answer.status_code in closed, (method, path)
    assert lines_of(server, content.model) == before


def test_every_page_tells_the_browser_to_load_nothing_foreign(visitor: Visitor, content: Content) -> None:
    for page in (visitor.get("/review/"), visitor.version(content.model, 2), visitor.version("no", 1)):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        assert "style=" not in page.html
        assert "script" not in page.tags


def test_an_artifact_that_was_changed_is_never_loaded(
    server: ScratchServer, visitor: Visitor, content: Content
) -> None:
    version = make_version(server, f"changed-{uuid.uuid4().hex[:8]}", seed=9)
    form = visitor.version(version.name, 1).form("try")
    [booster] = [
        path
        for path in Path(server.folder.path, "artifacts").rglob("model.ubj")
        if registry.Manifest.of(path.parent).digest == version.digest
    ]
    booster.write_bytes(booster.read_bytes()[:-1] + b"?")
    page = visitor.send(form)
    assert (
        f"{version.name} version 1 is not the artifact that was registered: the file 'model.ubj'" in page.text
    )
    assert content.model
