"""What is checked of a value read from YAML, whichever key it stands under."""

from __future__ import annotations

import math
from typing import Any

from projects.errors import DeclarationError


def check_text(value: Any, where: str) -> None:
    """Raise `DeclarationError` unless it is a text."""
    if not isinstance(value, str):
        raise DeclarationError(f"{where} is {value!r}, expected str")


def check_number(value: Any, least: int, where: str) -> None:
    """Raise `DeclarationError` unless it is a whole number, and not below `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise DeclarationError(f"{where} is {value!r}, expected int")
    if value < least:
        raise DeclarationError(f"{where} is {value}, expected at least {least}")


def is_number(value: Any) -> bool:
    """Say whether it is a finite number; YAML's `true` is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def as_list(found: Any, where: str) -> list[Any]:
    """Return a list. Raises `DeclarationError` for anything else."""
    if not isinstance(found, list):
        raise DeclarationError(f"{where}: found {found!r:.80}, expected a list")
    return found


def as_mapping(found: Any, where: str) -> dict[str, Any]:
    """Return a mapping. Raises `DeclarationError` for anything else."""
    if not isinstance(found, dict):
        raise DeclarationError(f"{where}: found {found!r:.80}, expected keys and values")
    return found


def refuse_unknown(found: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise `DeclarationError` for a key that is not known: a slip of the pen must not pass for a default."""
    for key in found:
        if key not in known:
            raise DeclarationError(f"{where}: unknown key {key!r}; known are {', '.join(known)}")
