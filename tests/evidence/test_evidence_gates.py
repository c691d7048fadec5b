"""Gates: what passes, what does not, and the sentences about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import METRICS, Gate, GateResult, judge


def judged(gate: Gate, candidate: float, champion: float | None = None) -> GateResult:
    measured = None if champion is None else {gate.metric: champion}
    [result] = judge([gate], {gate.metric: candidate}, measured)
    return result


@pytest.mark.parametrize(
    ("gate", "candidate", "passed"),
    [
        (Gate("auc", at_least=0.62), 0.62, True),
        (Gate("auc", at_least=0.62), 0.7, True),
        (Gate("auc", at_least=0.62), 0.6199999, False),
        (Gate("auc", at_least=0.0), 0.0, True),
        (Gate("log_loss", at_most=0.65), 0.65, True),
        (Gate("log_loss", at_most=0.65), 0.1, True),
        (Gate("log_loss", at_most=0.65), 0.6500001, False),
        (Gate("brier", at_most=0.0), 0.0, True),
        (Gate("brier", at_most=0.0), 1e-9, False),
    ],
)
def test_an_absolute_bound_includes_its_boundary(gate: Gate, candidate: float, *, passed: bool) -> None:
    assert judged(gate, candidate).passed == passed
    assert judged(gate, candidate, champion=0.99).passed == passed, "the champion plays no part"


@pytest.mark.parametrize(
    ("metric", "candidate", "champion", "passed"),
    [
        ("auc", 0.715, 0.72, True),  # 0.72 - 0.715 > 0.005 in binary
        ("auc", 0.7149, 0.72, False),
        ("auc", 0.9, 0.72, True),
        ("log_loss", 0.505, 0.5, True),
        ("log_loss", 0.5051, 0.5, False),
        ("log_loss", 0.1, 0.5, True),
        ("brier", 0.105, 0.1, True),
        ("brier", 0.1051, 0.1, False),
    ],
)
def test_worse_than_the_champion_means_lower_or_higher_as_the_metric_is(
    metric: str, candidate: float, champion: float, *, passed: bool
) -> None:
    gate = Gate(metric, worse_than_champion_by_at_most=0.005)
    assert judged(gate, candidate, champion).passed == passed


def test_no_worse_at_all_can_be_asked() -> None:
    gate = Gate("auc", worse_than_champion_by_at_most=0.0)
    assert judged(gate, 0.7, 0.7).passed
    assert not judged(gate, 0.699, 0.7).passed


def test_a_first_version_has_nothing_to_beat() -> None:
    result = judged(Gate("auc", worse_than_champion_by_at_most=0.005), 0.1)
    assert result == GateResult(passed=True, sentence="auc: there is no champion to compare with")


@pytest.mark.parametrize(
    ("gate", "candidate", "champion", "sentence"),
    [
        (Gate("auc", at_least=0.62), 0.61239, None, "auc is 0.6124, expected at least 0.62"),
        (Gate("log_loss", at_most=0.65), 0.7, None, "log_loss is 0.7000, expected at most 0.65"),
        (
            Gate("auc", worse_than_champion_by_at_most=0.005),
            0.6,
            0.7,
            "auc is 0.6000, the champion's 0.7000; expected no more than 0.005 worse",
        ),
    ],
)
def test_the_sentence_says_what_was_found_and_expected(
    gate: Gate, candidate: float, champion: float | None, sentence: str
) -> None:
    assert judged(gate, candidate, champion) == GateResult(passed=False, sentence=sentence)


@pytest.mark.parametrize(
    "gate",
    [
        Gate("auc", at_least=0.0),
        Gate("auc", at_most=1.0),
        Gate("auc", worse_than_champion_by_at_most=1.0),
    ],
)
def test_a_metric_that_is_no_number_passes_no_gate(gate: Gate) -> None:
    assert not judged(gate, float("nan"), 0.5).passed


def test_every_gate_is_judged_in_order() -> None:
    gates = [Gate("auc", at_least=0.6), Gate("brier", at_most=0.1), Gate("auc", at_most=0.9)]
    results = judge(gates, {"auc": 0.7, "brier": 0.2}, None)
    assert [r.passed for r in results] == [True, False, True]
    assert [r.sentence.split()[0] for r in results] == ["auc", "brier", "auc"]


_ONE = st.floats(0, 1)


@given(st.sampled_from(sorted(METRICS)), _ONE, _ONE, _ONE, _ONE)
def test_a_better_candidate_never_fails_where_a_worse_one_passes(
    metric: str, one: float, other: float, champion: float, allowed: float
) -> None:
    gate = Gate(metric, worse_than_champion_by_at_most=allowed)
    worse, better = sorted((one, other), reverse=not METRICS[metric].higher_is_better)
    assert judged(gate, better, champion).passed >= judged(gate, worse, champion).passed
