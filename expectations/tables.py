"""Local files as tables, for trying a suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv, parquet

from expectations.errors import SourceError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def read_table(location: str | Path) -> pa.Table:
    """Read a local Parquet (`.parquet`) or CSV (`.csv`, UTF-8, with a header) file.

    In CSV only an empty, unquoted field is null.

    Raises `SourceError` if there is no such local file, or its name says neither Parquet nor CSV,
    and `UnreadableError` if its bytes are not what its name says.
    """
    if "://" in str(location):
        raise SourceError(f"{location}: not a local file; copy it here first and name the copy")
    path = Path(location)
    if not path.is_file():
        raise SourceError(f"{path}: no such file; expected a local .parquet or .csv file")
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise SourceError(f"{path}: suffix is {path.suffix!r}, expected .parquet or .csv")
    try:
        table = read(path)
        # Parquet is read without a look at the text: bytes that are not UTF-8 show up here.
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableError(
            f"{path}: cannot be read as {path.suffix.lower()[1:]} ({error}); "
            "ask its producer for a whole file"
        ) from error
    return table


def _read_parquet(path: Path) -> pa.Table:
    # Through ParquetFile: `read_table` would add a column for a parent folder such as `day=1`.
    with parquet.ParquetFile(path) as file:
        return file.read()


def _read_csv(path: Path) -> pa.Table:
    options = csv.ConvertOptions(null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False)
    return csv.read_csv(path, convert_options=options)


_READERS: Mapping[str, Callable[[Path], pa.Table]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
