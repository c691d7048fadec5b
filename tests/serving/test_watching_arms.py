"""Counts of arms add up over processes, and are of the arm that has the place now."""

from __future__ import annotations

import os

from serving.routing.published import ArmView, Published
from serving.watching.arm_metrics import ArmMetrics, Routes
from serving.watching.arms import ArmTallies, ArmTally

SLOTS = {"champion": 0, "later": 1}


def test_what_processes_count_adds_up() -> None:
    tallies = ArmTallies.create(2, 2)
    for row in (0, 1):
        tally = ArmTally(tallies.cells(row, 1, 1), "later")
        tally.answered(0.0004)
        tally.answered(60.0)
        tally.failed()
        tally.unrecorded()
    # As a shadow does, which has the memory by its file.
    elsewhere = ArmTallies.open(os.dup(tallies.file), 2, 2)
    shadow = ArmTally(elsewhere.cells(2, 1, 1), "later")
    shadow.dropped()
    shadow.without_entity()
    found = tallies.counts(1, SLOTS)["later"]
    assert (found.requests, found.errors, found.drops) == (6, 2, 1)
    assert (found.no_entity, found.unrecorded) == (1, 2)
    assert round(found.seconds, 4) == 120.0008
    assert (sum(found.buckets), found.buckets[-1]) == (4, 2)
    assert tallies.counts(0, SLOTS)["later"].requests == 0
    assert tallies.counts(1, SLOTS)["champion"].requests == 0


def test_another_arm_in_the_same_place_begins_at_nothing_and_a_new_worker_goes_on() -> None:
    tallies = ArmTallies.create(1, 1)
    ArmTally(tallies.cells(0, 0, 1), "later").answered(1.0)
    ArmTally(tallies.cells(0, 0, 1), "later").answered(1.0)
    assert tallies.counts(0, SLOTS)["later"].requests == 2
    ArmTally(tallies.cells(0, 0, 1), "other")
    assert tallies.counts(0, SLOTS)["later"].requests == 0
    assert tallies.counts(0, {"other": 1})["other"].requests == 0


def test_without_routes_there_is_nothing_to_say() -> None:
    tallies = ArmTallies.create(1, 2)
    assert list(ArmMetrics(tallies, [Routes("a", None, {}), Routes("b", None, {})]).collect()) == []
    arms = (ArmView("later", "ab", 7, "d", "m", "f", percent=10.0), ArmView("sleepy", "shadow", idle="no"))
    routes = [Routes("a", None, {}), Routes("b", Published("b", arms, problem="it"), {"later": "off here"})]
    ArmTally(tallies.cells(0, 1, 1), "later").answered(0.1)
    said = {
        (sample.name.removeprefix("greenroom_serving_"), sample.labels.get("arm")): sample.value
        for family in ArmMetrics(tallies, routes).collect()
        for sample in family.samples
    }
    assert said["arm_requests_total", "later"] == 1
    assert (said["arm_idle", "later"], said["arm_idle", "sleepy"]) == (1, 1)
    assert (said["arm_version", "later"], said["arm_version", "sleepy"]) == (7, 0)
    assert said["routes_problem", None] == 1
