"""Machine code and the arrays of the forest that it was made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

# What a processor reads at once: what begins elsewhere takes it two turns.
_LINE_BYTES = 64
_FLOAT_BYTES = 4


@dataclass(frozen=True, eq=False)
class Code:
    """A function (table, columns, rows, base, is_logistic, scratch, out) to nothing, and what it works on.

    It takes addresses: `table`, that of `cells`, numbers and then the addresses of `arrays`; of float32
    columns of shape (features, rows); of as many bytes as it needs to work in; and of float32 of shape
    (rows,). Any number of threads may call it at once; none holds Python's lock.
    """

    function: Callable[..., None]
    cells: npt.NDArray[np.uint64]
    table: int
    arrays: tuple[npt.NDArray[Any], ...]
    scratch_bytes: int
    base: float
    is_logistic: bool

    @classmethod
    def of(
        cls,
        function: Callable[..., None],
        numbers: Sequence[int],
        arrays: Sequence[npt.NDArray[Any]],
        scratch_bytes: int,
        base: float,
        *,
        is_logistic: bool,
    ) -> Code:
        """Lay out numbers and arrays for a function."""
        found = tuple(_at_a_line(each) for each in arrays)
        cells = np.array([*numbers, *map(address, found)], np.uint64)
        return cls(function, cells, address(cells), found, scratch_bytes, base, is_logistic)

    def predict(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the predictions of rows, `matrix` being float32 of shape (rows, features of the forest)."""
        columns, rows = np.ascontiguousarray(matrix.T, np.float32), len(matrix)
        # The predictions, and behind them where to work: for one row, what it costs to ask where an array
        # lies is as much as a third of its walk.
        room = np.empty(rows + (self.scratch_bytes + _LINE_BYTES) // _FLOAT_BYTES, np.float32)
        out = address(room)
        work = out + rows * _FLOAT_BYTES
        work += -work % _LINE_BYTES
        self.function(self.table, address(columns), rows, self.base, self.is_logistic, work, out)
        return room[:rows]


def _at_a_line(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.flags.c_contiguous and address(array) % _LINE_BYTES == 0:
        return array
    room = np.empty(array.nbytes + _LINE_BYTES, np.uint8)
    begins = -address(room) % _LINE_BYTES
    found = room[begins : begins + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def address(array: npt.NDArray[Any]) -> int:
    """Return where an array lies."""
    found: int = array.__array_interface__["data"][0]
    return found
