"""The registry benchmark: what it takes for a fault, and that it measures what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from commands import REPOSITORY

from benchmarks.registry_calls import Act, Answer, Deed
from benchmarks.registry_facts import Fault, Snapshot, Truth, compare, find_faults

_LIVE = {1: ("archived", "Archived"), 2: ("promoted", "Production")}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        (Snapshot({1: "Archived", 2: "Production"}, 2, _LIVE), set()),
        (Snapshot({1: "Archived", 2: "Production"}, None, None), set()),
        (Snapshot({1: "Production", 2: "Production"}, None, None), {Fault.TWO_IN_PRODUCTION}),
        (Snapshot({1: "Archived", 2: "Production"}, 1, _LIVE), {Fault.ALIAS}),
        (Snapshot({1: "Archived", 2: "Production"}, None, _LIVE), {Fault.ALIAS}),
        (Snapshot({1: "Archived", 2: "Archived"}, 2, {**_LIVE, 2: ("archived", "Archived")}), {Fault.ALIAS}),
        (Snapshot({1: "Staging", 2: "Production"}, 2, _LIVE), {Fault.NO_LINE}),
        (Snapshot({2: "Production", 3: "None"}, 2, _LIVE), {Fault.NO_LINE}),
        (Snapshot({1: "Deleted_Internal", 2: "Production"}, 2, _LIVE), {Fault.NO_LINE}),
        (
            Snapshot({1: "Deleted_Internal", 2: "Production"}, 2, {**_LIVE, 1: ("deleted", "Archived")}),
            set(),
        ),
        (
            Snapshot({1: "Archived", 2: "Production"}, 2, {**_LIVE, 1: ("deleted", "Archived")}),
            {Fault.NO_LINE},
        ),
    ],
)
def test_a_moment_is_held_against_itself(snapshot: Snapshot, expected: set[Fault]) -> None:
    assert find_faults(snapshot) == expected


def _line(act: Act, digest: str = "a") -> dict[str, Any]:
    action = "deleted" if act.deed is Deed.DELETE else "promoted"
    attempt = "" if act.deed is Deed.DELETE else act.attempt
    return {"action": action, "version": act.version, "attempt": attempt, "hash": digest}


@pytest.mark.parametrize("deed", list(Deed))
def test_a_caller_who_was_told_done_finds_the_line(deed: Deed) -> None:
    act = Act.of(deed, "tiny", 1, "rita")
    promised = {} if deed is Deed.DELETE else {"lines": [_line(act)]}
    done = Answer(act, 200, promised)
    assert compare([done], [_line(act)]) == Truth()
    assert compare([done], []) == Truth(lost=1)


def test_a_line_that_was_promised_and_is_not_there_is_lost() -> None:
    act = Act.of(Deed.PROMOTE, "tiny", 1, "rita")
    done = Answer(act, 200, {"lines": [_line(act), _line(act, "b")]})
    assert compare([done], [_line(act)]) == Truth(lost=1)


@pytest.mark.parametrize("deed", list(Deed))
def test_a_caller_who_was_told_no_finds_none(deed: Deed) -> None:
    act = Act.of(deed, "tiny", 1, "rita")
    other = Act.of(deed, "tiny", 2, "rob")
    refused = Answer(act, 400, {"message": "no"})
    assert compare([refused], [_line(other)]) == Truth()
    assert compare([refused], [_line(act)]) == Truth(untrue=1)
    # Who heard nothing was told nothing untrue.
    assert compare([Answer(act, 0, {})], [_line(act)]) == Truth()


def test_a_round_on_both_servers_ends_with_one_json_object() -> None:
    done = _run("registry", "--rounds", "1", "--calls", "1", "--engine", "sqlite")
    assert done.returncode == 0, done.stdout + done.stderr
    *table, last = done.stdout.splitlines()
    assert any(line.startswith("rounds with two in Production, ever") for line in table)
    figures = json.loads(last)
    promises = ("double_production", "lost_ledger_lines", "alias_disagreements", "untrue_answers", "errors")
    assert {name: figures[name] for name in promises} == dict.fromkeys(promises, 0)
    assert figures["rounds"] == 1
    assert 0 <= figures["double_production_stock"] <= 1
    timing, found = (figures["engines"]["sqlite"][key] for key in ("timing", "greenroom"))
    dearer = max(timing["promote_ms"], timing["rollback_ms"])
    assert figures["overhead_ms"] == pytest.approx(dearer - timing["stock_ms"], abs=0.1)
    assert sum(found["done"].values()) + sum(found["refused"].values()) == 5
    assert found["looks"] >= 1


def test_rounds_are_counted_from_one() -> None:
    done = _run("registry", "--rounds", "0")
    assert done.returncode == 2
    assert "'0' is not a whole number from 1" in done.stderr
