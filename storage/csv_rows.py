"""Rows of a CSV file: each is read whole, or set aside with the reason, or the file is refused."""

from __future__ import annotations

import csv as strict_csv
import io
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.utf8 import MARK, Utf8File, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, BinaryIO

    import numpy.typing as npt

_BLOCK_BYTES = 4 * 2**20
_HEADER_BYTES = 2**20
_CELL_SHOWN = 80
_LINE_ENDS = np.frombuffer(b"\r\n", np.uint8)
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class BrokenRow:
    """A row that cannot be read as its file's columns. `position` counts from 0.

    `text` is its line. `cells` are its values, by column, where only those in `unread` are the fault: their
    bytes that are no UTF-8 are written as in Python, and a backslash twice.
    """

    position: int
    text: str
    reasons: tuple[str, ...]
    cells: Mapping[str, str | None] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowBatch:
    """Consecutive rows: `table` holds the readable ones, at `positions` (int64, from 0) of the file.

    CSV columns are strings, as written; Parquet columns have the file's types.
    """

    table: pa.Table
    positions: npt.NDArray[np.int64]
    broken: tuple[BrokenRow, ...] = ()


def read_csv(file: BinaryIO) -> Iterator[RowBatch]:
    """Yield the rows of a file; it must be seekable. Raises `ArrowInvalid` where its rows cannot be told."""
    names = _header(file)
    file.seek(0)
    text = Utf8File(file)
    broken: list[BrokenRow] = []

    def set_aside(row: Any) -> str:
        # The header is row 1 of the file; positions count data rows from 0.
        reason = f"has {row.actual_columns} columns, expected {row.expected_columns}"
        line = shown(row.text) if MARK in row.text else row.text
        broken.append(BrokenRow(row.number - 2, line, (reason,)))
        return "skip"

    reader = _open(text, names, set_aside)
    start, yielded, over_lines = 0, False, False
    with _unless_it_failed(text):
        for found in reader:
            if text.failure is not None:
                break  # the last of its rows may have been cut off
            table = pa.Table.from_batches([found])
            # The parser reads ahead: of the rows set aside so far, some lie behind this batch.
            span = np.arange(start, start + len(table) + len(broken))
            positions = np.setdiff1d(span, [row.position for row in broken], assume_unique=True)[: len(table)]
            start = int(positions[-1]) + 1 if len(positions) else start
            bad = tuple(row for row in broken if row.position < start)
            broken[:] = broken[len(bad) :]
            yielded = True
            over_lines = over_lines or any(_spans_lines(row.text) for row in bad)
            over_lines = over_lines or (text.is_quoted and _has_line_ends(found))
            yield (
                _without_marked(RowBatch(table, positions, bad))
                if text.is_marked
                else RowBatch(table, positions, bad)
            )
    if over_lines or any(_spans_lines(row.text) for row in broken):
        _refuse_stray_quotes(file)
    if broken or not yielded:
        yield RowBatch(reader.schema.empty_table(), np.arange(0), tuple(broken))


def _open(text: Utf8File, names: Sequence[str], set_aside: Callable[[Any], str]) -> Any:
    """Return a reader of batches; `set_aside` is told of each row that has another count of columns."""
    from pyarrow import csv

    with _unless_it_failed(text):
        reader = csv.open_csv(
            text,
            # Row numbers are known only to a single-threaded reader.
            read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            # Without `newlines_in_values`, a quoted value over lines is cut in two at the end of a block.
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=set_aside),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,  # done before, once for all columns
            ),
        )
    if any(column.type != pa.string() for column in reader.schema):
        raise pa.ArrowInvalid(f"the header, read as {', '.join(names)[:200]}, is not one line of names")
    return reader


@contextmanager
def _unless_it_failed(text: Utf8File) -> Iterator[None]:
    """Raise why a file could not be read on, instead of what a parser makes of its seeming end."""
    try:
        yield
    except pa.ArrowInvalid as error:
        if text.failure is None and "straddling object" in str(error):
            raise pa.ArrowInvalid(
                f"a row is larger than {_BLOCK_BYTES / 2**20:g} MiB; perhaps a quote is opened and never"
                " closed"
            ) from error
        if text.failure is None:
            raise
    if text.failure is not None:
        raise text.failure


def _header(file: BinaryIO) -> list[str]:
    """Return the names of the columns."""
    from pyarrow import csv

    # A file whose lines end in CR alone is one line to `readline`.
    first = file.readline(_HEADER_BYTES)
    header = first.partition(b"\r")[0].rstrip(b"\n")
    if not header.strip():
        raise pa.ArrowInvalid("no header line found")
    if header.startswith(_GZIP):
        raise pa.ArrowInvalid("it is compressed by gzip; expected UTF-8 text")
    if b"\0" in header or header.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise pa.ArrowInvalid("the header holds a NUL byte, as UTF-16 does; expected UTF-8 text")
    try:
        header.decode()
    except UnicodeDecodeError as error:
        shown_line = header[:_CELL_SHOWN].decode("utf-8", "backslashreplace")
        raise pa.ArrowInvalid(f"the header is not UTF-8: {shown_line}; expected UTF-8 text") from error
    if len(header) == _HEADER_BYTES:
        raise pa.ArrowInvalid(f"the header line is longer than {_HEADER_BYTES / 2**20:g} MiB")
    if header.count(b'"') % 2:
        raise pa.ArrowInvalid("a quote is opened in the header and not closed in its line")
    return list(csv.read_csv(pa.BufferReader(header + b"\n")).column_names)


def _without_marked(batch: RowBatch) -> RowBatch:
    """Set aside the rows of a batch that hold bytes that are no UTF-8."""
    marked = {
        name: np.asarray(pc.fill_null(pc.match_substring(batch.table[name], MARK), fill_value=False))
        for name in batch.table.column_names
    }
    rows = np.flatnonzero(np.logical_or.reduce(list(marked.values())))
    if not len(rows):
        return batch
    broken = list(batch.broken)
    for row, values in zip(rows, batch.table.take(rows).to_pylist(), strict=True):
        bad = {name: shown(values[name]) for name in marked if marked[name][row]}
        reasons = tuple(f"{name} is not UTF-8: '{text[:_CELL_SHOWN]}'" for name, text in bad.items())
        cells = {**values, **bad}
        line = ",".join(value or "" for value in cells.values())
        broken.append(BrokenRow(int(batch.positions[row]), line, reasons, cells, tuple(bad)))
    kept = np.ones(len(batch.table), bool)
    kept[rows] = False
    broken.sort(key=lambda row: row.position)
    return RowBatch(batch.table.filter(pa.array(kept)), batch.positions[kept], tuple(broken))


def _has_line_ends(found: pa.RecordBatch) -> bool:
    for column in found.columns:
        data = column.buffers()[2]
        letters = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
        # Hardly any text has a letter as low as a line end.
        if letters.min(initial=255) <= ord("\r") and np.isin(letters, _LINE_ENDS).any():
            return True
    return False


def _spans_lines(line: str) -> bool:
    return not {"\n", "\r"}.isdisjoint(line.rstrip("\r\n"))


def _refuse_stray_quotes(file: BinaryIO) -> None:
    """Raise `ArrowInvalid` where a quote is opened and not closed, which makes one value of many rows.

    Arrow takes everything up to the next quote for one value. Only where values span lines is it worth
    reading the file again.
    """
    file.seek(0)
    lines = io.TextIOWrapper(file, "utf-8", errors="replace", newline="")
    rows = strict_csv.reader(lines, strict=True)
    try:
        for _ in rows:
            pass
    except strict_csv.Error as error:
        where = f"that ends at line {rows.line_num:,}"
        raise pa.ArrowInvalid(
            "a quote is opened and never closed, so rows are lost in it"
            if "end of data" in str(error)
            else f"a quoted value {where} has no sound end ({error}), so rows may be lost in it"
        ) from error
    finally:
        lines.detach()
