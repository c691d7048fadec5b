"""What the benchmark of the endpoint found, as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.serving_figures import CLIENTS, MIB, QUANTILES, ROWS, Cell, Figures, Seen
from benchmarks.serving_promises import broken
from benchmarks.serving_servers import SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

_WIDTH = 118


def print_tables(found: Figures) -> None:
    """Print a table for each number of clients, one at half load, and what each server takes."""
    from rich.console import Console

    console = Console(width=_WIDTH)
    counted = f"{len(found.rounds)} round{'s' * (len(found.rounds) > 1)}, {found.seconds:g} s each"
    for clients in CLIENTS:
        many = f"{clients} clients" if clients > 1 else "one client"
        console.print(f"\n{many}, each asking when it is answered (ms; {counted})\n")
        console.print(_closed(found, clients))
    console.print(
        "\nOne row, at half of the most answered: latency counts from when a request was due (ms)\n"
    )
    console.print(_half(found))
    if found.noise and len(found.rounds) > 1:
        console.print(f"\nHello world was {found.noise:.2f} times as fast in its best round as in its worst.")
    for name, why in found.unable.items():
        console.print(f"\n{SERVERS[name].title} could not be measured: {why}", markup=False)
    for sentence in broken(found):
        console.print(f"\nNot held: {sentence}", markup=False)
    console.print()


def _closed(found: Figures, clients: int) -> Table:
    heads = [f"{head}\n{rows} row{'s' * (rows > 1)}" for rows in ROWS for head in _quantile_heads()]
    table = _table(heads)
    for name in _measured(found):
        cells = []
        for rows in ROWS:
            cells += _cells(found, name, lambda seen, at=(rows, clients): seen.closed[at])  # type: ignore[misc]  # mypy cannot type a default
        table.add_row(SERVERS[name].title, *cells)
    return table


def _half(found: Figures) -> Table:
    table = _table(
        [
            *_quantile_heads(),
            "CPU µs\neach",
            "asker's\nCPU",
            "ready\ns",
            "idle\nMiB",
            "loaded\nMiB",
            "private\nMiB",
        ]
    )
    for name in _measured(found):
        sizes = (
            found.median(name, lambda seen: seen.closed[1, 8].request_us),
            found.median(name, lambda seen: seen.half.processor),
            found.median(name, lambda seen: seen.ready_s),
            found.median(name, lambda seen: seen.idle_bytes / MIB),
            found.median(name, lambda seen: seen.loaded_bytes / MIB),
            found.median(name, lambda seen: seen.private_bytes / MIB),
        )
        shown = (f"{size:.{digits}f}" for size, digits in zip(sizes, (0, 2, 1, 0, 0, 0), strict=True))
        table.add_row(SERVERS[name].title, *_cells(found, name, lambda seen: seen.half), *shown)
    return table


def _table(heads: list[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("server", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right")
    return table


def _quantile_heads() -> list[str]:
    return [*(f"p{percent:g}" for percent in QUANTILES), "req/s"]


def _measured(found: Figures) -> list[str]:
    return [name for name in SERVERS if any(name in each for each in found.rounds)]


def _cells(found: Figures, name: str, cell: Callable[[Seen], Cell]) -> list[str]:
    quantiles = [found.pooled(name, cell, percent) for percent in QUANTILES]
    rate = found.median(name, lambda seen: cell(seen).rate)
    return [*("" if value is None else f"{value:.3g}" for value in quantiles), f"{rate:,.0f}"]
