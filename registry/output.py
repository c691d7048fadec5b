"""What `python -m registry` prints: tables for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from registry.exposures import ExposureReview
    from registry.history import Live
    from registry.ledger import Head, Line
    from registry.reviews import Review
    from registry.standing import Exposure
    from registry.versions import ModelVersion


_NO_HEADS = "no head, for GREENROOM_LEDGER_HEADS is not set"


def print_versions(versions: Sequence[ModelVersion], *, as_json: bool) -> int:
    """Print one row for each version."""
    if as_json:
        return _json([_plain(v) for v in versions])
    if not versions:
        print("No model is registered yet. Train one: mlflow run .")
        return 0
    rows = [
        (
            v.name,
            str(v.version),
            v.stage,
            v.author or "",
            f"{v.created_at:%Y-%m-%d %H:%M}",
            (v.digest or "")[:12],
        )
        for v in versions
    ]
    return _table(("model", "version", "stage", "author", "registered (UTC)", "digest"), rows)


def print_review(version: ModelVersion, review: Review, *, as_json: bool) -> int:
    """Print all about one version."""
    if as_json:
        return _json({**_plain(version), **_standing(review), "lines": [x.to_plain() for x in review.lines]})
    rows = [
        ("stage", review.stage.value),
        ("author", review.author or "not known"),
        ("registered", f"{version.created_at:%Y-%m-%d %H:%M} UTC"),
        ("training run", review.run_id or "none"),
        ("digest", review.digest or "none"),
    ]
    files = version.manifest.files if version.manifest else ()
    rows += [(f"  {f.path}", f"{f.size_bytes:,} bytes") for f in files]
    rows += _of_validation(review)
    rows.append(("request", _said(review.request)))
    rows += [("approval", _said(line)) for line in review.approvals]
    if review.exposure.request:
        exposure = zip(("exposure", "", ""), _of_exposure(review.exposure), strict=True)
        rows += [(name, said) for name, said in exposure if said]
    rows.append(("champion", f"version {review.champion}" if review.champion else "none"))
    rows += [("breaks clients", sentence) for sentence in review.signature_breaks]
    rows += [("you may", act) for act, said in review.refusals.items() if not said and act != "delete"]
    return _table((f"{version.name} version {version.version}", ""), rows)


def print_requests(waiting: Sequence[Review], *, as_json: bool) -> int:
    """Print one row for each open request."""
    if as_json:
        return _json([{"name": r.name, "version": r.version, **_standing(r)} for r in waiting])
    if not waiting:
        print("Nothing waits for a reviewer")
        return 0
    rows = [
        (
            r.name,
            str(r.version),
            r.request.by,
            _when(r.request),
            r.request.reason,
            str(len(r.approvals)),
            _of_exposure(r.exposure)[0] if r.exposure.request else "",
        )
        for r in waiting
        if r.request
    ]
    return _table(("model", "version", "asked by", "at (UTC)", "why", "approvals", "clients"), rows)


def print_decision(lines: Sequence[Line], *, as_json: bool) -> int:
    """Say what was decided, from the lines that were written."""
    if as_json:
        return _json([line.to_plain() for line in lines])
    line = lines[-1]
    now = {
        "requested": "waits in Staging for a reviewer's approval",
        "approved": f"is approved by {line.by}, and waits for another reviewer's approval",
        "rejected": "is rejected, and out of Staging",
        "withdrawn": "is withdrawn, and out of Staging",
        "promoted": "is in Production",
        "rolled back": "is in Production again",
        "archived": "is in Archived",
        "exposure requested": "waits for a reviewer's approval to answer clients",
        "exposure approved": f"is approved for exposure by {line.by}, and waits for another's approval",
        "exposure rejected": "is rejected for exposure, and stays in Staging",
        "exposed": "may answer clients, beside the version in Production",
        "exposure ended": "is not exposed to clients, and stays in Staging",
    }[line.action]
    print(f"{line.model} version {line.version} {now}")
    return 0


def print_exposures(found: Sequence[ExposureReview], *, as_json: bool) -> int:
    """Print one row for each challenger that may answer clients, or waits for it."""
    if as_json:
        return _json(
            [
                {
                    "name": e.name,
                    "version": e.version,
                    "digest": e.digest,
                    "answers": e.answers,
                    "signature_breaks": [*e.signature_breaks],
                    **e.exposure.to_plain(),
                }
                for e in found
            ]
        )
    if not found:
        print("No challenger may answer clients, and none waits for it")
        return 0
    rows = [(e.name, str(e.version), *_of_exposure(e.exposure, e.signature_breaks)) for e in found]
    return _table(("model", "version", "clients", "asked", "approved"), rows)


def print_history(name: str, lines: Sequence[Line], *, as_json: bool) -> int:
    """Print one row for each line about a model."""
    if as_json:
        return _json([line.to_plain() for line in lines])
    if not lines:
        print(f"The ledger says nothing about {name} yet")
        return 0
    rows = [
        (_when(line), str(line.version), line.action, _stages(line), line.by, line.reason) for line in lines
    ]
    return _table(("when (UTC)", "version", "what", "stage", "by", "why"), rows)


def print_live(name: str, live: Live, when: dt.datetime, *, as_json: bool) -> int:
    """Say what was live, and who let it in."""
    if as_json:
        approvals = [line.to_plain() for line in live.approvals]
        plain = {"name": name, "version": live.version, "entered": live.entered.to_plain()}
        return _json({**plain, "approvals": approvals})
    entered = live.entered
    rows = [
        ("since", f"{_when(entered)} UTC"),
        ("how", f"{entered.action} by {entered.by}: {entered.reason}"),
        *(("approved by", _said(line)) for line in live.approvals),
        ("digest", entered.digest or "none"),
        ("ledger line", f"{entered.number} {entered.hash}"),
    ]
    return _table((f"{name} version {live.version}", f"was in Production at {when:%Y-%m-%d %H:%M:%S}"), rows)


def print_verdict(count: int, heads: Sequence[Head] | None, faults: Sequence[str], *, as_json: bool) -> int:
    """Print what verifying found; 1 where there are faults."""
    known = None if heads is None else len(heads)
    if as_json:
        _json({"lines": count, "heads": known, "faults": [*faults]})
        return 1 if faults else 0
    for fault in faults:
        print(fault)
    compared = _NO_HEADS if known is None else f"{_count(known, 'head')} kept elsewhere"
    if faults:
        print(f"{_count(len(faults), 'fault')} in {_count(count, 'line')}, compared with {compared}")
        return 1
    print(f"The ledger is whole: {_count(count, 'line')}, compared with {compared}")
    return 0


def print_head(line: Line | None, *, as_json: bool) -> int:
    """Print number and hash of the newest line."""
    if as_json:
        return _json({"number": line.number, "hash": line.hash} if line else None)
    print(f"{line.number} {line.hash}" if line else "The ledger is empty")
    return 0


def print_sentences(sentences: Sequence[str], nothing: str, *, as_json: bool) -> int:
    """Print sentences, or what it means that there are none."""
    if as_json:
        return _json([*sentences])
    print("\n".join(sentences) or nothing)
    return 0


def _of_validation(review: Review) -> list[tuple[str, str]]:
    found = review.validation
    if found is None or review.validated is None:
        return [("validation", "none")]
    verdict = found.said
    return [
        ("validation", f"{verdict}, by {review.validated.by}, {_when(review.validated)}, run {found.run_id}"),
        ("", f"on {found.window}, {found.rows:,} rows"),
        ("", f"compared with {found.compared_with}"),
        *(("", reason) for reason in found.reasons),
    ]


def _of_exposure(exposure: Exposure, breaks: Sequence[str] = ()) -> tuple[str, str, str]:
    answers = "may answer clients" if exposure.begun else "waits for approval"
    if exposure.begun and breaks:
        answers = f"held back: {' '.join(breaks)}"
    approved = "; ".join(f"by {_said(line)}" for line in exposure.approvals)
    return answers, f"by {_said(exposure.request)}", approved


def _standing(review: Review) -> dict[str, Any]:
    return {
        "stage": review.stage,
        "validation": review.validation.to_plain() if review.validation else None,
        "request": review.request.to_plain() if review.request else None,
        "approvals": [line.to_plain() for line in review.approvals],
        "exposure": review.exposure.to_plain(),
        "champion": review.champion,
        "signature_breaks": [*review.signature_breaks],
        "refusals": {act: [*said] for act, said in review.refusals.items()},
    }


def _plain(version: ModelVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "stage": version.stage,
        "author": version.author,
        "run_id": version.run_id,
        "created_at": version.created_at.isoformat(),
        "digest": version.digest,
    }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _said(line: Line | None) -> str:
    return f"{line.by}, {_when(line)}: {line.reason}" if line else "none"


def _when(line: Line) -> str:
    return line.at[:19].replace("T", " ")


def _stages(line: Line) -> str:
    return f"{line.from_stage} → {line.to_stage}" if line.from_stage is not line.to_stage else ""


def _json(value: object) -> int:
    print(json.dumps(value, indent=2))
    return 0


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # In a pipe there is no width to fit; a row is one line.
    width = None if sys.stdout.isatty() else 240
    Console(width=width).print(table)
    return 0
