"""Suites: what is expected of a table, in Great Expectations' own JSON format for suites."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from expectations.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent

_SUITE_KEYS = {"name", "id", "expectations", "suite_parameters", "meta", "notes"}
_EXPECTATION_KEYS = {
    *("type", "kwargs", "severity", "meta", "notes", "id", "description"),
    *("expectation_context", "rendered_content"),
}


class Severity(StrEnum):
    """What a failure leads to: `critical` stops or quarantines, the others are only reported."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Expectation:
    """One expectation as plain data; its type and kwargs are Great Expectations'."""

    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    meta: Mapping[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        # Suites go to other processes, and a mapping proxy does not.
        return Expectation, (self.type, dict(self.kwargs), self.severity, dict(self.meta))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is about, in the order of its kwargs' meaning."""
        single = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        several = self.kwargs.get("column_list") or []
        return tuple(name for name in (*single, *several) if isinstance(name, str))


@dataclass(frozen=True)
class Suite:
    """A suite; `digest` is the SHA-256 (hex) of its canonical JSON, so layout does not change it."""

    name: str
    path: Path
    digest: str
    expectations: tuple[Expectation, ...]


def load_suite(name_or_path: str | Path) -> Suite:
    """Read a suite: one of this room by name (`flight_delay/input`), any other by its `.json` path.

    Whether Great Expectations knows the types and kwargs is said by `check`, which loads it.

    Raises `SuiteError` if the file is missing, is not JSON, or is not a suite.
    """
    path = _locate(name_or_path)
    document = _read(path)
    _refuse_unknown(path, "", document, _SUITE_KEYS)
    name = document.get("name")
    if not isinstance(name, str) or not name:
        raise SuiteError(f"{path}: name is {_brief(name)}, expected a non-empty string")
    if document.get("suite_parameters"):
        raise SuiteError(f"{path}: suite_parameters are not supported; write the values themselves")
    entries = document.get("expectations")
    if not isinstance(entries, list) or not entries:
        found = _brief(entries)
        raise SuiteError(f"{path}: expectations is {found}, expected a list of at least one")
    return Suite(
        name=name,
        path=path,
        digest=hashlib.sha256(_canonical(document)).hexdigest(),
        expectations=tuple(_parse(path, position, entry) for position, entry in enumerate(entries)),
    )


def _locate(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".json":
        return path
    return ROOT / f"{name_or_path}.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = sorted(str(suite.relative_to(ROOT).with_suffix("")) for suite in ROOT.glob("*/*.json"))
        raise SuiteError(
            f"{path}: cannot be read ({error}); expected a suite as JSON in UTF-8, "
            f"or one of {', '.join(known)}"
        ) from error
    try:
        document = json.loads(text, object_pairs_hook=_once_each, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"{path}: not JSON ({error}); expected an object with a suite") from error
    if not isinstance(document, dict):
        raise SuiteError(f"{path}: holds {_brief(document)}, expected an object with a suite")
    return document


def _parse(path: Path, position: int, entry: object) -> Expectation:
    where = f"expectations[{position}]"
    if not isinstance(entry, dict):
        raise SuiteError(f"{path}: {where} is {_brief(entry)}, expected an object")
    _refuse_unknown(path, f"{where}.", entry, _EXPECTATION_KEYS)
    kind = entry.get("type")
    if not isinstance(kind, str) or not kind:
        raise SuiteError(f"{path}: {where}.type is {_brief(kind)}, expected an expectation's name")
    kwargs = entry.get("kwargs", {})
    if not isinstance(kwargs, dict):
        raise SuiteError(f"{path}: {where}.kwargs is {_brief(kwargs)}, expected an object")
    for key, value in kwargs.items():
        if isinstance(value, dict) and "$PARAMETER" in value:
            raise SuiteError(
                f"{path}: {where}.kwargs.{key} is a suite parameter, which is not supported; "
                "write the value itself"
            )
    meta = entry.get("meta") or {}
    if not isinstance(meta, dict):
        raise SuiteError(f"{path}: {where}.meta is {_brief(meta)}, expected an object")
    severity = entry.get("severity") or Severity.CRITICAL
    if severity not in list(Severity):
        expected = ", ".join(Severity)
        raise SuiteError(f"{path}: {where}.severity is {_brief(severity)}, expected one of {expected}")
    return Expectation(
        type=kind,
        kwargs=MappingProxyType(kwargs),
        severity=Severity(severity),
        meta=MappingProxyType(meta),
    )


def _refuse_unknown(path: Path, where: str, found: dict[str, Any], known: set[str]) -> None:
    for key in found:
        if key not in known:
            expected = ", ".join(sorted(known))
            raise SuiteError(f"{path}: unknown key {where}{key}, expected one of {expected}")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse duplicate keys: JSON readers disagree on which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} appears twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _brief(value: object) -> str:
    return "missing" if value is None else repr(value)[:80]
