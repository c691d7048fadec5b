"""How large the pages of a Parquet file are by their own headers: its footer may say less than it holds.

Arrow makes room for a page as its header asks, so that ten kilobytes of zeros, well compressed, can take
gigabytes. After `FileMetaData` and `PageHeader` of the Apache Parquet format, in the compact protocol of
Apache Thrift. Not by way of pyarrow's metadata: over some footers that ends the process.
"""

from __future__ import annotations

# To read more of a file's structure would take a noticeable part of a second.
_MOST_STEPS = 300_000
_DEEPEST = 12
_TAIL_BYTES = 8  # the length of the footer, and "PAR1"
# Each text is told by what differs from the one before: kilobytes can grow to gigabytes.
_DELTA_BYTE_ARRAY = 7
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _STRUCT = 1, 2, 3, 7, 8, 9, 12
_INTEGERS = frozenset({4, 5, 6})
# Fields by the numbers that lead to them. FileMetaData.row_groups[…].columns[…].meta_data, and what is in it:
_ROW_GROUPS, _COLUMNS, _META_DATA, _COMPRESSED_SIZE, _DATA_PAGE, _DICTIONARY_PAGE = 4, 1, 3, 7, 9, 11
# PageHeader: both sizes, and the encoding in the headers of data pages of version 1 and 2.
_UNCOMPRESSED, _COMPRESSED = (2,), (3,)
_ENCODINGS = ((5, 2), (8, 4))

_Found = dict[tuple[int, ...], int]


class PagesError(Exception):
    """Pages are not where the footer says, or not as pages have to be."""


def uncompressed_bytes(body: bytes) -> int:
    """Return how many bytes all pages are when they are uncompressed. Raises `PagesError`."""
    start = len(body) - _TAIL_BYTES - int.from_bytes(body[-_TAIL_BYTES:-4], "little")
    if start < 0:
        raise PagesError
    reader = _Reader(body, start)
    footer = reader.read_struct()
    total = 0
    for path, first in footer.items():
        if (*path[0:1], *path[2:3], *path[4:]) != (_ROW_GROUPS, _COLUMNS, _META_DATA, _DATA_PAGE):
            continue
        dictionary = footer.get((*path[:-1], _DICTIONARY_PAGE), 0)
        reader.at = dictionary if 0 < dictionary < first else first
        end = reader.at + footer.get((*path[:-1], _COMPRESSED_SIZE), -1)
        if not 0 <= reader.at <= end <= start:
            raise PagesError
        while reader.at < end:
            page = reader.read_struct()
            uncompressed, compressed = page.get(_UNCOMPRESSED, -1), page.get(_COMPRESSED, -1)
            if uncompressed < 0 or compressed < 0:
                raise PagesError
            if any(page.get(field) == _DELTA_BYTE_ARRAY for field in _ENCODINGS):
                raise PagesError
            total += uncompressed
            reader.at += compressed
    return total


class _Reader:
    """Reads structs of a body, of which it keeps the integers. Raises `PagesError`."""

    def __init__(self, body: bytes, at: int) -> None:
        self._body, self.at = body, at
        self._steps = 0

    def read_struct(self) -> _Found:
        """Return the integers of the struct that begins here, by the fields that lead to them."""
        found: _Found = {}
        try:
            self._read_fields((), found)
        except IndexError:
            raise PagesError from None
        return found

    def _read_fields(self, within: tuple[int, ...], found: _Found) -> None:
        field = 0
        while head := self._read_byte():
            field = field + (head >> 4) if head >> 4 else self._read_integer()
            if head & 15 not in {_TRUE, _FALSE}:  # whose value is in the type
                self._read_value(head & 15, (*within, field), found)

    def _read_value(self, kind: int, path: tuple[int, ...], found: _Found) -> None:
        if len(path) > _DEEPEST:
            raise PagesError
        if kind in _INTEGERS:
            found[path] = self._read_integer()
        elif kind == _STRUCT:
            self._read_fields(path, found)
        elif kind == _LIST:
            head = self._read_byte()
            size = head >> 4 if head >> 4 != 15 else self._read_varint()  # noqa: PLR2004  # 15: it follows
            for number in range(size):
                self._read_value(head & 15, (*path, number), found)
        elif kind == _BINARY:
            length = self._read_varint()
            self.at += length
        elif kind in {_TRUE, _FALSE, _BYTE, _DOUBLE}:
            self.at += 8 if kind == _DOUBLE else 1
        else:
            raise PagesError  # sets and maps are nowhere in a file

    def _read_integer(self) -> int:
        number = self._read_varint()
        return (number >> 1) ^ -(number & 1)

    def _read_varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._read_byte()
            number |= (byte & 127) << shift
            if byte < 128:  # noqa: PLR2004  # the last has no eighth bit
                return number
        raise PagesError

    def _read_byte(self) -> int:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise PagesError
        self.at += 1
        return self._body[self.at - 1]
