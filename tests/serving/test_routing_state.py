"""Ramps go up when they may, stops hold for everybody, and what is written is read again."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from serving.errors import RoutesError
from serving.routing.buckets import ALL_CHAMPION
from serving.routing.declaration import Challenger, EntityKey, Guards, Recording, Routes, Step
from serving.routing.guards import Watched
from serving.routing.published import ArmView, Places, Published, read_published, write_published
from serving.routing.shared_state import Approved, SharedState, declared_digest, next_state, stopped
from serving.routing.watch import Watch

if TYPE_CHECKING:
    from pathlib import Path

RAMP = (Step(1, 600), Step(10, 3600), Step(50, 3600))
CAREFUL = Challenger("careful", 8, "canary", ramp=RAMP, guards=Guards(at_least=200))
LATER = Challenger("later", 7, "ab", 10.0)
ROUTES = Routes("flight-delay", 90.0, (LATER, CAREFUL, Challenger("deeper", None, "shadow")))
LIVE = {"careful": Approved(8, "d" * 64, "2026-01-01T00:00:00Z")}
START = SharedState("flight-delay")


def seen(state: SharedState, **about: object) -> Watch:
    found = Watched("d" * 64, state.ramps["careful"].since, exposures=500)
    return Watch(0.0, {"careful": replace(found, **about)})  # type: ignore[arg-type]


def shares(state: SharedState) -> dict[str, int]:
    return dict(Counter(state.table))


def test_a_ramp_begins_when_its_version_may_answer_and_takes_from_the_champion() -> None:
    before = next_state(START, ROUTES, {}, None, 1000.0)
    assert shares(before) == {"champion": 9000, "later": 1000}
    begun = next_state(before, ROUTES, LIVE, None, 2000.0)
    assert shares(begun) == {"champion": 8900, "later": 1000, "careful": 100}
    assert (begun.ramps["careful"].step, begun.ramps["careful"].since) == (0, 2000.0)
    assert begun.declared == declared_digest(ROUTES)
    assert next_state(begun, ROUTES, LIVE, None, 2001.0) == begun


def test_it_moves_on_when_its_time_is_over_and_enough_was_answered() -> None:
    begun = next_state(START, ROUTES, LIVE, None, 0.0)
    for late, watch in (
        (599.0, seen(begun)),
        (600.0, None),
        (600.0, seen(begun, exposures=199)),
        (600.0, seen(begun, breach="too slow")),
        (600.0, seen(begun, digest="e" * 64)),
        (600.0, seen(begun, since=1.0)),
    ):
        assert next_state(begun, ROUTES, LIVE, watch, late) == begun
    second = next_state(begun, ROUTES, LIVE, seen(begun), 600.0)
    assert shares(second) == {"champion": 8000, "later": 1000, "careful": 1000}
    third = next_state(second, ROUTES, LIVE, seen(second), 4200.0)
    assert shares(third) == {"champion": 4000, "later": 1000, "careful": 5000}
    assert next_state(third, ROUTES, LIVE, seen(third), 1e9) == third


def test_another_version_or_approval_begins_anew() -> None:
    second = next_state(next_state(START, ROUTES, LIVE, None, 0.0), ROUTES, LIVE, None, 10.0)
    for other in (Approved(9, "e" * 64, "2026-01-01"), Approved(8, "d" * 64, "2026-02-02")):
        anew = next_state(second, ROUTES, {"careful": other}, None, 700.0)
        assert (anew.ramps["careful"].step, anew.ramps["careful"].since) == (0, 700.0)


def test_a_stop_gives_its_clients_to_the_champion_and_holds_until_it_is_approved_anew() -> None:
    begun = next_state(START, ROUTES, LIVE, None, 0.0)
    over = stopped(begun, "careful", LIVE["careful"], "too slow", 5.0)
    assert shares(over) == {"champion": 9000, "later": 1000}
    assert next_state(over, ROUTES, LIVE, None, 6.0) == over
    assert next_state(over, ROUTES, {}, None, 6.0) == over
    renamed = replace(ROUTES, challengers=(LATER, replace(CAREFUL, arm="bold")))
    assert "bold" not in shares(next_state(over, renamed, {"bold": LIVE["careful"]}, None, 6.0))
    again = {"careful": replace(LIVE["careful"], approved_at="2026-03-03T00:00:00Z")}
    assert shares(next_state(over, ROUTES, again, None, 7.0))["careful"] == 100


def test_weights_that_change_move_only_who_has_to() -> None:
    before = next_state(START, ROUTES, LIVE, None, 0.0)
    heavier = replace(ROUTES, champion_weight=80.0, challengers=(replace(LATER, weight=20.0), CAREFUL))
    after = next_state(before, heavier, LIVE, None, 1.0)
    moved = Counter((a, b) for a, b in zip(before.table, after.table, strict=True) if a != b)
    assert moved == {("champion", "later"): 1000}
    assert declared_digest(heavier) != declared_digest(ROUTES)


def test_arms_that_are_gone_give_back_what_they_had() -> None:
    before = next_state(START, ROUTES, LIVE, None, 0.0)
    assert next_state(before, Routes("flight-delay"), {}, None, 1.0).table == ALL_CHAMPION


def test_the_shared_object_is_read_as_it_was_written() -> None:
    state = stopped(next_state(START, ROUTES, LIVE, None, 0.0), "careful", LIVE["careful"], "slow", 5.0)
    written = json.loads(json.dumps(state.to_json()))
    assert SharedState.from_json(written, "s3://b/k", "flight-delay") == state


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "other"}, "model 'other', expected 1 and 'flight-delay'. Declare another place"),
        ({"format": 2}, "is of format 2"),
        ({"table": [["champion", 3]]}, "Delete it to begin anew"),
        ({"table": 3}, "Delete it to begin anew"),
        ({"ramps": {"a": {}}}, "Delete it to begin anew"),
        ({"stopped": []}, "Delete it to begin anew"),
    ],
)
def test_what_is_no_shared_object_is_said(change: dict[str, object], said: str) -> None:
    with pytest.raises(RoutesError, match=r"^s3://b/k ") as refused:
        SharedState.from_json({**START.to_json(), **change}, "s3://b/k", "flight-delay")
    assert said in str(refused.value)


LIVE_ARM = ArmView("later", "ab", 7, "d" * 64, "{}", "/a/folder", percent=10.0)
PUBLISHED = Published(
    model="flight-delay",
    arms=(LIVE_ARM, ArmView("careful", "canary", idle="none is approved", guards=Guards(None, 2.0, 0.1, 5))),
    table=("later",) * 1000 + ("champion",) * 9000,
    entity=EntityKey(header="x-entity-key"),
    record=Recording("e", "f"),
)


def test_what_is_published_is_read_as_it_was_written(tmp_path: Path) -> None:
    places = Places.of(tmp_path / "view.json", tmp_path / "serving")
    for published in (PUBLISHED, Published("flight-delay", problem="it is wrong")):
        write_published(places.published, published)
        assert read_published(places.published) == published


@pytest.mark.parametrize(
    "change", [{"arms": [{}]}, {"table": []}, {"entity": 3}, {"more": 1}, {"record": {"exposures": 1}}]
)
def test_what_was_not_published_is_none(change: dict[str, object], tmp_path: Path) -> None:
    write_published(tmp_path / "routes.json", PUBLISHED)
    found = json.loads((tmp_path / "routes.json").read_text())
    (tmp_path / "routes.json").write_text(json.dumps({**found, **change}))
    assert read_published(tmp_path / "routes.json") is None


def test_an_arm_that_is_not_idle_has_an_artifact(tmp_path: Path) -> None:
    write_published(tmp_path / "routes.json", replace(PUBLISHED, arms=(replace(LIVE_ARM, folder=None),)))
    assert read_published(tmp_path / "routes.json") is None
