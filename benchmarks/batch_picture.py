"""The memory of batch jobs as a picture: what each size held, from its first row to its commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.batch_figures import Size

_MIB = 2**20
_MOST_MIB = 1024


def draw(growth: Sequence[Size], path: Path) -> None:
    """Draw a curve for each size over the share of its run that is done, and where memory must stay below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for size in growth:
        last = size.memory[-1][0] or 1
        axes.plot(
            [100 * second / last for second, _ in size.memory],
            [held / _MIB for _, held in size.memory],
            label=f"{size.rows / 1e6:g} million rows, {size.seconds:.0f} s",
        )
    axes.axhline(_MOST_MIB, color="grey", linestyle="dashed", label="1 GiB")
    axes.set(xlabel="% of the run", ylabel="MiB resident", ylim=(0, None), title="Memory of a batch job")
    axes.legend()
    figure.savefig(path, dpi=100)
