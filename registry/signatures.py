"""Whether clients of one version could send the same rows to another. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def breaks(champion: Mapping[str, Any] | None, candidate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Say what would break for the clients of `champion`, one sentence each.

    Both are MLflow signatures as plain values: `inputs` and `outputs`, lists of columns. A column that
    is no longer needed breaks nobody: MLflow drops what it does not know.
    """
    if not champion or not candidate:
        return ()
    return (*_inputs(champion.get("inputs"), candidate.get("inputs")), *_outputs(champion, candidate))


def _inputs(
    before: Sequence[Mapping[str, Any]] | None, after: Sequence[Mapping[str, Any]] | None
) -> list[str]:
    had = {column.get("name"): column for column in before or ()}
    said = []
    for column in after or ():
        name, old = column.get("name"), had.get(column.get("name"))
        needed = column.get("required", True)
        if old is None:
            if needed:
                said.append(f"The column {name!r} is needed, and clients do not send it yet.")
        elif _type(old) != _type(column):
            said.append(f"The column {name!r} is {_type(column)}, and clients send {_type(old)}.")
        elif needed and not old.get("required", True):
            said.append(f"The column {name!r} is needed, and clients may leave it out.")
    return said


def _outputs(champion: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    before, after = ([_type(c) for c in s.get("outputs") or ()] for s in (champion, candidate))
    if before != after:
        return [f"The answer is {', '.join(after) or 'not described'}, and clients read {', '.join(before)}."]
    return []


def _type(column: Mapping[str, Any]) -> str:
    tensor = column.get("tensor-spec")
    if tensor:
        return f"a tensor of {tensor.get('dtype')} {tensor.get('shape')}"
    return str(column.get("type"))
