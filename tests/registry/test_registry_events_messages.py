"""What webhooks are told about a line, and when it is tried again."""

import json

import pytest
from hooked import START, line
from hypothesis import given
from hypothesis import strategies as st

from registry.ledger import Action, Line
from registry.server.events.messages import events_of
from registry.server.events.schedule import Schedule
from registry.stages import Stage

UP = (Stage.STAGING, Stage.PRODUCTION)
DOWN = (Stage.PRODUCTION, Stage.ARCHIVED)
BACK = (Stage.ARCHIVED, Stage.PRODUCTION)
DAY_MS = 24 * 60 * 60 * 1000


def kinds(*lines: Line) -> list[str]:
    return [f"{event.entity}.{event.action} {event.data.get('version')}" for event in events_of(lines)]


def test_a_request_says_who_asked_for_what_and_where_it_stands_in_the_ledger() -> None:
    asked = line(Action.REQUESTED, 7, reason='"<b>é" \u2028')
    (event,) = events_of([asked])
    assert json.loads(event.payload) == {
        "entity": "model_version_stage",
        "action": "requested",
        "timestamp": START,
        "data": {
            "name": "flight-delay",
            "version": "1",
            "from_stage": "Staging",
            "to_stage": "Staging",
            "by": "ruth",
            "reason": '"<b>é" \u2028',
            "digest": "d1",
            "ledger_line": 7,
            "ledger_hash": asked.hash,
        },
    }
    assert event.payload.isascii()
    assert event.delivery_id("one") == event.delivery_id("one") != event.delivery_id("two")


def test_what_goes_live_is_also_said_in_the_words_of_stock_mlflow() -> None:
    approved, promoted = line(Action.APPROVED, 1), line(Action.PROMOTED, 2, moved=UP)
    events = events_of([approved, promoted])
    assert [event.entity for event in events] == [*["model_version_stage"] * 2, "model_version_alias"]
    said = json.loads(events[-1].payload)
    assert (said["entity"], said["action"]) == ("model_version_alias", "created")
    assert said["data"] == {"name": "flight-delay", "alias": "production", "version": "1"}


@pytest.mark.parametrize("new_first", [True, False])
def test_a_replaced_version_leaves_production_filled(new_first: bool) -> None:  # noqa: FBT001
    new = line(Action.ROLLED_BACK, 1 if new_first else 2, version=2, moved=BACK)
    old = line(Action.ARCHIVED, 2 if new_first else 1, moved=DOWN)
    said = kinds(*sorted([new, old], key=lambda at: at.number))
    assert "model_version_alias.created 2" in said
    assert not [kind for kind in said if "deleted" in kind]


def test_production_left_empty_is_said_once_as_a_removed_alias() -> None:
    (stage, alias) = events_of([line(Action.ARCHIVED, moved=DOWN)])
    assert (stage.action, stage.subscription) == ("archived", "created")
    assert (alias.action, alias.subscription) == ("deleted", "deleted")
    assert alias.data == {"name": "flight-delay", "alias": "production"}


def test_moves_elsewhere_touch_no_alias() -> None:
    to_staging = line(Action.PROMOTED, 1, moved=(Stage.NONE, Stage.STAGING))
    archived = line(Action.ARCHIVED, 2, moved=(Stage.STAGING, Stage.ARCHIVED))
    verdicts = [line(Action.REJECTED, 3), line(Action.WITHDRAWN, 4)]
    exposed = line(Action.APPROVED, 5, moved=(Stage.PRODUCTION, Stage.PRODUCTION))
    actions = ["promoted", "archived", "rejected", "withdrawn", "approved"]
    assert kinds(to_staging, archived, *verdicts, exposed) == [
        f"model_version_stage.{action} 1" for action in actions
    ]


@pytest.mark.parametrize("action", [Action.REGISTERED, Action.VALIDATED, Action.DELETED])
def test_what_changes_nothing_on_stage_is_not_told(action: Action) -> None:
    assert events_of([line(action)]) == []


def test_waits_double_from_one_second_to_ten_minutes() -> None:
    waits = [Schedule().next_attempt_ms(attempts, 0, 0, chance=0) for attempts in (1, 2, 3, 10, 11, 9999)]
    assert waits == [1000, 2000, 4000, 512_000, 600_000, 600_000]


@given(st.integers(1, 10_000), st.integers(0, 3 * DAY_MS - 1), st.floats(0, 1))
def test_a_wait_is_at_least_half_a_second_and_at_most_ten_minutes(
    attempts: int, age_ms: int, chance: float
) -> None:
    again = Schedule().next_attempt_ms(attempts, 0, age_ms, chance)
    assert again is not None
    assert 500 <= again - age_ms <= 600_000


def test_after_three_days_an_event_is_given_up() -> None:
    assert Schedule().next_attempt_ms(500, 0, 3 * DAY_MS, chance=0.5) is None
