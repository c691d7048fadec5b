"""Reads Universal Binary JSON (ubjson.org, draft 12), as far as XGBoost writes it. Pure.

Of a booster, nearly all is arrays of numbers of one type: they come as views on the bytes, where JSON would
make an object of each number, and round what is float32 by way of text.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

# Big-endian, by the letter that names the type.
_TYPES = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_NUMBERS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_CONSTANTS = {"T": True, "F": False, "Z": None}


def read_ubjson(data: bytes) -> Any:
    """Return the value that the bytes hold. Raises `ValueError` where they do not."""
    try:
        return _Reader(data).value()
    except (struct.error, IndexError, KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"these {len(data)} bytes are not the UBJSON that XGBoost writes") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def value(self) -> Any:
        kind = self._letter()
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind in _NUMBERS:
            return self._number(kind)
        others: dict[str, Callable[[], Any]] = {"S": self._text, "{": self._object, "[": self._array}
        return others[kind]()

    def _letter(self) -> str:
        letter = chr(self._data[self._at])
        self._at += 1
        return letter

    def _number(self, kind: str) -> Any:
        (number,) = struct.unpack_from(_NUMBERS[kind], self._data, self._at)
        self._at += struct.calcsize(_NUMBERS[kind])
        return number

    def _count(self) -> int:
        count: int = self._number(self._letter())
        if not 0 <= count <= len(self._data):
            raise ValueError(f"{count} of something in {len(self._data)} bytes")
        return count

    def _text(self) -> str:
        count = self._count()
        text = self._data[self._at : self._at + count].decode()
        self._at += count
        return text

    def _object(self) -> dict[str, Any]:
        found = {}
        while self._data[self._at] != ord("}"):
            name = self._text()
            found[name] = self.value()
        self._at += 1
        return found

    def _array(self) -> Any:
        if self._data[self._at] == ord("$"):
            self._at += 1
            kind = _TYPES[self._letter()]
            if self._letter() != "#":
                raise ValueError("an array of one type that does not say how long it is")
            count = self._count()
            numbers = np.frombuffer(self._data, kind, count, self._at)
            self._at += numbers.nbytes
            return numbers
        if self._data[self._at] == ord("#"):
            self._at += 1
            return [self.value() for _ in range(self._count())]
        found = []
        while self._data[self._at] != ord("]"):
            found.append(self.value())
        self._at += 1
        return found
