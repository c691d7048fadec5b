"""JSON bodies in MLflow's four formats: `dataframe_records`, `dataframe_split`, `instances`, `inputs`."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from serving.contract.asked import Asked, check_rows, read_params
from serving.contract.cells import encode_cells
from serving.contract.quick import read_one, read_records, read_split
from serving.contract.refusals import (
    Fault,
    Faults,
    RequestError,
    refuse,
    spelled_kind,
    wrong_names,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from serving.contract.signature import Signature

    # Rows, cells of each column, and how many keys there are in all objects.
    _Columns = tuple[int, Mapping[str, Sequence[object]], int]

_RECORDS, _SPLIT, _INSTANCES, _INPUTS = "dataframe_records", "dataframe_split", "instances", "inputs"
FORMATS = (_SPLIT, _RECORDS, _INSTANCES, _INPUTS)
_PARAMS = "params"
_NAN = math.nan
# Up to so many bytes, counting them one by one is quicker.
_SHORT_BYTES = 2048


def read_json(body: bytes, signature: Signature, max_rows: int) -> Asked:
    """Read the rows of a JSON body. Raises `RequestError`, naming row and column where there is one."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _no_json(body, error) from None
    if type(said) is dict and len(said) == 1 and signature.is_plain:
        matrix, keys = _read_quickly(said, signature, max_rows)
        # A colon for each key, and none in a text: so no key came twice. Parsers keep the last, silently.
        if matrix is not None and count_colons(body) == keys:
            return Asked(matrix)
    form, explain = _read_form(said)
    rows, columns, keys = _read_columns(said[form], form, signature, max_rows)
    if count_colons(body) != len(said) + len(said.get(_PARAMS) or ()) + keys:
        refuse_doubled_keys(body)
    return Asked(encode(rows, columns, signature), explain)


def encode(
    rows: int, columns: Mapping[str, Sequence[object]], signature: Signature
) -> npt.NDArray[np.float32]:
    """Encode columns of cells, by name, as the matrix of a booster. Raises `RequestError`."""
    faults = Faults()
    matrix = np.empty((rows, len(signature.columns)), dtype=np.float32)
    for position, column in enumerate(signature.columns):
        if column.name in columns:
            matrix[:, position] = encode_cells(columns[column.name], column, faults)
        else:
            matrix[:, position] = _NAN
    faults.check()
    return matrix


def _read_quickly(
    said: dict[str, Any], signature: Signature, max_rows: int
) -> tuple[npt.NDArray[np.float32] | None, int]:
    """Return the rows, None where they are not plain, and how many keys the objects of the body have."""
    records = said.get(_RECORDS)
    if type(records) is list and 0 < len(records) <= max_rows:
        one = len(records) == 1
        matrix = read_one(records[0], signature) if one else read_records(records, signature)
        return matrix, 1 + len(records) * len(signature.columns)
    matrix = read_split(said.get(_SPLIT), signature)
    return (None, 0) if matrix is None or len(matrix) > max_rows else (matrix, 3)


def _read_form(said: Any) -> tuple[str, bool]:
    if not isinstance(said, dict):
        raise RequestError(
            f"The body is {spelled_kind(said)}, expected an object with one of {_listed(FORMATS)}"
        )
    forms = [name for name in FORMATS if name in said]
    if len(forms) != 1:
        found = f"{_listed(forms)} at once" if forms else "none of them"
        raise RequestError(f"The body has {found}, expected exactly one of {_listed(FORMATS)}")
    unknown = len(said) - len(forms) - (_PARAMS in said)
    if unknown:
        raise RequestError(
            f"The body has {unknown} unknown keys beside {forms[0]!r}, expected at most 'params'"
        )
    return forms[0], read_params(said.get(_PARAMS))


def _read_columns(data: Any, form: str, signature: Signature, max_rows: int) -> _Columns:
    """Return the rows, the cells of each column, and how many keys the objects of `data` have."""
    if form == _SPLIT:
        return _read_split(data, signature, max_rows)
    if isinstance(data, list):
        return _read_records(data, form, signature, max_rows)
    if isinstance(data, dict) and form != _RECORDS:
        return _read_inputs(data, form, signature, max_rows)
    allowed = "a list of objects" if form == _RECORDS else "a list of objects, or an object of lists"
    raise RequestError(f"{form!r} is {spelled_kind(data)}, expected {allowed}")


def _read_records(records: list[Any], form: str, signature: Signature, max_rows: int) -> _Columns:
    check_rows(len(records), max_rows)
    if set(map(type, records)) != {dict}:
        row, value = next((n, r) for n, r in enumerate(records) if type(r) is not dict)
        fault = Fault(row, None, spelled_kind(value), "an object with a value for each column")
        raise RequestError(
            f"{form!r} has in row {row} {fault.found}, expected {fault.expected}", faults=(fault,)
        )
    keys = sum(map(len, records))
    if keys == len(records) * len(signature.columns):
        try:
            # As many keys as columns in all, and no column missing anywhere: so none is unknown, either.
            return len(records), {c.name: [r[c.name] for r in records] for c in signature.columns}, keys
        except KeyError:
            pass
    faults = Faults()
    for row, record in enumerate(records):
        wrong_names(row, record, signature, faults)
    faults.check()
    # What is optional may be in some records only, and is null in the others.
    named = set().union(*records)
    columns = {c.name: [r.get(c.name) for r in records] for c in signature.columns if c.name in named}
    return len(records), columns, keys


def _read_split(data: Any, signature: Signature, max_rows: int) -> _Columns:
    if not isinstance(data, dict) or not data.keys() <= {"columns", "data", "index"}:
        raise RequestError(f"{_SPLIT!r} is not an object with 'columns', 'data' and at most 'index'")
    names, rows = data.get("columns"), data.get("data")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"{_SPLIT!r} needs 'columns', a list of the names of columns")
    if not isinstance(rows, list):
        raise RequestError(f"{_SPLIT!r} needs 'data', a list of rows, each a list of cells")
    if len(set(names)) != len(names):
        raise RequestError(f"{_SPLIT!r} names {len(names) - len(set(names))} columns more than once")
    faults = Faults()
    wrong_names(None, names, signature, faults)
    faults.check()
    check_rows(len(rows), max_rows)
    index = data.get("index")
    if index is not None and not (isinstance(index, list) and len(index) == len(rows)):
        raise RequestError(
            f"{_SPLIT!r} has an 'index' that is not a list with an entry for each row of 'data'"
        )
    for row, cells in enumerate(rows):
        if type(cells) is not list or len(cells) != len(names):
            found = f"{len(cells)} cells" if isinstance(cells, list) else spelled_kind(cells)
            raise refuse([Fault(row, None, found, f"a list of {len(names)} cells")])
    return len(rows), dict(zip(names, zip(*rows, strict=True), strict=True)), len(data)


def _read_inputs(data: dict[str, Any], form: str, signature: Signature, max_rows: int) -> _Columns:
    faults = Faults()
    wrong_names(None, data, signature, faults)
    faults.check()
    # One row may be written without lists.
    columns = {name: v if isinstance(v, list) else [v] for name, v in data.items()}
    lengths = sorted({len(values) for values in columns.values()})
    if len(lengths) > 1:
        raise RequestError(f"{form!r} has columns of {_listed(lengths)} values, expected one length for all")
    rows = lengths[0] if lengths else 0
    check_rows(rows, max_rows)
    return rows, columns, len(data)


def count_colons(body: bytes) -> int:
    """Return how many there are: no fewer than keys."""
    if len(body) <= _SHORT_BYTES:
        return body.count(b":")
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == ord(":")))


def refuse_doubled_keys(body: bytes) -> None:
    """Raise `RequestError` where an object of the body has a key twice. Slow: for bodies that may."""

    def pairs(found: list[tuple[str, object]]) -> None:
        if len({name for name, _ in found}) != len(found):
            raise RequestError(
                "A key comes twice in one object of the body; which one is meant cannot be told"
            )

    try:
        json.loads(body, object_pairs_hook=pairs)
    except RecursionError:
        raise RequestError("The body is nested deeper than any request has to be") from None


def _no_json(body: bytes, error: orjson.JSONDecodeError) -> RequestError:
    if not body.strip():
        return RequestError(f"The body is empty, expected JSON with one of {_listed(FORMATS)}")
    # Not the message alone: NaN and Infinity are what clients meet most, and JSON has neither.
    hint = "" if error.msg.startswith("str is not") else ". JSON has no NaN and no Infinity: send null"
    return RequestError(
        f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno}){hint}"
    )


def _listed(names: Sequence[object]) -> str:
    return ", ".join(map(repr, names))
