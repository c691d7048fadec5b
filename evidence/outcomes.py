"""Outcomes as they arrive: twice, contradicted, without a value. What of them may be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from evidence.statistic import Floats

    Keys = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Settled:
    """One believed value for each of `keys`, sorted; `contradicted_keys`, sorted, have none.

    `counts` are rows: `received` = `settled` + `repeated` + `contradicted` + `unusable`.
    """

    keys: Keys
    values: Floats
    counts: Mapping[str, int]
    contradicted_keys: Keys


def settle(keys: Keys, values: Floats) -> Settled:
    """Settle what was reported of each key; both (rows,), keys of one kind (strings or numbers).

    A row whose key is None or NaN, or whose value is no finite number, is `unusable`. The same value of a key
    again is `repeated` and counts once. Of a key with two different values nobody can say which is right
    without trusting a clock, so it is left out, all its rows `contradicted`. The order of rows plays no part.
    Raises `ValueError` where shapes differ.
    """
    keys, values = np.asarray(keys), np.asarray(values, np.float64)
    if keys.ndim != 1 or keys.shape != values.shape:
        raise ValueError(
            f"found keys of shape {keys.shape} and values of {values.shape}, expected (rows,) of both"
        )
    usable = np.isfinite(values) & _present(keys)
    found, first, key = np.unique(keys[usable], return_index=True, return_inverse=True)
    believable, rows = values[usable], np.bincount(key, minlength=len(found))
    differs = np.zeros(len(found), np.bool_)
    differs[key[believable != believable[first][key]]] = True
    counts = {
        "received": len(keys),
        "settled": int((~differs).sum()),
        "repeated": int((rows[~differs] - 1).sum()),
        "contradicted": int(rows[differs].sum()),
        "unusable": int((~usable).sum()),
    }
    return Settled(found[~differs], believable[first[~differs]], counts, found[differs])


def _present(keys: Keys) -> npt.NDArray[np.bool_]:
    # What is not equal to itself is a NaN, in whatever type the column came.
    there: npt.NDArray[np.bool_] = np.asarray(keys == keys, np.bool_)  # noqa: PLR0124
    if keys.dtype == np.object_:
        there &= np.array([key is not None for key in keys], np.bool_)
    return there
