"""The chain shows what was altered, cut or written anew; the standing is what its lines add up to."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import Action, Line, Stage, live_at
from registry.ledger import Head, find_faults
from registry.standing import standing_of

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def chain(*said: dict[str, Any]) -> list[Line]:
    lines: list[Line] = []
    for number, fields in enumerate(said):
        at = (START + dt.timedelta(minutes=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        plain = {
            "at": at,
            "by": "ann",
            "action": Action.REGISTERED,
            "model": "tiny",
            "version": 1,
            "from_stage": Stage.NONE,
            "to_stage": Stage.NONE,
            "reason": "because",
            "digest": "d1",
            "evidence": {"n": number},
            "attempt": f"attempt {number}",
            **fields,
        }
        lines.append(Line.following(lines[-1] if lines else None, **plain))
    return lines


def heads(lines: list[Line]) -> list[Head]:
    return [Head(line.number, line.hash) for line in lines]


FIVE = chain(*({"version": n} for n in range(1, 6)))


def test_a_whole_chain_has_no_fault() -> None:
    assert find_faults([]) == []
    assert find_faults(FIVE, heads(FIVE)) == []
    # A head that was not kept is covered by the next one.
    assert find_faults(FIVE, [Head(3, FIVE[2].hash)]) == []


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "change",
    [{"by": "eve"}, {"reason": ""}, {"digest": None}, {"evidence": {}}, {"to_stage": Stage.PRODUCTION}],
    ids=str,
)
def test_an_altered_line_is_named(number: int, change: dict[str, Any]) -> None:
    altered = [replace(line, **change) if line.number == number else line for line in FIVE]
    (fault,) = find_faults(altered)
    assert fault.startswith(f"Line {number} was altered: tiny version {number}, registered, by ")


def test_an_altered_line_with_a_new_hash_does_not_fit_the_next() -> None:
    forged = replace(FIVE[1], by="eve")
    forged = replace(forged, hash=forged.computed_hash())
    (fault,) = find_faults([FIVE[0], forged, *FIVE[2:]])
    assert fault.startswith("Line 3 does not follow from line 2: tiny version 3")


def test_missing_and_reordered_lines_are_named() -> None:
    assert "The ledger goes from 1 to 3: line 2 missing." in find_faults([FIVE[0], *FIVE[2:]])
    assert "The ledger goes from 1 to 5: lines 2 to 4 missing." in find_faults([FIVE[0], FIVE[4]])
    assert "The ledger goes from 0 to 2: line 1 missing." in find_faults(FIVE[1:])
    swapped = [FIVE[0], FIVE[2], FIVE[1], *FIVE[3:]]
    assert any("lines were reordered" in fault for fault in find_faults(swapped))


def test_what_a_chain_alone_cannot_show_its_heads_do() -> None:
    assert find_faults(FIVE[:3]) == []
    assert find_faults(FIVE[:3], heads(FIVE)[4:]) == [
        "The ledger ends at line 3, and line 5 was known: its tail was cut."
    ]
    rewritten = chain(*({"version": n, "by": "eve"} for n in range(1, 6)))
    assert find_faults(rewritten) == []
    (fault,) = find_faults(rewritten, [Head(4, FIVE[3].hash)])
    assert fault.startswith("Line 4 is not the one that was known then")


texts = st.text(max_size=20)


@settings(max_examples=200)
@given(
    by=texts,
    reason=texts,
    evidence=st.dictionaries(texts, st.none() | st.integers() | texts | st.floats(allow_nan=False)),
)
def test_a_line_survives_being_written_down(by: str, reason: str, evidence: dict[str, Any]) -> None:
    (line,) = chain({"by": by, "reason": reason, "evidence": evidence})
    assert Line.from_plain(line.to_plain()) == line
    assert find_faults([line]) == []


def test_a_number_used_again_begins_anew() -> None:
    lines = chain(
        {"evidence": {"author": "ann"}},
        {"action": Action.REQUESTED, "to_stage": Stage.STAGING},
        {"action": Action.PROMOTED, "from_stage": Stage.STAGING, "to_stage": Stage.PRODUCTION},
        {"action": Action.ARCHIVED, "from_stage": Stage.PRODUCTION, "to_stage": Stage.ARCHIVED},
        {"action": Action.DELETED, "from_stage": Stage.ARCHIVED, "to_stage": Stage.ARCHIVED},
        {"evidence": {"author": "eve"}, "by": "eve", "digest": "d2"},
    )
    assert standing_of(lines[:4]).was_in_production
    assert standing_of(lines[:5]) == standing_of([])
    anew = standing_of(lines)
    assert (anew.author, anew.digest, anew.was_in_production, anew.request) == ("eve", "d2", False, None)


def test_an_approval_counts_for_the_open_request_alone() -> None:
    asked = {"action": Action.REQUESTED, "to_stage": Stage.STAGING}
    approved = {"action": Action.APPROVED, "by": "bob"}
    for closing in (Action.REJECTED, Action.WITHDRAWN, Action.PROMOTED, Action.ARCHIVED, Action.ROLLED_BACK):
        lines = chain({}, asked, approved, {"action": closing})
        assert len(standing_of(lines[:3]).approvals) == 1
        assert (standing_of(lines).request, standing_of(lines).approvals) == (None, ())
    again = chain({}, asked, approved, asked)
    assert standing_of(again).approvals == ()


def test_what_was_live_at_a_time() -> None:
    production = {"to_stage": Stage.PRODUCTION, "action": Action.PROMOTED}
    off = {"from_stage": Stage.PRODUCTION, "to_stage": Stage.ARCHIVED, "action": Action.ARCHIVED}
    lines = chain(
        {"action": Action.APPROVED, "by": "bob"},
        production,
        {"version": 2, "action": Action.APPROVED, "by": "eve"},
        off,
        {"version": 2, **production},
        {"version": 2, **off},
        {"to_stage": Stage.PRODUCTION, "action": Action.ROLLED_BACK},
    )

    def live(minute: int) -> tuple[int, list[str]] | None:
        found = live_at(lines, START + dt.timedelta(minutes=minute))
        return (found.version, [a.by for a in found.approvals]) if found else None

    assert [live(minute) for minute in range(7)] == [
        None,
        (1, ["bob"]),
        (1, ["bob"]),
        None,
        (2, ["eve"]),
        None,
        (1, []),
    ]
