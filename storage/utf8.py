"""Text as delivered: bytes that are no UTF-8 are marked and passed on, so that their rows can be told."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from typing import BinaryIO

# No character, and never one: the Unicode Standard, chapter 23.7. Two digits follow it.
MARK = "\U0010fffe"


class Utf8File(io.RawIOBase):
    """A file to be read once. Each byte that is no UTF-8 becomes `MARK` and its two hexadecimal digits.

    `is_marked` says whether there was such a byte so far, `is_quoted` whether there was a quote. Where the
    file cannot be read on, it seems to end, and `failure` is why: Arrow reads ahead in a thread of its own,
    and a reader that is told of an error there may keep the process from ending (25.0, measured).
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._cut = b""  # of a character whose end was not read yet
        self._ready = b""
        self.is_marked = False
        self.is_quoted = False
        self.failure: Exception | None = None

    def readable(self) -> bool:
        """Say that it is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        while not self._ready:
            found = self._read(size)
            self.is_quoted = self.is_quoted or b'"' in found
            if not found:
                self._ready, self._cut = self._marked(self._cut), b""
                break
            together = self._cut + found if self._cut else found
            whole = _whole(together)
            self._cut = together[whole:]
            together = together[:whole] if self._cut else together
            self._ready = together if _is_utf8(together) else self._marked(together)
        if 0 <= size < len(self._ready):
            given, self._ready = self._ready[:size], self._ready[size:]
        else:
            given, self._ready = self._ready, b""
        return given

    def _read(self, size: int) -> bytes:
        if self.failure is None:
            try:
                return self._file.read(size)
            except Exception as error:  # noqa: BLE001  # it is raised where the rows are read
                self.failure = error
        return b""

    def _marked(self, found: bytes) -> bytes:
        text = found.decode("utf-8", "surrogateescape")
        marked = "".join(f"{MARK}{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in text)
        self.is_marked = self.is_marked or len(marked) > len(text)
        return marked.encode()


def shown(text: str) -> str:
    r"""Write marked bytes as `\xe9`, and a backslash as two, so that nothing is lost."""
    return text.replace("\\", r"\\").replace(MARK, r"\x")


def _whole(found: bytes) -> int:
    """Return how many bytes lie before a character that may be cut at the end."""
    for back in range(1, min(3, len(found)) + 1):
        byte = found[-back]
        if byte >= 0xC0:  # noqa: PLR2004  # the first byte of a character; lower ones follow, to 0x80
            return len(found) - back if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else len(found)  # noqa: PLR2004
        if byte < 0x80:  # noqa: PLR2004
            break
    return len(found)


def _is_utf8(found: bytes) -> bool:
    # Arrow's check is many times as fast as Python's decoder, and copies nothing.
    ends = pa.py_buffer(np.array([0, len(found)], np.int32))
    try:
        pa.Array.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(found)]).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
