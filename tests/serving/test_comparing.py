"""The comparison of arms: who is compared with whom, by which rows, and what is said of it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import As
from test_recording_spool import ONE

from serving.__main__ import main
from serving.comparing.errors import NothingToCompareError
from serving.comparing.rows import rows_of, with_feedback, with_outcomes
from serving.comparing.telling import as_json, as_text
from serving.comparing.verdict import Report, judge
from serving.recording.exposure import Exposure, Feedback
from serving.recording.tables import exposure_rows, feedback_rows
from serving.routing.declaration import Challenger, Comparing, Routes
from storage import S3Settings, Store, append_rows

START = 1_400_000_000.0
AB = Routes(
    model="tiny",
    champion_weight=80,
    challengers=(Challenger("deeper", 4, "ab", 20),),
    compare=Comparing(0.05, {"brier": 0.02, "error_rate": 0.02, "latency_ms": 5.0}),
)
SHADOW = replace(AB, champion_weight=100, challengers=(Challenger("deeper", 4, "shadow"),))


def exposure(number: int, arm: str, prediction: float, **changed: Any) -> Exposure:
    is_champion = arm == "champion"
    return replace(
        ONE,
        prediction_id=f"p-{number}",
        answered_at=START + number,
        arm=arm,
        mode="champion" if is_champion else "ab",
        version=3 if is_champion else 4,
        digest="sha256:ab" if is_champion else "sha256:cd",
        predictions=np.array([prediction], "<f4").tobytes(),
        latency_s=0.001 + number % 7 / 5000,
        **changed,
    )


def traffic(
    count: int, skill: float, *, shadow: bool = False, share: float = 0.2
) -> tuple[list[Any], list[Any]]:
    """Answers of both arms to the same world; the challenger's are nearer to the truth by `skill`."""
    rng = np.random.default_rng(0)
    exposures, feedback = [], []
    for number in range(count):
        label = float(rng.random() < 0.3)
        score = 0.3 + 0.2 * (label - 0.3) + rng.normal() * 0.05
        better = score + skill * (label - score)
        entity = f"e-{number}"
        if shadow:
            exposures.append(exposure(number, "champion", score, entity=entity))
            exposures.append(replace(exposure(number, "deeper", better, entity=entity), mode="shadow"))
        else:
            arm = "deeper" if rng.random() < share else "champion"
            exposures.append(exposure(number, arm, better if arm == "deeper" else score, entity=entity))
        feedback.append(Feedback(f"p-{number}", 0, label, START + number + 5))
    return exposures, feedback


def report(exposures: list[Exposure], feedback: list[Feedback], routes: Routes = AB) -> Report:
    rows, counts = rows_of(exposure_rows(exposures, lambda _: {}), "tiny")
    rows, sent = with_feedback(rows, feedback_rows(feedback))
    return judge(rows, routes, "deeper", counts | sent)


def outcomes(found: Report) -> dict[str, str]:
    return {comparison.metric: comparison.outcome for comparison in found.verdict.comparisons}


def test_a_challenger_that_is_better_is_said_to_be_and_what_did_not_change_is_no_difference() -> None:
    found = report(*traffic(4000, 0.9))
    assert outcomes(found) == {
        "brier": "better", "error_rate": "no_difference", "latency_ms": "no_difference"
    }  # fmt: skip
    assert (found.champion.version, found.challenger.version, found.mode) == (3, 4, "ab")
    assert "the unit of analysis is the entity" in as_text(found)
    assert found.verdict.ratio is not None
    assert "traffic is shared as it should be" in as_text(found)


def test_traffic_that_is_not_shared_as_declared_leaves_every_metric_undecided() -> None:
    found = report(*traffic(3000, 0.9, share=0.35))
    assert set(outcomes(found).values()) == {"mismatch"}
    assert "sample ratio mismatch" in as_text(found)
    assert "compare again with --since the change" in as_text(found)


def test_a_shadow_is_compared_by_pairs_and_decides_sooner() -> None:
    exposures, feedback = traffic(300, 0.3, shadow=True)
    paired = report(exposures, feedback, SHADOW)
    assert outcomes(paired)["brier"] == "better"
    assert paired.verdict.paired
    assert paired.verdict.comparisons[0].observations == 300
    # One answer that the shadow did not get, and one that the champion's endpoint does not have.
    del exposures[1]
    exposures.append(replace(exposures[-1], prediction_id="p-9999", answered_at=START + 400))
    again = report(exposures, feedback, SHADOW)
    assert (again.verdict.comparisons[0].observations, again.counts["unpaired"]) == (299, 1)


def test_all_kinds_of_outcomes_are_counted_and_none_of_them_is_guessed() -> None:
    exposures, _ = traffic(10, 0.5)
    day = 86_400
    said = [
        Feedback("p-0", 0, 1.0, START - 5),  # early: before the answer
        Feedback("p-1", 0, 1.0, START + 3 * day),  # late
        Feedback("p-2", 0, 1.0, START + 10),
        Feedback("p-2", 0, 1.0, START + 11),  # twice
        Feedback("p-3", 0, 1.0, START + 10),
        Feedback("p-3", 0, 0.0, START + 11),  # with another outcome
        Feedback("p-4", 0, float("nan"), START + 10),
        Feedback("p-5", 7, 1.0, START + 10),  # no such row
        Feedback("who", 0, 1.0, START + 10),
    ]
    rows, _ = rows_of(exposure_rows(exposures, lambda _: {}), "tiny")
    rows, counts = with_feedback(rows, feedback_rows(said))
    assert dict(zip(rows.keys, np.isfinite(rows.outcomes), strict=True)) == {
        f"p-{n}\n0": n in {0, 1, 2} for n in range(10)
    }
    assert counts == {
        "feedback_received": 9,
        "feedback_settled": 5,
        "feedback_repeated": 1,
        "feedback_contradicted": 2,
        "feedback_unusable": 1,
        "feedback_unknown": 2,
        "feedback_early": 1,
        "feedback_late": 1,
    }


def test_outcomes_of_a_table_are_joined_by_entity_and_only_where_nobody_sent_one() -> None:
    exposures = [exposure(n, "champion", 0.5, entity=f"e-{n % 3}" if n < 6 else None) for n in range(8)]
    rows, _ = rows_of(exposure_rows(exposures, lambda _: {}), "tiny")
    rows, _ = with_feedback(rows, feedback_rows([Feedback("p-0", 0, 0.0, START)]))
    keys = np.array(["e-0", "e-1", "e-1", "e-2", "e-2", "e-7", "p-7"], object)
    rows, counts = with_outcomes(rows, keys, np.array([1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]))
    nan = float("nan")
    assert rows.outcomes == pytest.approx([0.0, 1.0, nan, 1.0, 1.0, nan, nan, nan], nan_ok=True)
    assert {name: counts[f"outcomes_{name}"] for name in ("repeated", "contradicted", "unknown")} == {
        "repeated": 1, "contradicted": 2, "unknown": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e, f: ([x for x in e if x.arm == "champion"], f), "The arm 'deeper' has no answers"),
        (lambda e, f: ([x for x in e if x.arm == "deeper"], f), "The arm 'champion' has no answers"),
        (lambda _, f: ([], f), "has no answers in the period"),
        (
            lambda e, f: ([next(x for x in e if x.arm == arm) for arm in ("champion", "deeper")], f),
            "has no answers since 2014-05-13T16:53:2.Z, when the other one began",
        ),
        (lambda e, f: ([replace(x, entity="same") for x in e], f), "No row is left to compare"),
    ],
)
def test_an_arm_without_traffic_is_a_sentence(change: Callable[..., Any], said: str) -> None:
    with pytest.raises(NothingToCompareError, match=said):
        report(*change(*traffic(50, 0.5)))


@pytest.mark.parametrize(
    "change",
    [
        lambda e, _: (e, []),
        lambda e, f: (e, [replace(x, outcome=1.0) for x in f]),
        lambda e, f: (e, [replace(x, outcome=7.5) for x in f]),
        lambda e, f: ([replace(x, predictions=b"", status=500) for x in e], f),
        lambda e, f: ([replace(x, predictions=np.array([np.nan], "<f4").tobytes()) for x in e], f),
        lambda e, f: ([replace(x, predictions=np.array([0.5], "<f4").tobytes()) for x in e], f),
        lambda e, f: ([replace(x, entity=None) if n % 2 else x for n, x in enumerate(e)], f),
        lambda e, f: (
            [replace(next(x for x in e if x.arm == a), answered_at=START) for a in ("champion", "deeper")],
            f,
        ),
        lambda e, f: ([replace(x, answered_at=START) for x in e], f),
    ],
    ids=["no outcomes", "all equal", "no labels", "all failed", "all NaN", "all alike", "half without entity",
         "one each", "clock stands"],
)  # fmt: skip
def test_whatever_the_rows_are_like_something_is_said_and_nothing_crashes(change: Callable[..., Any]) -> None:
    for routes, shadow in ((AB, False), (SHADOW, True)):
        exposures, feedback = change(*traffic(60, 0.5, shadow=shadow))
        found = report(exposures, feedback, routes)
        assert all(comparison.said for comparison in found.verdict.comparisons)
        assert json.loads(json.dumps(as_json(found)))["counts"] == found.counts


def test_half_of_the_requests_without_an_entity_are_counted_and_said() -> None:
    exposures, feedback = traffic(100, 0.5)
    found = report([replace(x, entity=None) if n % 2 else x for n, x in enumerate(exposures)], feedback)
    assert found.counts["without_entity"] in range(40, 51)
    assert "of the rows name none" in as_text(found)


def test_requests_of_one_entity_count_as_one() -> None:
    exposures, feedback = traffic(1000, 0.9)
    few = [replace(x, entity=f"{x.arm}-{n % 5}") for n, x in enumerate(exposures)]
    found = report(
        few, feedback, replace(AB, champion_weight=50, challengers=(replace(AB.challengers[0], weight=50),))
    )
    assert found.verdict.comparisons[0].observations == 10
    assert outcomes(found)["brier"] == "keep_going"


def test_only_the_versions_of_now_are_compared_since_both_of_them_answer() -> None:
    exposures, feedback = traffic(600, 0.5)
    older = [
        replace(x, version=2, digest="sha256:old") if n < 200 and x.arm == "champion" else x
        for n, x in enumerate(exposures)
    ]
    found = report(older, feedback)
    assert found.champion.version == 3
    assert found.counts["champion_rows"] + found.counts["challenger_rows"] <= 400
    assert found.since >= dt.datetime.fromtimestamp(START + 200, dt.UTC).isoformat()[:19]


ROUTES = """
model: tiny
entity: {header: X-Entity-Key}
record: {exposures: ROOT/exposures, feedback: ROOT/feedback}
champion: {weight: 80}
challengers: [{arm: deeper, version: 4, mode: ab, weight: 20}]
compare: {metrics: {brier: {delta: 0.02}}}
outcomes: {table: ROOT/outcomes, key: key, column: delay, above: 15}
"""


@pytest.fixture
def room(s3: S3Settings, tmp_path: Path) -> tuple[Path, str, S3Settings]:
    root = f"s3://greenroom/{uuid.uuid4().hex}"
    (tmp_path / "tiny.yaml").write_text(ROUTES.replace("ROOT", root))
    return tmp_path, root, s3


@pytest.fixture
def someone(s3: S3Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> As:
    environment = {
        "AWS_ENDPOINT_URL_S3": s3.endpoint or "",
        "AWS_ACCESS_KEY_ID": s3.access_key_id or "",
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key or "",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return As(environment, monkeypatch, capsys)


def test_the_command_reads_tables_and_files_and_says_it_to_people_and_machines(
    room: tuple[Path, str, S3Settings], someone: As
) -> None:
    folder, root, s3 = room
    compare = ("compare", "tiny", "--routes", str(folder))
    ran = someone(main, *compare)
    assert ran.code == 1
    assert ran.err == (
        f"serving: Nothing was recorded at {root}/exposures yet; expected a table, which an endpoint makes"
        " whose routes file says `record:`\n"
    )
    exposures, feedback = traffic(2000, 0.9)
    append_rows(f"{root}/exposures", exposure_rows(exposures, lambda _: {}), ["date"], "test", 1, s3)
    # Half of the outcomes come as feedback, the others as a file, with what such files have.
    append_rows(f"{root}/feedback", feedback_rows(feedback[:1000]), ["date"], "test", 1, s3)
    lines = [f"e-{f.prediction_id[2:]},{30 if f.outcome else 5}" for f in feedback[1000:]]
    content = "\n".join(["key,delay", *lines, "e-1000,", "e-nobody,3", ",7"]) + "\n"
    Store.connect(s3).write(f"{root}/outcomes/date=2014-05-13/part.csv", content.encode())
    ran = someone(main, *compare)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("tiny: version 4 (deeper, ab) beside version 3, 2014-05-13T16:53:2")
    assert "brier" in ran.out
    ran = someone(main, *compare, "--json", "--since", "2014-05-13T17:00")
    said = json.loads(ran.out)
    assert said["metrics"][0]["outcome"] == "better"
    assert said["since"] >= "2014-05-13T17:00:00Z"
    assert said["counts"]["outcomes_unusable"] == 2
    assert someone(main, *compare, "--since", "yesterday").code == 2
    assert "has no answers in the period" in someone(main, *compare, "--since", "2020-01-01").err
    ran = someone(main, "compare", "other", "--routes", str(folder))
    assert (ran.code, "can not be read" in ran.err) == (2, True)


def test_days_that_are_over_are_compacted_and_compare_as_before(
    room: tuple[Path, str, S3Settings], someone: As
) -> None:
    folder, root, s3 = room
    compact = ("compact", "tiny", "--routes", str(folder))
    assert someone(main, *compact).out == "Nothing was recorded of tiny yet\n"
    exposures, feedback = traffic(300, 0.9)
    for number in range(6):
        each = exposures[number * 50 : number * 50 + 50]
        append_rows(f"{root}/exposures", exposure_rows(each, lambda _: {}), ["date"], "test", number + 1, s3)
    append_rows(f"{root}/feedback", feedback_rows(feedback), ["date"], "test", 1, s3)
    before = someone(main, "compare", "tiny", "--routes", str(folder), "--json")
    ran = someone(main, *compact)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        f"{root}/exposures: 6 files joined into 1; 0 deleted that were replaced 7 days ago",
        f"{root}/feedback: 0 files joined into 0; 0 deleted that were replaced 7 days ago",
    ]
    assert json.loads(someone(main, *compact, "--json").out)[0] == {
        "table": f"{root}/exposures",
        "joined": 0,
        "into": 0,
        "deleted": 0,
    }
    after = someone(main, "compare", "tiny", "--routes", str(folder), "--json")
    assert (before.code, json.loads(after.out)) == (0, json.loads(before.out))
    (folder / "tiny.yaml").write_text("model: tiny\n")
    ran = someone(main, *compact)
    assert (ran.code, "The routes of tiny record nothing; expected `record:`" in ran.err) == (2, True)
