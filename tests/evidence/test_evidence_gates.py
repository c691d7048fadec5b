"""Gates: what passes, what fails, what cannot be told, and the sentences about it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import (
    METRICS,
    Estimate,
    Findings,
    Gate,
    GateResult,
    SliceFinding,
    Verdict,
    check_gates,
    judge,
    overall,
)

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE


def at(value: float, by: float = 0.01) -> Estimate:
    return Estimate(value, value - by, value + by, 31)


FEW = "5 blocks of rows, at least 8 are needed"


def judged(gate: Gate, candidate: Estimate, difference: Estimate | None = None) -> GateResult:
    name = gate.name
    if difference is None:
        findings = Findings({name: candidate})
    else:
        champion = {name: at(candidate.value - difference.value)}
        findings = Findings({name: candidate}, champion, {name: difference})
    [result] = judge([gate], findings)
    return result


@pytest.mark.parametrize(
    ("gate", "low", "high", "verdict"),
    [
        (Gate("auc", at_least=0.62), 0.62, 0.7, PASSED),
        (Gate("auc", at_least=0.62), 0.6199999, 0.7, INCONCLUSIVE),
        (Gate("auc", at_least=0.62), 0.6, 0.62, INCONCLUSIVE),
        (Gate("auc", at_least=0.62), 0.6, 0.6199999, FAILED),
        (Gate("auc", at_least=0.0), 0.0, 0.0, PASSED),
        (Gate("log_loss", at_most=0.65), 0.6, 0.65, PASSED),
        (Gate("log_loss", at_most=0.65), 0.6, 0.6500001, INCONCLUSIVE),
        (Gate("log_loss", at_most=0.65), 0.6500001, 0.7, FAILED),
        (Gate("bias", at_most=2.0), -3.0, 1.0, PASSED),
    ],
)
def test_an_absolute_bound_includes_its_boundary(
    gate: Gate, low: float, high: float, verdict: Verdict
) -> None:
    found = Estimate((low + high) / 2, low, high, 31)
    assert judged(gate, found).verdict is verdict
    assert judged(gate, found, at(0.9)).verdict is verdict, "the champion plays no part"


@pytest.mark.parametrize(
    ("metric", "low", "high", "verdict"),
    [
        ("auc", 0.715 - 0.72, 0.1, PASSED),  # 0.72 - 0.715 > 0.005 in binary
        ("auc", -0.0051, 0.1, INCONCLUSIVE),
        ("auc", -0.1, -0.0051, FAILED),
        ("auc", 0.1, 0.2, PASSED),
        ("log_loss", -0.1, 0.505 - 0.5, PASSED),
        ("log_loss", -0.1, 0.0051, INCONCLUSIVE),
        ("log_loss", 0.0051, 0.1, FAILED),
        ("recall", -0.1, -0.0051, FAILED),
        ("precision", -0.0049, 0.1, PASSED),
    ],
)
def test_worse_than_the_champion_means_lower_or_higher_as_the_metric_is(
    metric: str, low: float, high: float, verdict: Verdict
) -> None:
    gate = Gate(metric, worse_than_champion_by_at_most=0.005)
    assert judged(gate, at(0.7), Estimate((low + high) / 2, low, high, 31)).verdict is verdict


@pytest.mark.parametrize(
    ("gate", "candidate", "difference", "sentence"),
    [
        (
            Gate("auc", at_least=0.62),
            Estimate(0.7012, 0.6921, 0.7103, 31),
            None,
            "auc is 0.7012 (0.6921 to 0.7103), expected at least 0.62",
        ),
        (
            Gate("log_loss", at_most=0.65),
            at(0.7),
            None,
            "log_loss is 0.7000 (0.6900 to 0.7100), expected at most 0.65",
        ),
        (
            Gate("auc", at_least=0.62),
            at(0.615),
            None,
            (
                "auc is 0.6150 (0.6050 to 0.6250), expected at least 0.62. 31 blocks of rows are"
                " too few to tell;"
                " judge on more"
            ),
        ),
        (
            Gate("auc", at_least=0.62),
            Estimate(0.7, None, None, 5, FEW),
            None,
            (
                "auc is 0.7000, expected at least 0.62. There is no interval: 5 blocks of rows,"
                " at least 8 are"
                " needed"
            ),
        ),
        (
            Gate("auc", at_least=0.62, on="value"),
            Estimate(0.7, None, None, 5, FEW),
            None,
            "auc is 0.7000, expected at least 0.62",
        ),
        (
            Gate("auc", worse_than_champion_by_at_most=0.005),
            at(0.6),
            at(-0.1),
            (
                "auc is 0.6000, the champion's 0.7000: 0.1000 worse (0.0900 worse to 0.1100"
                " worse); expected no more"
                " than 0.005 worse"
            ),
        ),
        (
            Gate("rmse", worse_than_champion_by_at_most=1),
            at(5.0),
            at(-0.002),
            (
                "rmse is 5.0000, the champion's 5.0020: 0.0020 better (0.0120 better to 0.0080"
                " worse); expected no"
                " more than 1 worse"
            ),
        ),
        (
            Gate("auc", worse_than_champion_by_at_most=0.005),
            at(0.1),
            None,
            "auc: there is no champion to compare with",
        ),
    ],
)
def test_the_sentence_says_what_was_found_and_expected(
    gate: Gate, candidate: Estimate, difference: Estimate | None, sentence: str
) -> None:
    assert judged(gate, candidate, difference).sentence == sentence


def test_a_first_version_has_nothing_to_beat() -> None:
    assert judged(Gate("auc", worse_than_champion_by_at_most=0.005), at(0.1)).passed


def test_without_an_interval_only_the_value_can_decide() -> None:
    found = Estimate(0.7, None, None, 5, FEW)
    assert judged(Gate("auc", at_least=0.6), found).verdict is INCONCLUSIVE
    assert judged(Gate("auc", at_least=0.6, on="value"), found).verdict is PASSED
    assert judged(Gate("auc", at_least=0.8, on="value"), found).verdict is FAILED


@pytest.mark.parametrize("bound", ["at_least", "at_most", "worse_than_champion_by_at_most"])
def test_a_metric_that_is_no_number_passes_no_gate(bound: str) -> None:
    nan = Estimate(float("nan"), float("nan"), float("nan"), 31)
    assert judged(Gate("auc", **{bound: 1.0}), nan, nan).verdict is FAILED  # type: ignore[arg-type]


@pytest.mark.parametrize(("share", "verdict"), [(0.05, PASSED), (0.051, FAILED), (float("nan"), FAILED)])
def test_the_quality_of_the_data_is_judged_by_its_value(share: float, verdict: Verdict) -> None:
    gate = Gate(quality="rejected_share", at_most=0.05)
    [result] = judge([gate], Findings({}, quality={"rejected_share": share}))
    assert result == GateResult(verdict, f"rejected_share is {share:.4f}, expected at most 0.05")


def carriers(*found: tuple[str, float, float], small: int = 0) -> Findings:
    """Slices by carrier: name, AUC, and how far its interval goes either way."""
    known = [
        SliceFinding("carrier", name, 500, {"auc": at(value, by)}, {"auc": at(value - 0.7, by)})
        for name, value, by in found
    ]
    tiny = [SliceFinding("carrier", f"S{n}", 9, reasons={"auc": "9 rows"}) for n in range(small)]
    return Findings({"auc": at(0.7)}, {"auc": at(0.7)}, {"auc": at(0.0)}, [*known, *tiny])


EACH = Gate("auc", at_least=0.6, slice="carrier")


def test_a_slice_shown_to_be_beyond_the_bound_fails_its_gate() -> None:
    [result] = judge([EACH], carriers(("UA", 0.7, 0.02), ("OO", 0.5, 0.05), ("EV", 0.55, 0.02), small=2))
    assert result == GateResult(
        FAILED,
        "auc where carrier is OO is 0.5000 (0.4500 to 0.5500), expected at least 0.6; so it is in 1 more;"
        " 2 of 5 cannot be judged",
    )


def test_noise_in_a_small_slice_blocks_nobody() -> None:
    [result] = judge([EACH], carriers(("UA", 0.7, 0.02), ("OO", 0.5, 0.15), small=1))
    assert result == GateResult(
        PASSED,
        "auc by carrier: none of 2 is shown to be beyond the bound; at worst, where carrier is OO, it is"
        " 0.5000 (0.3500 to 0.6500), expected at least 0.6; 1 of 3 cannot be judged",
    )


def test_where_no_slice_can_be_judged_nothing_is_known() -> None:
    [result] = judge([EACH], carriers(small=3))
    assert result == GateResult(
        INCONCLUSIVE, "auc by carrier: no slice is large enough to judge, expected at least 0.6"
    )


def test_slices_are_held_against_the_champion() -> None:
    gate = Gate("auc", worse_than_champion_by_at_most=0.02, slice="carrier")
    [result] = judge([gate], carriers(("UA", 0.7, 0.02), ("OO", 0.65, 0.01)))
    assert result == GateResult(
        FAILED,
        "auc where carrier is OO is 0.6500, the champion's 0.7000: 0.0500 worse (0.0400 worse to 0.0600"
        " worse); expected no more than 0.02 worse",
    )
    alone = Findings({"auc": at(0.7)}, slices=carriers(("UA", 0.7, 0.1)).slices)
    [result] = judge([gate], alone)
    assert result == GateResult(PASSED, "auc by carrier: there is no champion to compare with")


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        (Gate("brier", at_most=1), "A gate judges brier, which is not among the metrics measured: auc"),
        (
            Gate("auc", at_least=0, slice="dest"),
            "A gate judges dest, which is not among the columns sliced by: carrier",
        ),
        (
            Gate(quality="nulls", at_most=0),
            "A gate judges nulls, which is not among the figures of data quality: none",
        ),
    ],
)
def test_what_was_not_measured_is_no_verdict(gate: Gate, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        judge([gate], carriers(("UA", 0.7, 0.1)))
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"metric": "auc"},
            "The gate on auc has no bound, expected one of at_least, at_most, worse_than_champion_by_at_most",
        ),
        (
            {"metric": "auc", "at_least": 0, "at_most": 1},
            (
                "The gate on auc has at_least and at_most, expected one of at_least, at_most,"
                " worse_than_champion_by_at_most"
            ),
        ),
        ({"at_least": 0}, "A gate is on a metric or on a quality of the data; found neither"),
        (
            {"metric": "auc", "quality": "q", "at_least": 0},
            "A gate is on a metric or on a quality of the data; found both",
        ),
        (
            {"metric": "acc", "at_least": 0},
            (
                "The gate on acc: there is no such metric; there is: auc, log_loss, brier, calibration_error,"
                " precision, recall, rmse, mae, bias, r2"
            ),
        ),
        ({"metric": "auc", "at_least": float("nan")}, "The gate on auc: at_least is nan, expected a number"),
        (
            {"metric": "auc", "worse_than_champion_by_at_most": -0.1},
            "The gate on auc: worse_than_champion_by_at_most is -0.1, expected 0 or more",
        ),
        (
            {"metric": "bias", "worse_than_champion_by_at_most": 0.1},
            "The gate on bias: neither more nor less of it is better; expected at_least or at_most",
        ),
        (
            {"quality": "nulls", "at_most": 0, "slice": "carrier"},
            "The gate on nulls judges the data: expected at_least or at_most, and no slice",
        ),
        (
            {"metric": "auc", "at_least": 0, "on": "mean"},
            "The gate on auc: on is 'mean', expected interval or value",
        ),
        (
            {"metric": "auc", "at_least": 0, "on": "value", "slice": "carrier"},
            "The gate on auc of each carrier needs intervals: small slices fail on values by chance",
        ),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(wrong: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        Gate(**wrong)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        (
            Gate("rmse", at_most=1),
            (
                "rmse is no metric of classification; for classification there is: auc,"
                " log_loss, brier, calibration_error, precision, recall"
            ),
        ),
        (Gate("brier", at_most=1), "The gate on brier judges what is not among the metrics; add it there"),
        (
            Gate("auc", at_least=0, slice="dest"),
            ("The gate on auc judges each dest, which is not among the slices: carrier; add it there"),
        ),
    ],
)
def test_gates_have_to_fit_the_task_and_what_is_measured(gate: Gate, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        check_gates([gate], "classification", ["auc"], ["carrier"])
    assert str(refusal.value) == sentence
    check_gates([EACH, Gate(quality="nulls", at_most=0)], "classification", ["auc"], ["carrier"])


def test_every_gate_is_judged_in_order_and_summed_up() -> None:
    gates = [Gate("auc", at_least=0.6), Gate("brier", at_most=0.1), Gate("auc", at_most=0.705)]
    results = judge(gates, Findings({"auc": at(0.7), "brier": at(0.2)}))
    assert [r.verdict for r in results] == [PASSED, FAILED, INCONCLUSIVE]
    assert [r.passed for r in results] == [True, False, False]
    assert overall(results) is FAILED
    assert overall([results[0], results[2]]) is INCONCLUSIVE
    assert overall(results[:1]) is PASSED
    assert overall([]) is PASSED


_ONE = st.floats(0, 1)
_LOSSES = sorted(name for name, metric in METRICS.items() if metric.higher_is_better is not None)


@given(st.sampled_from(_LOSSES), _ONE, _ONE, _ONE, _ONE)
def test_a_better_candidate_never_fails_where_a_worse_one_passes(
    metric: str, one: float, other: float, by: float, allowed: float
) -> None:
    gate = Gate(metric, worse_than_champion_by_at_most=allowed)
    worse, better = sorted((one, other), reverse=not METRICS[metric].higher_is_better)
    order = [FAILED, INCONCLUSIVE, PASSED]
    found = [order.index(judged(gate, at(0.5), at(value, by)).verdict) for value in (worse, better)]
    assert found[0] <= found[1]
