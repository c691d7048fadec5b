"""The benchmark of live comparisons: a small sample of it holds, and it goes the way that users go."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import verdicts
from benchmarks.__main__ import main
from benchmarks.verdicts import Figures, RatioFigures, Way, run, run_ratio
from benchmarks.verdicts_figures import is_held, print_tables
from benchmarks.verdicts_worlds import WORLDS, truth
from evidence import Goal, compare

BY_NAME = {world.name: world for world in WORLDS}


@pytest.mark.parametrize("name", ["error rate, half", "latency, a tenth", "log loss, shadow"])
def test_in_a_small_sample_it_holds_what_it_promises(name: str) -> None:
    found = run(BY_NAME[name], 60)
    assert found.is_held
    assert found.ours.wrong <= 0.05
    assert found.peeking.false > 0.15
    assert found.t_test.false < 0.15


def test_shares_are_seldom_called_a_mismatch() -> None:
    found = run_ratio(100)
    assert (found.false, found.found) == (0, 1)
    assert found.half_by is not None
    assert found.half_by < 50_000


@pytest.mark.parametrize("name", ["brier, a tenth", "brier, shadow", "latency, heavy tail"])
def test_it_says_at_a_look_what_a_comparison_says(name: str) -> None:
    world = BY_NAME[name]
    delta = abs(truth(world).effect)
    looks = np.arange(100, 3001, 100)
    seen = verdicts._experiment(np.random.default_rng(5), world, looks, changed=True)
    said = verdicts._say(world, [seen], delta)[0]

    random = np.random.default_rng(5)
    ours, theirs = world.draw(random, 3000, True)  # noqa: FBT003
    is_ours = random.random(3000) < (world.share or 0)
    for look, word in zip(looks, said, strict=True):
        if world.share is None:
            arms = ours[:look], theirs[:look]
        else:
            arms = ours[:look][is_ours[:look]], theirs[:look][~is_ours[:look]]
        challenger, champion = ({world.metric: arm} for arm in arms)
        (found,) = compare(
            challenger,
            champion,
            {world.metric: Goal(delta)},
            paired=world.share is None,
            weights=None if world.share is None else (world.share, 1 - world.share),
        ).comparisons
        assert found.outcome == word
    assert "keep_going" in said


def test_the_t_test_finds_the_stated_effect_as_often_as_planned() -> None:
    assert run(BY_NAME["reward, half"], 150).t_test.decided["1"] == pytest.approx(0.8, abs=0.1)


WAY = Way(0.05, 0.0, {"1": 0.2, "2": 0.7, "3": 0.8}, 1.5, None)
FIGURES = Figures("brier, half", "brier", -0.02, 4800, 10, 144, 0.5, WAY, WAY, WAY)
RATIO = RatioFigures(10, 100_000, 0.001, 0.001, 0.02, 0.4, None)


@pytest.mark.parametrize(
    ("figures", "ratio", "held"),
    [
        (FIGURES, RATIO, True),
        (replace(FIGURES, ours=replace(WAY, false=0.051)), RATIO, False),
        (replace(FIGURES, ours=replace(WAY, decided=WAY.decided | {"3": 0.79})), RATIO, False),
        (FIGURES, replace(RATIO, false=0.002), False),
    ],
)
def test_what_holds(figures: Figures, ratio: RatioFigures, *, held: bool) -> None:
    assert is_held([figures], ratio) == held


def test_what_never_decided_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables([FIGURES], RATIO)
    written = capsys.readouterr().out
    assert "half of them by never" in written
    assert "never" in next(line for line in written.splitlines() if line.startswith("brier, half   -0.02"))


def test_the_last_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["verdicts", "--experiments", "2", "--world", "log loss, shadow"]
    code = main(asked)
    written = capsys.readouterr().out.splitlines()
    found = json.loads(written[-1])
    assert code == (0 if found["is_held"] else 1)
    assert [f["world"] for f in found["figures"]] == ["log loss, shadow"]
    assert found["experiments"] == 2
    assert written[0].startswith("Live comparisons of 2 simulated experiments each")
    assert main([*asked, "--json"]) == code
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["figures"] == found["figures"]


def test_a_world_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verdicts", "--world", "auc"]) == 2
    assert "there is no world 'auc', only brier, half; brier, a tenth; " in capsys.readouterr().err
