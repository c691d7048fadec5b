"""What values of a routes file are held against, each refusal naming file, key and value. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import yaml

from serving.errors import RoutesError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_SHOWN = 80


class _StrictLoader(yaml.SafeLoader):
    """YAML of which a key stands once: of two, the last would silently be meant."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  # PyYAML's signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands there twice", node.value[number][0].start_mark
                )
        return super().construct_mapping(node, deep)


def read_yaml(text: str, where: str) -> object:
    """Read YAML in which no key stands twice. Raises `RoutesError`."""
    try:
        return yaml.load(text, _StrictLoader)  # noqa: S506  # as safe as the one it extends
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise RoutesError(f"{where} is not YAML as it has to be: {said:.300}") from error


def keys_of(
    found: object, where: str, needed: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return keys and values as they are. Raises `RoutesError` where a key is missing or unknown."""
    if not isinstance(found, dict):
        raise RoutesError(f"{where} is {shown(found)}, expected keys and values")
    for key in found:
        if key not in needed + optional:
            known = ", ".join(needed + optional)
            raise RoutesError(f"{where}: unknown key {shown(key)}; known are {known}")
    for key in needed:
        if key not in found:
            raise RoutesError(f"{where}: the key {key!r} is missing")
    return found


def items_of(found: object, where: str) -> list[tuple[Any, str]]:
    """Return the items of a list, each with where it stands. Raises `RoutesError` for what is no list."""
    if not isinstance(found, list):
        raise RoutesError(f"{where} is {shown(found)}, expected a list")
    return [(item, f"{where}[{number}]") for number, item in enumerate(found)]


def text_of(found: object, where: str, fits: Callable[[str], object] = bool, expected: str = "text") -> str:
    """Return a text. Raises `RoutesError` for anything else, and where `fits` says no."""
    if not isinstance(found, str) or not fits(found):
        raise RoutesError(f"{where} is {shown(found)}, expected {expected}")
    return found


def number_of(found: object, where: str, low: float, high: float = math.inf, *, above: bool = False) -> float:
    """Return a number from `low` (`above`: beyond it) to `high`. Raises `RoutesError`."""
    is_number = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    if not is_number or not low <= found <= high or (above and found == low):  # type: ignore[operator]
        begins = f"above {low:g}" if above else f"from {low:g}"
        ends = "" if math.isinf(high) else f" to {high:g}"
        raise RoutesError(f"{where} is {shown(found)}, expected a number {begins}{ends}")
    return float(found)  # type: ignore[arg-type]  # checked above


def whole_of(found: object, where: str, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`. Raises `RoutesError`."""
    if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
        raise RoutesError(f"{where} is {shown(found)}, expected a whole number from {low} to {high}")
    return found


def bool_of(found: object, where: str) -> bool:
    """Return true or false. Raises `RoutesError`."""
    if not isinstance(found, bool):
        raise RoutesError(f"{where} is {shown(found)}, expected true or false")
    return found


def shown(found: object) -> str:
    """Write a value so that a sentence can hold it."""
    text = repr(found)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
