"""What the pages put side by side, without a server: metrics, slices, parameters, times, lines."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hooked import line

from registry.ledger import Action
from registry.policy import Act
from registry.rules import Rules
from registry.server.pages import comparison, timeline, times
from registry.server.pages.choices import choices_of
from registry.server.pages.comparison import Measure
from registry.server.pages.runs import DataSet, Run
from registry.server.pages.screens import Evidence, VersionScreen, version_screen
from registry.server.reading import Dossier
from registry.server.versions import Version
from registry.stages import Stage
from registry.standing import Standing
from registry.validation import Validation


def version(number: int, stage: Stage, **standing: object) -> Version:
    return Version("flight-delay", number, stage, "run", "", "", Standing("ann", "d" * 64, **standing))  # type: ignore[arg-type]


def verdict_line(metrics: dict[str, float], compared_with: str = "version 1", window: str = "July") -> object:
    verdict = Validation(
        passed=True,
        digest="d" * 64,
        run_id="run",
        metrics=metrics,
        reasons=("fine",),
        window=window,
        compared_with=compared_with,
    )
    return replace(line(Action.VALIDATED), evidence={"validation": verdict.to_plain()})


def screen(
    candidate: Version, champion: Version | None = None, evidence: Evidence | None = None, **settings: bool
) -> VersionScreen:
    refusals: dict[Act, tuple[str, ...]] = dict.fromkeys(Act, ())
    dossier = Dossier(candidate, champion, (), (), refusals)
    return version_screen(dossier, evidence or Evidence(), Rules(), may_edit=settings.get("may_edit", True))


def test_a_metric_stands_beside_its_interval() -> None:
    [auc, brier] = comparison.compare(
        {"auc": 0.712, "auc.low": 0.7, "auc.high": 0.72, "brier": 0.12},
        {"auc": 0.7, "brier": 0.13, "brier.low": 0.1},
        {},
    ).metrics
    assert str(auc.candidate) == "0.7120 (0.7000 to 0.7200)"
    assert (str(auc.champion), auc.verdict) == ("0.7000", "better")
    assert auc.difference
    assert auc.difference.as_difference == "+0.012"
    assert (str(brier.champion), brier.verdict) == ("0.1300", "better")


def test_a_difference_whose_interval_holds_zero_is_not_called_better() -> None:
    difference = {"auc": 0.01, "auc.low": -0.002, "auc.high": 0.02}
    [auc] = comparison.compare({"auc": 0.71}, {"auc": 0.7}, difference).metrics
    assert auc.difference == Measure(0.01, -0.002, 0.02)
    assert auc.difference.as_difference == "+0.010 (-0.0020 to +0.020)"
    assert auc.verdict == "no clear difference"


def test_a_metric_nobody_knows_is_neither_better_nor_worse() -> None:
    [profit] = comparison.compare({"profit": 1234567.8}, {"profit": 1.0}, {}).metrics
    assert (str(profit.candidate), profit.verdict) == ("1,234,568", "")


def test_metrics_of_one_side_only_are_shown() -> None:
    rows = comparison.compare({"auc": 0.7}, {"old": 1.0}).metrics
    assert [(row.name, row.candidate is None, row.champion is None) for row in rows] == [
        ("auc", False, True),
        ("old", True, False),
    ]
    assert comparison.compare({}, {}) == comparison.Comparison((), (), same_rows=False)


def test_metrics_of_other_rows_are_not_subtracted() -> None:
    [auc] = comparison.compare({"auc": 0.7}, {"auc": 0.6}).metrics
    assert (auc.difference, auc.verdict) == (None, "")


@pytest.mark.parametrize("name", ["slice/carrier=UA/auc", "slice/carrier:UA/auc"])
def test_slices_are_read_as_runs_and_as_verdicts_write_them(name: str) -> None:
    [found] = comparison.compare({name: 0.7, name.replace("auc", "rows"): 4950.0}, {}).slices
    assert (found.name, found.rows, [row.name for row in found.metrics]) == ("carrier: UA", 4950, ["auc"])


def test_a_run_that_was_edited_after_the_verdict_shows() -> None:
    assert comparison.disagreements({"auc": 0.7, "brier": 0.1}, {"auc": 0.7000000001}) == []
    assert comparison.disagreements({"auc": 0.7}, {"auc": 0.9}) == [
        "The verdict says auc 0.7000, and its run now says 0.9000."
    ]


def test_what_changed_comes_first() -> None:
    rows = comparison.values({"depth": "6", "eta": "0.1"}, {"depth": "6", "eta": "0.3", "gone": "1"})
    assert [(row.name, row.changed) for row in rows] == [("eta", True), ("gone", True), ("depth", False)]
    assert not any(row.changed for row in comparison.values({"depth": "6"}, None))


def test_the_champions_numbers_are_those_of_the_same_rows() -> None:
    run = Run("v", metrics={"candidate_auc": 0.72, "champion_auc": 0.7, "rows": 5.0})
    candidate = version(2, Stage.STAGING, verdict=verdict_line({"auc": 0.72}))
    champion = version(1, Stage.PRODUCTION, verdict=verdict_line({"auc": 0.65}, window="May"))
    same = screen(candidate, champion, Evidence(validation=run))
    assert [str(row.champion) for row in same.comparison.metrics] == ["0.7000"]
    assert (
        "Both versions on the same rows. The numbers of version 1 are from the validation's run."
        in same.basis
    )
    alone = version(2, Stage.STAGING, verdict=verdict_line({"auc": 0.72}, "nothing: it was trained on them"))
    other = screen(alone, champion, Evidence(validation=run))
    assert [str(row.champion) for row in other.comparison.metrics] == ["0.6500"]
    assert other.basis[-1] == (
        "Not on the same rows: version 1 has its numbers from its own validation, on May. So the two say"
        " nothing of each other."
    )
    never = screen(candidate, version(1, Stage.PRODUCTION))
    assert never.basis[-1] == "Of version 1, in Production, no numbers are known."


def test_nothing_known_is_a_page_all_the_same() -> None:
    empty = screen(version(1, Stage.NONE), evidence=Evidence(training=Run("r", problem="It is gone.")))
    assert empty.evidence.problems == ["It is gone."]
    assert (empty.comparison.metrics, empty.parameters, empty.plots, empty.files) == ((), (), (), ())
    assert {row.name: row.candidate for row in empty.facts}["Validation"] == "never validated"


def test_plots_and_snapshots_say_whose_they_are() -> None:
    data = DataSet("training", "flights", "5f1c")
    run = Run("t", data=(data,), files=("plots/roc.png", "plots/precision_recall.png", "plots/notes.txt"))
    shown = screen(
        version(2, Stage.STAGING), version(1, Stage.PRODUCTION), Evidence(run, None, Run("o", data=(data,)))
    )
    assert [(plot.title, plot.of) for plot in shown.plots] == [
        ("ROC", "training of version 2"),
        ("precision recall", "training of version 2"),
    ]
    assert [row.is_champions for row in shown.snapshots] == [True]


def test_who_may_not_edit_is_offered_a_reviewers_acts_only() -> None:
    refusals: dict[Act, tuple[str, ...]] = dict.fromkeys(Act, ())
    dossier = Dossier(version(2, Stage.STAGING), version(1, Stage.PRODUCTION), (), (), refusals)
    offered = [choice.act for choice in choices_of(dossier, Rules(), may_edit=False) if choice.allowed]
    assert offered == [Act.APPROVE, Act.REJECT, Act.ROLLBACK, Act.APPROVE_EXPOSURE, Act.REJECT_EXPOSURE]


def test_an_approval_says_what_it_does() -> None:
    dossier = Dossier(version(2, Stage.STAGING), version(1, Stage.PRODUCTION), (), (), dict.fromkeys(Act, ()))
    one, two = (choices_of(dossier, Rules(approvals=n), may_edit=True)[0].effect for n in (1, 2))
    assert (one, two) == ("It goes to Production in place of version 1.", "It is approval 1 of 2.")


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (30, "just now"),
        (60, "1 minute ago"),
        (7_300, "2 hours ago"),
        (200_000, "2 days ago"),
        (-5, "just now"),
    ],
)
def test_how_long_ago_is_said_in_the_largest_unit(passed: int, said: str) -> None:
    at = "2026-01-02T03:04:05.678Z"
    now = dt.datetime.fromisoformat(at) + dt.timedelta(seconds=passed)
    assert (times.ago(at, now), times.shown(at)) == (said, "2026-01-02 03:04 UTC")


def test_a_time_that_was_typed_is_utc_unless_it_says_otherwise() -> None:
    assert times.moment("2026-01-02T03:04").isoformat() == "2026-01-02T03:04:00+00:00"
    assert times.moment(" 2026-01-02T03:04+02:00 ").isoformat() == "2026-01-02T01:04:00+00:00"


def test_lines_are_told_newest_first_with_their_evidence() -> None:
    failed = Validation(passed=False, digest="d", run_id="r", metrics={"auc": 0.5}, reasons=("low",))
    first = replace(line(Action.VALIDATED), evidence={"validation": failed.to_plain()})
    second = replace(line(Action.ARCHIVED, 2), evidence={"replaced_by": 3, "all": [True, None, "x" * 2000]})
    newest, oldest = timeline.entries([first, second])
    assert (newest.what, oldest.what) == ("archived", "failed its validation")
    details = dict(newest.details)
    assert details["replaced by"] == "3"
    assert len(details["all"]) == 600
    assert dict(oldest.details)["metrics"] == "auc 0.5000"
    assert dict(oldest.details)["ledger"].startswith("line 1, hash ")
