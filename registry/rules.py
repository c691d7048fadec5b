"""The rules of review as data: read once from `policy.yaml`, checked key by key."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from registry.errors import RegistryError
from registry.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY = Path(__file__).with_name("policy.yaml")
POLICY_VARIABLE = "GREENROOM_POLICY"


@dataclass(frozen=True)
class Rules:
    """What `policy.yaml` says; that file explains each."""

    reviewer_role: str = "reviewer"
    approvals: int = 1
    max_age_days: int = 30
    by_another_than_author: bool = False
    artifact_formats: tuple[str, ...] = ("xgboost",)
    plain_mlflow_approves: bool = True


def rules_of(environment: Mapping[str, str]) -> Rules:
    """Read the rules a server goes by."""
    return read_rules(Path(environment.get(POLICY_VARIABLE) or POLICY))


def read_rules(path: Path) -> Rules:
    """Read a policy file. Raises `RegistryError` naming the file, the key and what was expected."""
    try:
        plain = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RegistryError(f"The policy {path} cannot be read: {error}") from error
    if not isinstance(plain, dict):
        raise RegistryError(f"The policy {path} holds {type(plain).__name__}, expected keys and values")
    flat = {k: v for k, v in plain.items() if k != "validation"}
    nested = plain.get("validation", {})
    if not isinstance(nested, dict):
        raise RegistryError(f"{path}: validation is {nested!r}, expected keys and values")
    known_inside = {"max_age_days", "by_another_than_author"}
    known = {field.name for field in fields(Rules)} - known_inside
    for key in [*(k for k in flat if k not in known), *(k for k in nested if k not in known_inside)]:
        raise RegistryError(
            f"{path}: unknown key {key!r}; known are {', '.join(sorted(known | known_inside))}"
        )
    values = {**flat, **nested}
    for key, value in values.items():
        _check(path, key, value)
    if "artifact_formats" in values:
        values["artifact_formats"] = tuple(values["artifact_formats"])
    return Rules(**values)


def _check(path: Path, key: str, value: Any) -> None:
    expected = {
        "reviewer_role": ("the name of an MLflow role", isinstance(value, str) and bool(value)),
        "approvals": ("a whole number from 1", _whole(value, 1)),
        "max_age_days": ("a whole number from 1", _whole(value, 1)),
        "by_another_than_author": ("true or false", isinstance(value, bool)),
        "plain_mlflow_approves": ("true or false", isinstance(value, bool)),
        "artifact_formats": (
            f"a list of {', '.join(FORMATS)}",
            isinstance(value, list) and bool(value) and all(f in FORMATS for f in value),
        ),
    }
    sentence, good = expected[key]
    if not good:
        raise RegistryError(f"{path}: {key} is {value!r}, expected {sentence}")


def _whole(value: Any, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest
