"""The review pages over HTTP, on a real server with logins: what they show, and what they do."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import sqlalchemy as sa
from live_comparisons import beside, compared, record
from review_pages_content import (
    Content,
    approve,
    ask,
    logged_in,
    make_version,
    register_again,
    stage_of,
)
from review_pages_html import Page, Visitor

import registry
from deploy.scratch_server import ScratchServer
from registry import Act, ModelVersion

if TYPE_CHECKING:
    pass

pytest_plugins = ["review_pages_fixtures"]


def test_the_queue_shows_what_waits_and_what_is_live(visitor: Visitor, content: Content) -> None:
    page = visitor.get("/review/")
    assert page.status == 200
    assert "flight-delay, version 2" in page.text
    assert "validation passed auc 0.7120 (0.7040 to 0.7200)" in page.text
    assert "author asked just now" in page.text
    assert f"/review/version?name={content.model}&version=2" in page.links
    assert "flight-delay version 1" in page.text


def test_a_request_has_all_that_a_reviewer_needs(visitor: Visitor, content: Content) -> None:
    page = visitor.version(content.model, 2)
    champion, candidate = content.champion, content.candidate
    for said in (
        "Staging validation passed waits for a review",
        "auc is 0.712; expected at least 0.62",
        "auc 0.7120 (0.7040 to 0.7200) 0.7010 (0.6930 to 0.7090) +0.011 better",
        "Judged on 2013-07-01 to 2013-07-31, 28,116 rows.",
        "Both versions on the same rows.",
        "carrier: UA 4,950 auc 0.7220 (0.7000 to 0.7440)",
        "carrier: HA 31 auc 0.6020",
        "Code version 8f56211c0de18f56211c0de18f56211c0de18f56",
        "training flight_delay features 5f1c5f1c",
        "version 1 was trained on it too",
        "Quality of the data for validation: 8 of 28,124 rows are left out",
        "Files of the validation: model_card.md",
        "The training run holds no report on the quality of its data.",
        "Changed Version 2 Version 1, in Production rounds 3 2",
        "3 more, the same in both",
        "Clients of version 1 can send the same rows to version 2.",
        f"Digest {candidate.digest}",
        "0 of 1 approval given.",
        "The rules let you decide.",
        "It goes to Production in place of version 1.",
    ):
        assert said in page.text, said
    assert champion.digest
    assert champion.digest in page.text
    assert f"/#/models/flight-delay/versions/{candidate.version}" in page.links
    assert f"/#/experiments/0/runs/{candidate.run_id}" in page.links
    assert f"/#/experiments/0/runs/{champion.run_id}" in page.links
    (card,) = (link for link in page.links if link.endswith("model_card.md"))
    assert visitor.session.get(f"{visitor.server.url}{card}", timeout=30).text == "# flight-delay version 2\n"
    assert len(page.images) == 4
    for address in page.images:
        picture = visitor.session.get(f"{visitor.server.url}{address}", timeout=30)
        assert picture.content.startswith(b"\x89PNG")


def test_an_approval_puts_it_in_production(
    server: ScratchServer, visitor: Visitor, waiting: ModelVersion
) -> None:
    form = visitor.version(waiting.name, 1).form("approve")
    page = visitor.send(form, act="approve", reason="calibration is fine")
    assert page.status == 200
    assert "promoted by reviewer" in page.text
    assert "Production" in page.text
    assert "calibration is fine" in page.text
    assert stage_of(server, waiting.name, 1) == "Production"
    assert "calibration is fine" in visitor.get("/review/history", name=waiting.name).text


def test_a_rejection_takes_it_out_of_staging(
    server: ScratchServer, visitor: Visitor, waiting: ModelVersion
) -> None:
    form = visitor.version(waiting.name, 1).form("reject")
    page = visitor.send(form, act="reject", reason="too many\r\nlate flights missed")
    assert "rejected by reviewer" in page.text
    assert "too many late flights missed" in page.text
    assert stage_of(server, waiting.name, 1) == "None"
    again = visitor.send(form, act="approve", reason="changed my mind")
    assert again.status == 400
    assert "is in None; only what waits in Staging is approved" in again.text
    assert "changed my mind" in again.text


def test_withdraw_ask_again_and_archive_are_on_the_page_of_the_author(
    server: ScratchServer, waiting: ModelVersion
) -> None:
    author = Visitor(server, "author")
    page = author.version(waiting.name, 1)
    for act, stage in (("withdraw", "None"), ("request", "Staging"), ("archive", "Archived")):
        page = author.send(page.form(act), act=act, reason=f"I {act}")
        assert (page.status, stage_of(server, waiting.name, 1)) == (200, stage), page.text


def test_a_rollback_is_offered_for_what_was_in_production(
    server: ScratchServer, visitor: Visitor, content: Content, waiting: ModelVersion
) -> None:
    approve(server, waiting)
    second = register_again(server, content.candidate, waiting.name)
    ask(server, second, "newer")
    approve(server, second)
    page = visitor.version(waiting.name, 1)
    assert "Roll back to version 1" in page.text
    page = visitor.send(page.form("rollback"), act="rollback", reason="version 2 is slow")
    assert "rolled back by reviewer" in page.text
    assert stage_of(server, waiting.name, 1) == "Production"
    assert "Version 1 put back in Production" in visitor.get("/review/history", name=waiting.name).text


def test_a_challenger_is_let_before_clients(
    server: ScratchServer, visitor: Visitor, content: Content, waiting: ModelVersion
) -> None:
    name = waiting.name
    author = Visitor(server, "author")
    page = author.version(name, 1)
    assert "It answers no clients; as a shadow, it may score copies of their rows." in page.text
    assert "Nothing is in Production that it could be exposed beside." in page.text
    approve(server, waiting)
    ask(server, register_again(server, content.candidate, name), "newer")
    page = author.version(name, 2)
    page = author.send(page.form("request-exposure"), act="request-exposure", reason="a week at 10 %")
    assert "exposure requested by author" in page.text
    assert "author is the author of version 2; another person must approve." in page.text
    assert "waits for an approval for exposure" in author.get("/review/").text

    page = visitor.version(name, 2)
    assert "a week at 10 %" in page.text
    assert "It may answer clients, beside version 1; it stays in Staging." in page.text
    page = visitor.send(page.form("approve-exposure"), act="approve-exposure", reason="<b>10 % is fine</b>")
    assert "exposed by reviewer" in page.text
    assert "may answer clients" in page.text
    assert f"{name}, version 2 may answer clients author, " in visitor.get("/review/").text
    assert stage_of(server, name, 2) == "Staging"

    # To stop it takes no reviewer, and a stranger who may only read does not.
    stranger = Visitor(server, "stranger")
    assert not any("end-exposure" in form.buttons for form in stranger.version(name, 2).forms)
    no = stranger.send(page.form("end-exposure"), act="end-exposure", reason="no")
    assert no.status in {400, 403}
    page = author.version(name, 2)
    page = author.send(page.form("end-exposure"), act="end-exposure", reason="too slow")
    assert "exposure ended by author" in page.text
    told = visitor.get("/review/history", name=name).text
    for said in (
        "Version 2 requested for exposure to clients",
        "Version 2 approved for exposure to clients",
        "Version 2 may answer clients, as a challenger",
        "Version 2 no longer exposed to clients",
        "<b>10 % is fine</b>",
    ):
        assert said in told, said
    assert f"{name}, version 2 may answer clients" not in visitor.get("/review/").text


def test_a_comparison_on_live_traffic_is_evidence(
    server: ScratchServer, visitor: Visitor, content: Content
) -> None:
    version = content.candidate
    assert "On live traffic" not in visitor.version(content.model, 1).text

    def log(text: str) -> str:
        with logged_in(server, "author") as at:
            return record(at, version, text)

    runs = [log(beside(version, content.champion, said=["<script>alert(1)</script> & more"]))]
    page = visitor.version(content.model, 2)
    for said in (
        "On live traffic Beside version 1, in Production. Mode: ab. From 2013-07-01 to 2013-07-09.",
        "<script>alert(1)</script> & more",
        "brier better -0.012 (-0.020 to -0.0046) 0.005 12,345",
        "latency_ms keep going -0.012 (-0.020 to -0.0046) 0.005 12,345 4,000",
        "outcomes 12,345, never 17",
    ):
        assert said in page.text, said
    assert f"/#/experiments/0/runs/{runs[0]}" in page.links
    # The newest counts, even where it is not to be read.
    for text, why in (
        ("{", "Expecting property name"),
        (json.dumps(compared()), "It is about another artifact than this version's"),
        ("x" * 1_000_001, "has 1000001 bytes, expected at most 1,000,000"),
    ):
        runs.append(log(text))
        page = visitor.version(content.model, 2)
        assert "It is not shown: " in page.text
        assert why in page.text
        assert "brier better" not in page.text
    with logged_in(server, "admin") as at:
        for run_id in runs[1:]:
            at.client.delete_run(run_id)
        assert "brier better" in visitor.version(content.model, 2).text
        at.client.delete_run(runs[0])
    assert "On live traffic" not in visitor.version(content.model, 2).text


def test_a_row_is_answered_by_both(visitor: Visitor, content: Content) -> None:
    form = visitor.version(content.model, 2).form("try")
    assert (form.fields["column-0"], form.fields["column-1"]) == ("AA", "1")
    page = visitor.send(form, **{"column-0": "UA", "column-1": "600"})
    assert page.status == 200
    with logged_in(visitor.server, "author") as at:
        import pyarrow as pa

        row = pa.table({"carrier": ["UA"], "distance": [600.0]})
        answers = [str(registry.load(at, v).predict(row)[0]) for v in (content.candidate, content.champion)]
    assert f"Version 2, the candidate {answers[0]} Version 1, in Production {answers[1]}" in page.text
    assert page.form("try").fields["column-1"] == "600"
    missing = visitor.send(form, **{"column-0": "", "column-1": ""})
    assert "the candidate 0." in missing.text
    for typed in ("many", "nan", "1e999"):
        bad = visitor.send(form, **{"column-1": typed})
        assert f"distance is {typed!r}, expected a number" in bad.text
        assert bad.form("try").fields["column-1"] == typed
    assert "printable characters" in visitor.send(form, **{"column-0": "x" * 5000}).text


def _erase(server: ScratchServer, run_id: str) -> None:
    with sa.create_engine(server.database_uri).begin() as connection:
        for table in ("tags", "runs"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE run_uuid = :run"), {"run": run_id})


def test_runs_that_are_gone_are_said_to_be(server: ScratchServer, visitor: Visitor) -> None:
    version = make_version(server, f"gone-{uuid.uuid4().hex[:8]}", seed=3)
    with logged_in(server, "admin") as at:
        at.client.delete_run(version.run_id)
    page = visitor.version(version.name, 1)
    assert page.status == 200
    assert f"The training run {version.run_id} is deleted in MLflow; it can still be restored." in page.text
    other = register_again(server, version, f"gone-{uuid.uuid4().hex[:8]}")
    with logged_in(server, "reviewer") as at:
        validation = registry.read_review(at, other.name, 1).validation
    assert validation
    run_id = validation.run_id
    _erase(server, run_id)
    assert f"The validation run {run_id} is not in MLflow any more." in visitor.version(other.name, 1).text


def test_a_signature_that_breaks_clients_takes_a_tick(
    server: ScratchServer, visitor: Visitor, waiting: ModelVersion
) -> None:
    approve(server, waiting)
    other = make_version(
        server, waiting.name, seed=4, features={"carrier": "category", "distance": "category"}
    )
    ask(server, other, "distance as text")
    page = visitor.version(waiting.name, 2)
    assert "Clients of version 1 would break" in page.text
    assert "The column 'distance' is string, and clients send double." in page.text
    form = page.form("approve")
    refused = visitor.send(form, act="approve", reason="clients know")
    assert refused.status == 400
    assert "Clients of the version in Production would break" in refused.text
    done = visitor.send(refused.form("approve"), act="approve", accept_signature_change="yes")
    assert "promoted by reviewer" in done.text
    assert "clients know" in done.text


def test_history_answers_what_was_live(visitor: Visitor, content: Content) -> None:
    page = visitor.get("/review/history", name=content.model)
    for said in (
        "In Production now Version 1",
        "promoted by reviewer",
        "looked at its calibration",
        "Approved by reviewer",
        "Version 2 passed its validation",
        "Version 1 registered",
    ):
        assert said in page.text, said
    before = visitor.get("/review/history", name=content.model, at="2013-01-01T00:00")
    assert "In Production on 2013-01-01, 00:00 UTC Nothing." in before.text
    for wrong in ("yesterday", "2013-13-01T00:00", "0001-01-01T00:00+23:00"):
        page = visitor.get("/review/history", name=content.model, at=wrong)
        assert (page.status, "is no time; expected, in UTC: 2026-01-31T13:45" in page.text) == (400, True)
    nowhere = visitor.get("/review/history", name="nowhere")
    assert (nowhere.status, "There is no model 'nowhere', and never was." in nowhere.text) == (404, True)


def test_the_history_of_a_deleted_model_stays(server: ScratchServer, content: Content) -> None:
    name = f"deleted-{uuid.uuid4().hex[:8]}"
    register_again(server, content.champion, name)
    with logged_in(server, "author") as at:
        at.client.delete_registered_model(name)
    admin = Visitor(server, "admin")
    assert "Version 1 deleted" in admin.get("/review/history", name=name).text
    assert admin.version(name, 1).status == 404


def test_prompts_are_not_ours(server: ScratchServer, visitor: Visitor) -> None:
    with logged_in(server, "author") as at:
        at.client.register_prompt("greeting", "Hello {{name}}")
    assert "greeting" not in visitor.get("/review/").text
    assert visitor.version("greeting", 1).status == 404


def test_mlflows_own_page_leads_here(server: ScratchServer, visitor: Visitor) -> None:
    first = visitor.get("/")
    assert first.links == ["/review/"]
    assert (
        first.html.index('<div id="root"') < first.html.index('href="/review/"') < first.html.index("</body>")
    )
    assert "ETag" not in first.headers
    old = visitor.session.get(
        f"{server.url}/", headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, timeout=30
    )
    assert (old.status_code, "/review/" in old.text) == (200, True)
    assert "greenroom" not in visitor.get("/health").html
    style = visitor.session.get(f"{server.url}/review/mlflow.css", timeout=30)
    assert style.headers["Content-Type"].startswith("text/css")


def test_the_cli_and_the_page_tell_the_same(server: ScratchServer, waiting: ModelVersion) -> None:
    with logged_in(server, "second") as at:
        review = registry.read_review(at, waiting.name, 1)
    page: Page = Visitor(server, "second").version(waiting.name, 1)
    assert review.refusals[Act.APPROVE] == ()
    assert "The rules let you decide." in page.text
