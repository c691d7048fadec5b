"""Parquet bodies that say less of themselves than they hold."""

from __future__ import annotations

import io
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.contract.parquet_bodies import read_parquet
from serving.contract.parquet_pages import uncompressed_bytes
from serving.contract.refusals import RequestError
from serving.contract.signature import InputColumn, Kind, Signature

NUMBER = Signature((InputColumn("n"),))
TEXT = Signature((InputColumn("n", Kind.STRING, codes={"a": 0.0}),))
MIB = 2**20


def written(table: pa.Table, **options: object) -> bytes:
    to = io.BytesIO()
    pq.write_table(table, to, **options)
    return to.getvalue()


def varint(number: int, length: int = 0) -> bytes:
    """Write an integer as Thrift does, in as many bytes as are asked for."""
    number, found = 2 * number, bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    while len(found) < length:
        found[-1] |= 128
        found.append(0)
    return bytes(found)


def test_pages_are_counted_by_their_headers_and_not_by_the_footer() -> None:
    """Sixteen megabytes of zeros in half a kilobyte, whose footer speaks of five rows and a hundred bytes."""
    rows = 2_000_000
    body = written(
        pa.table({"n": np.zeros(rows)}),
        use_dictionary=False, compression="zstd", data_page_size=2**30, row_group_size=rows,
        write_batch_size=rows, max_rows_per_page=rows, write_statistics=False,
    )  # fmt: skip
    metadata = pq.ParquetFile(pa.BufferReader(body)).metadata
    sizes = {metadata.row_group(0).total_byte_size, metadata.row_group(0).column(0).total_uncompressed_size}
    start = len(body) - 8 - struct.unpack("<I", body[-8:-4])[0]
    footer = body[start:].replace(varint(rows), varint(5, len(varint(rows))))
    for size in sizes:
        footer = footer.replace(varint(size), varint(100, len(varint(size))))
    lie = body[:start] + footer
    told = pq.ParquetFile(pa.BufferReader(lie)).metadata
    assert (told.num_rows, told.row_group(0).total_byte_size, len(lie) < 10_000) == (5, 100, True)
    with pytest.raises(RequestError, match=r"is 16,000,\d+ bytes when it is uncompressed, expected at most"):
        read_parquet(lie, NUMBER, 1000, 8 * MIB)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
def test_what_is_counted_is_what_the_footer_says_where_that_is_true(version: str, compression: str) -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"n": rng.normal(size=3000), "s": rng.choice(["a", "b", "c"], 3000), "w": range(3000)})
    body = written(
        table, data_page_version=version, compression=compression, row_group_size=700, data_page_size=500
    )
    metadata = pq.ParquetFile(pa.BufferReader(body)).metadata
    said = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    counted = uncompressed_bytes(body)
    # The footer counts the headers of pages, too.
    assert 0.5 * said < counted <= said


def test_texts_told_by_their_differences_are_not_read() -> None:
    """Every page of kilobytes could be one text of a megabyte, time and again."""
    table = pa.table({"n": ["a" * 1000] * 100})
    body = written(table, use_dictionary=False, column_encoding={"n": "DELTA_BYTE_ARRAY"})
    with pytest.raises(RequestError, match="pages cannot be read"):
        read_parquet(body, TEXT, 1000, MIB)


def test_a_text_in_the_dictionary_may_be_repeated() -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 1, None] * 300), pa.array(["x" * 2**19, "a"]))
    matrix = read_parquet(written(pa.table({"n": texts})), TEXT, 1000, MIB).matrix
    assert np.isnan(matrix[0::3, 0]).all()
    assert (matrix[1::3, 0] == 0).all()
    assert np.isnan(matrix[2::3, 0]).all()


def test_places_beyond_the_dictionary_and_other_wrong_bytes_are_not_read() -> None:
    """Nor is anything else but refused, whichever byte of a body is not what it was."""
    body = written(pa.table({"n": ["a", "b", "c"] * 8}), compression="none", write_statistics=False)
    found = set()
    for at in range(4, len(body) - 8):
        for bits in (0xFF, 0x01, 0x55):
            try:
                read_parquet(body[:at] + bytes([body[at] ^ bits]) + body[at + 1 :], TEXT, 1000, MIB)
            except RequestError as refusal:
                found.add(refusal.message.partition(":")[0])
    assert "The body is Parquet whose pages cannot be read" in found
