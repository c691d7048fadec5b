"""The policy file is data, and a mistake in it is named; a signature that breaks clients is found."""

from pathlib import Path
from typing import Any

import pytest

from registry import RegistryError
from registry.rules import POLICY, Rules, read_rules, rules_of
from registry.signatures import breaks


def test_the_file_that_comes_with_it_is_the_default() -> None:
    assert read_rules(POLICY) == rules_of({}) == Rules()


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "policy.yaml"
    own.write_text("approvals: 2\nvalidation: {by_another_than_author: true}\nartifact_formats: [pyfunc]\n")
    expected = Rules(approvals=2, by_another_than_author=True, artifact_formats=("pyfunc",))
    assert rules_of({"GREENROOM_POLICY": str(own)}) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("approvals: 0", "approvals is 0, expected a whole number from 1"),
        ("approvals: true", "approvals is True, expected a whole number from 1"),
        ("approvals: '2'", "approvals is '2', expected a whole number from 1"),
        ("approval: 2", "unknown key 'approval'; known are approvals, artifact_formats, "),
        ("validation: {max_age: 3}", "unknown key 'max_age'"),
        ("validation: 3", "validation is 3, expected keys and values"),
        ("validation: {max_age_days: -1}", "max_age_days is -1, expected a whole number from 1"),
        ("artifact_formats: []", "artifact_formats is [], expected a list of xgboost, pyfunc"),
        ("artifact_formats: [onnx]", "artifact_formats is ['onnx'], expected a list of xgboost, pyfunc"),
        ("reviewer_role: ''", "reviewer_role is '', expected the name of an MLflow role"),
        ("plain_mlflow_approves: 1", "plain_mlflow_approves is 1, expected true or false"),
        ("- a", "holds list, expected keys and values"),
        ("a: [", "cannot be read: "),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(RegistryError) as refused:
        read_rules(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be read"):
        read_rules(tmp_path / "none.yaml")


def columns(*said: tuple[str, str, bool]) -> dict[str, Any]:
    tensor = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}]
    return {"inputs": [{"name": n, "type": t, "required": r} for n, t, r in said], "outputs": tensor}


BEFORE = columns(("carrier", "string", True), ("temp", "double", False))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (BEFORE, ()),
        (columns(("carrier", "string", True)), ()),
        (columns(("carrier", "string", False), ("temp", "double", False), ("new", "double", False)), ()),
        (
            columns(("carrier", "string", True), ("gust", "double", True)),
            ("The column 'gust' is needed, and clients do not send it yet.",),
        ),
        (columns(("carrier", "long", True)), ("The column 'carrier' is long, and clients send string.",)),
        (columns(("temp", "double", True)), ("The column 'temp' is needed, and clients may leave it out.",)),
        (
            {**BEFORE, "outputs": [{"type": "double"}]},
            ("The answer is double, and clients read a tensor of float32 [-1].",),
        ),
    ],
)
def test_what_breaks_clients(after: dict[str, Any], said: tuple[str, ...]) -> None:
    assert breaks(BEFORE, after) == said


def test_without_a_champion_or_a_signature_nobody_breaks() -> None:
    assert breaks(None, BEFORE) == breaks(BEFORE, None) == ()
