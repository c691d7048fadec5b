"""Random people do random things with random versions; a model of the rules says what must come of it.

The model is written down here, from the text of the rules, and knows nothing of `registry.policy`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import requests
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from review_house import EXHAUSTIVE, House, new_name

import registry

pytest_plugins = ["review_fixtures"]

REVIEWERS = {"rita", "rob"}
people = st.sampled_from(["ann", "amy", "rita", "rob", "olaf"])
# Mostly those who exist.
numbers = st.integers(1, 4)


@dataclass
class Known:
    """What the model of the rules knows of a version."""

    author: str
    artifact: str
    stage: str = "None"
    verdict: bool | None = None
    asked_by: str = ""
    was_live: bool = False
    deleted: bool = False
    exposure_asked_by: str = ""
    exposed: bool = False


class Review(RuleBasedStateMachine):
    def __init__(self, house: House) -> None:
        super().__init__()
        self.house = house
        self.model = new_name("machine")
        self.known: dict[int, Known] = {}
        self.handed_in: set[tuple[str, str]] = set()
        self.lived: list[int] = []
        self.story: list[tuple[str, str, int]] = []
        house.client("ann").create_registered_model(self.model)

    # What the rules say

    def champion(self) -> int | None:
        return next((n for n, v in self.known.items() if v.stage == "Production"), None)

    def may(self, who: str, act: str, number: int) -> bool:  # noqa: PLR0911  # one for each act
        v = self.known.get(number)
        if v is None or v.deleted:
            return False
        waits = v.stage == "Staging"
        mine = who in {v.author, v.asked_by} or who in REVIEWERS
        match act:
            case "request":
                return v.stage in {"None", "Archived"} and v.verdict is True
            case "approve":
                strange = who not in {v.author, v.asked_by} and (who, v.artifact) not in self.handed_in
                return waits and who in REVIEWERS and strange and v.verdict is True
            case "reject":
                return waits and who in REVIEWERS
            case "withdraw":
                return waits and mine
            case "archive":
                if v.stage == "Production":
                    return who in REVIEWERS
                return v.stage == "None" or (waits and mine)
            case "rollback":
                return who in REVIEWERS and v.was_live and v.stage != "Production"
            case "request-exposure" | "approve-exposure" | "reject-exposure" | "end-exposure":
                return self.may_expose(who, act, v)
            case _:
                return v.stage in {"None", "Archived"}

    def may_expose(self, who: str, act: str, v: Known) -> bool:
        sound = v.stage == "Staging" and v.verdict is True and self.champion() is not None
        waits = bool(v.exposure_asked_by) and not v.exposed
        match act:
            case "request-exposure":
                return sound and not v.exposure_asked_by
            case "approve-exposure":
                strange = (
                    who not in {v.author, v.exposure_asked_by} and (who, v.artifact) not in self.handed_in
                )
                return sound and waits and who in REVIEWERS and strange
            case "reject-exposure":
                return waits and who in REVIEWERS
        return bool(v.exposure_asked_by)

    def do_expose(self, who: str, act: str, number: int) -> None:
        v = self.known[number]
        done = {
            "request-exposure": ["exposure requested"],
            "approve-exposure": ["exposure approved", "exposed"],
            "reject-exposure": ["exposure rejected"],
            "end-exposure": ["exposure ended"],
        }[act]
        self.story += [(who, said, number) for said in done]
        v.exposed = act == "approve-exposure"
        if not v.exposed:
            v.exposure_asked_by = who if act == "request-exposure" else ""

    def do(self, who: str, act: str, number: int) -> None:
        if act.endswith("-exposure"):
            self.do_expose(who, act, number)
            return
        v = self.known[number]
        old = self.champion()
        if act == "approve":
            self.story.append((who, "approved", number))
        if act in {"approve", "rollback"} and old is not None:
            self.known[old].stage = "Archived"
            self.story.append((who, "archived", old))
        done = {
            "request": ("Staging", "requested"),
            "approve": ("Production", "promoted"),
            "rollback": ("Production", "rolled back"),
            "reject": ("None", "rejected"),
            "withdraw": ("None", "withdrawn"),
            "archive": ("Archived", "archived"),
        }
        if act == "delete":
            v.deleted = True
            self.story.append((who, "deleted", number))
            return
        v.stage, said = done[act]
        v.exposure_asked_by, v.exposed = "", False
        self.story.append((who, said, number))
        v.asked_by = who if act == "request" else ""
        if v.stage == "Production":
            v.was_live = True
            if number in self.lived:
                del self.lived[self.lived.index(number) + 1 :]
            else:
                self.lived.append(number)

    def compare(self, who: str, act: str, number: int, answer: requests.Response) -> None:
        allowed = self.may(who, act, number)
        assert answer.status_code in ({200} if allowed else {400, 404}), (who, act, number, answer.text)
        if allowed:
            self.do(who, act, number)

    # What they do

    @precondition(lambda self: len(self.known) < 4)
    @rule(who=people, maker=st.sampled_from(["ann", "rita"]))
    def register(self, who: str, maker: str) -> None:
        # Who registers an artifact may not approve it anywhere: here, nobody did before.
        source, run_id = self.house.source_of(maker, self.model)
        made = self.house.client(who).create_model_version(
            self.model, source, run_id, model_id=source.removeprefix("models:/"), await_creation_for=0
        )
        self.known[int(made.version)] = Known(who, maker)
        self.handed_in |= {(who, maker), (maker, maker)}
        self.story.append((who, "registered", int(made.version)))

    @rule(who=people, number=numbers, passed=st.sampled_from([True, True, True, False]))
    def validate(self, who: str, number: int, passed: bool) -> None:  # noqa: FBT001  # drawn by name
        v = self.known.get(number)
        digest = self.house.digest_of(v.artifact, self.model) if v else "0"
        verdict = {
            "passed": passed,
            "digest": digest,
            "run_id": self.house.evidence(),
            "metrics": {},
            "reasons": [],
        }
        said = {"name": self.model, "version": number, "attempt": str(uuid.uuid4()), "validation": verdict}
        answer = self.house.call(who, "POST", "/api/2.0/greenroom/validations", json=said)
        assert answer.ok == (v is not None and not v.deleted), answer.text
        if v is not None and answer.ok:
            v.verdict = passed
            self.story.append((who, "validated", number))

    @rule(
        who=people,
        number=numbers,
        act=st.sampled_from(["request", "approve", "reject", "withdraw", "archive", "rollback"]),
    )
    def decide(self, who: str, act: str, number: int) -> None:
        self.compare(who, act, number, self.house.ask(who, act, self.model, number))

    @rule(number=numbers)
    def let_in(self, number: int) -> None:
        """All the way, as often happens."""
        for who, act in (("amy", "request"), ("rob", "approve")):
            self.compare(who, act, number, self.house.ask(who, act, self.model, number))

    @precondition(lambda self: any(v.stage == "Staging" for v in self.known.values()))
    @rule(
        who=people,
        number=numbers,
        act=st.sampled_from(["request-exposure", "approve-exposure", "reject-exposure", "end-exposure"]),
    )
    def expose(self, who: str, number: int, act: str) -> None:
        self.compare(who, act, number, self.house.ask(who, act, self.model, number))

    @precondition(lambda self: not self.known)
    @rule(who=people)
    def contest(self, who: str) -> None:
        """One in Production, and one that asks to answer clients beside it."""
        for _ in range(2):
            self.register(who, "ann")
            self.validate("olaf", len(self.known), passed=True)
        champion, challenger = len(self.known) - 1, len(self.known)
        self.let_in(champion)
        self.compare("amy", "request", challenger, self.house.ask("amy", "request", self.model, challenger))
        self.let_before_clients(challenger)

    @precondition(lambda self: any(v.stage == "Staging" for v in self.known.values()))
    @rule(number=numbers)
    def let_before_clients(self, number: int) -> None:
        """All the way, and what may answer is what was let."""
        for who, act in (("amy", "request-exposure"), ("rob", "approve-exposure")):
            self.compare(who, act, number, self.house.ask(who, act, self.model, number))
        found = registry.list_exposures(self.house.at("olaf"), self.model)
        asked = {n: v.exposed for n, v in self.known.items() if v.exposure_asked_by}
        assert {e.version: e.answers for e in found} == asked

    @rule(who=people)
    def roll_back(self, who: str) -> None:
        answer = self.house.ask(who, "rollback", self.model, None)
        live = self.champion()
        earlier = [n for n in self.lived if not self.known[n].deleted and n != live]
        if not earlier:
            assert answer.status_code == 404, answer.text
        else:
            self.compare(who, "rollback", earlier[-1], answer)

    @rule(who=people, number=numbers, stage=st.sampled_from(["None", "Staging", "Production", "Archived"]))
    def move(self, who: str, number: int, stage: str) -> None:
        """With MLflow's own interface."""
        v = self.known.get(number)
        body = {
            "name": self.model,
            "version": str(number),
            "stage": stage,
            "archive_existing_versions": False,
        }
        answer = self.house.mlflow(who, "POST", "model-versions/transition-stage", **body)
        if v is None or v.deleted:
            assert answer.status_code == 404, answer.text
        elif v.stage == stage:
            assert answer.ok, answer.text
        else:
            acts = {
                ("None", "Staging"): "request",
                ("Archived", "Staging"): "request",
                ("Staging", "None"): "withdraw",
                ("Staging", "Production"): "approve",
            }
            act = "archive" if stage == "Archived" else acts.get((v.stage, stage))
            if act is None:
                assert answer.status_code == 400, answer.text
            else:
                self.compare(who, act, number, answer)

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        answer = self.house.mlflow(
            "admin", "DELETE", "model-versions/delete", name=self.model, version=str(number)
        )
        self.compare("admin", "delete", number, answer)

    # What always holds

    @invariant()
    def the_stages_are_those_of_the_model(self) -> None:
        expected = {n: v.stage for n, v in self.known.items() if not v.deleted}
        assert self.house.stages(self.model) == expected

    @invariant()
    def the_ledger_tells_the_story(self) -> None:
        lines = [line for line in self.house.lines() if line.model == self.model]
        assert [(line.by, str(line.action), line.version) for line in lines] == self.story


def test_random_people_keep_the_rules(house: House) -> None:
    run_state_machine_as_test(
        lambda: Review(house),  # type: ignore[arg-type]  # any callable that makes one
        settings=settings(
            max_examples=100 if EXHAUSTIVE else 4,
            stateful_step_count=40 if EXHAUSTIVE else 15,
            derandomize=not EXHAUSTIVE,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
