"""What a request asks for, once it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.contract.refusals import Fault, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

_EXPLAIN = "explain"


@dataclass(frozen=True)
class Asked:
    """Rows to be predicted, float32 of shape (rows, columns), and whether to explain each."""

    matrix: npt.NDArray[np.float32]
    explain: bool = False


def read_params(params: object) -> bool:
    """Return whether `params` ask for an explanation. Raises `RequestError` for whatever else is in there."""
    if params is None:
        return False
    if not isinstance(params, dict):
        raise RequestError("'params' is not an object; the only parameter is 'explain', true or false")
    if unknown := _unknown(params):
        raise unknown
    explain = params.get(_EXPLAIN, False)
    if not isinstance(explain, bool):
        raise RequestError("The parameter 'explain' is neither true nor false")
    return explain


def check_rows(rows: int, most: int) -> None:
    """Raise `RequestError` for no rows, and for more than the endpoint takes at once."""
    if rows == 0:
        raise RequestError("The request has no rows; expected at least one")
    if rows > most:
        fault = Fault(None, None, f"{rows:,} rows", f"at most {most:,} in one request")
        raise RequestError(
            f"The request has {rows:,} rows, expected at most {most:,}. Send them in several requests, or"
            " score them by a batch job",
            status=413,
            faults=(fault,),
        )


def _unknown(params: Mapping[str, object]) -> RequestError | None:
    unknown = len(params.keys() - {_EXPLAIN})
    if not unknown:
        return None
    return RequestError(f"'params' has {unknown} that the model does not know; the only one is 'explain'")
