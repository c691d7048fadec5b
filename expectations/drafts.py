"""Drafts: suites written down, one expectation a line, and never over what people have edited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from expectations.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


ROLES = ("input", "predictions")


def refuse_existing(name: str, root: Path, *, force: bool = False) -> None:
    """Raise `SuiteError` where a name is no folder's, or has suites already and is not written by `force`."""
    if not name.isidentifier() or not name.isascii() or name.startswith("_"):
        raise SuiteError(
            f"The name {name[:80]!r} is no folder's; expected letters, digits and '_', as flight_delay"
        )
    if (root / f"{name}.py").exists():
        raise SuiteError(f"The name {name!r} is taken by expectations/{name}.py; choose another")
    there = [role for role in ROLES if (root / name / f"{role}.json").exists()]
    if there and not force:
        raise SuiteError(
            f"expectations/{name}/{there[0]}.json is there already, and may have been edited; add --force to"
            " write it anew, or choose another name"
        )


def draft_files(name: str, suites: Mapping[str, Mapping[str, Any]], root: Path) -> dict[Path, str]:
    """Return the files of suites, `root/NAME/ROLE.json`, and their content; nothing is written."""
    return {root / name / f"{role}.json": spell(suite) for role, suite in suites.items()}


def write(files: Mapping[Path, str]) -> None:
    """Write files and the folders they need."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def spell(suite: Mapping[str, Any]) -> str:
    """Print a suite as JSON, one expectation a line: what people edit and compare."""
    lines = ",\n".join(f"    {_json(entry)}" for entry in suite["expectations"])
    head = "".join(f"  {_json(key)}: {_json(suite[key])},\n" for key in ("name", "notes"))
    return f'{{\n{head}  "expectations": [\n{lines}\n  ],\n  "meta": {_json(suite["meta"])}\n}}\n'


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
