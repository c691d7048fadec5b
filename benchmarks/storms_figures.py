"""What the endpoint did in storms: a table for people, one JSON object, and what was promised."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.storms import Storms

_MOST_P99_RATIO, _MOST_PING_MS, _MOST_GROWTH_MIB, _MOST_SWAP_S = 3.0, 50.0, 300.0, 5.0


def broken(found: Storms) -> list[str]:
    """Return a sentence for each promise that was not held."""
    failed = {s: n for s, n in found.swaps["statuses"].items() if s != "200"}
    refused = {s: n for s, n in found.overload["statuses"].items() if s not in {"200", "503"}}
    grown = found.memory_mib[1] - found.memory_mib[0]
    checks = [
        (not failed, f"requests failed while versions changed: {failed}"),
        (found.swaps["wrong"] == 0, f"{found.swaps['wrong']} answers were not those of their version"),
        (len(found.swaps["versions"]) == 2, f"only {found.swaps['versions']} answered"),  # noqa: PLR2004  # both
        (
            found.swaps["p99_ms"] < _MOST_P99_RATIO * found.calm["p99_ms"],
            f"p99 was {found.swaps['p99_ms']:.2f} ms while they changed, {found.calm['p99_ms']:.2f} before",
        ),
        (
            found.slowest_swap_s < _MOST_SWAP_S,
            f"a version was served {found.slowest_swap_s:.1f} s after the review",
        ),
        (not refused, f"answers other than 200 and 503 under overload: {refused}"),
        (found.overload["wrong"] == 0, f"{found.overload['wrong']} wrong answers under overload"),
        (found.ping_p99_ms < _MOST_PING_MS, f"/ping took {found.ping_p99_ms:.0f} ms (p99) under overload"),
        (grown < _MOST_GROWTH_MIB, f"memory grew by {grown:.0f} MiB under overload"),
        (set(found.after["statuses"]) == {"200"}, f"after the overload: {found.after['statuses']}"),
        (
            found.kill_failures <= found.kill_clients,
            f"{found.kill_failures} requests of {found.kill_clients} clients failed with one worker",
        ),
    ]
    return [sentence for held, sentence in checks if not held]


def print_table(found: Storms) -> None:
    """Print what was heard."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("one endpoint, two workers", "answers", "p50 ms", "p99 ms", "longest ms"):
        table.add_column(heading, justify="left" if heading.startswith("one") else "right")
    for name, heard in (
        ("calm", found.calm),
        (f"{found.swapped} changes of version", found.swaps),
        (
            f"{found.offered / found.capacity:.1f} times the load" if found.capacity else "overload",
            found.overload,
        ),
        ("after it", found.after),
    ):
        said = ", ".join(f"{n:,} of {status}" for status, n in sorted(heard["statuses"].items()))
        table.add_row(name, said, *(f"{heard[key]:.2f}" for key in ("p50_ms", "p99_ms", "max_ms")))
    console = Console(width=118)
    console.print(table)
    before, after = found.memory_mib
    for line in (
        f"The slowest version was served {found.slowest_swap_s:.1f} s after the reviewer typed.",
        f"/ping under overload: p99 {found.ping_p99_ms:.1f} ms, longest {found.ping_max_ms:.1f}.",
        f"Memory before and after it: {before:.0f} and {after:.0f} MiB.",
        f"Of {found.kill_clients} clients, {found.kill_failures} requests failed with a killed worker.",
    ):
        console.print(line)
    for sentence in broken(found):
        console.print(f"\nNot held: {sentence}", markup=False)


def as_json(found: Storms) -> str:
    """Return one line: what was heard, without how long each answer took."""
    said = asdict(found)
    for name in ("calm", "swaps", "overload", "after"):
        said[name].pop("took_ms", None)
    return json.dumps({"benchmark": "storms", **said, "broken": broken(found)})
