"""Plain: columns whose values lie in a file as in memory, taken out of the very bytes hashed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from io import RawIOBase

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from mlforge.ids import BytesDigest, Hasher
from mlforge.objects.columns import Layout
from mlforge.parallel import on_all_cores

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]

_TYPES: dict[pl.DataType, tuple[pa.DataType, np.dtype[np.generic]]] = {
    pl.Float32(): (pa.float32(), np.dtype(np.float32)),
    pl.Float64(): (pa.float64(), np.dtype(np.float64)),
    pl.Int32(): (pa.int32(), np.dtype(np.int32)),
    pl.Int64(): (pa.int64(), np.dtype(np.int64)),
}
# What a page has beside its values at most: its header, with the least and the greatest value.
_MOST_BESIDE = 512
# A chunk is in memory as a whole.
_MOST_BYTES = 16 << 20


def plain_columns(layout: Layout, dtypes: Mapping[str, pl.DataType]) -> Mapping[str, pl.DataType]:
    """Those of the columns that may be plain, by the sizes of their chunks."""
    return {name: dtype for name, dtype in dtypes.items() if _fits(layout, name, dtype)}


def read_plain(
    layout: Layout, columns: Mapping[str, pl.DataType], is_wanted: pl.Series
) -> dict[str, tuple[BytesDigest, pl.Series | None]]:
    """Of each column its digest, and its values in the file's rows that are wanted.

    None: not every chunk of it is one page of plain values without nulls. Raises OSError.
    """
    spans = zip(np.cumsum([0, *layout.groups]), layout.groups, strict=False)

    def read(name: str) -> tuple[BytesDigest, pl.Series | None]:
        column = _Column(columns[name], sum(map(len, wanted)))
        with layout.path.open("rb", buffering=0) as file:
            for chunk, count, own in zip(layout.chunks[name], layout.groups, wanted, strict=True):
                column.take(file, chunk, count, own)
        return column.digest(), column.values()

    wanted = on_all_cores(_numbers, [is_wanted.slice(begin, count) for begin, count in spans])
    return dict(zip(columns, on_all_cores(read, list(columns)), strict=True))


def _numbers(is_wanted: pl.Series) -> Int64s:
    """Which rows are wanted."""
    return is_wanted.arg_true().cast(pl.Int64).to_numpy()


def _fits(layout: Layout, name: str, dtype: pl.DataType) -> bool:
    if dtype not in _TYPES or name not in layout.flat:
        return False
    width = _TYPES[dtype][1].itemsize
    sizes = zip(layout.chunks[name], layout.groups, strict=True)
    return all(
        0 < chunk.stop - chunk.start - count * width <= _MOST_BESIDE
        and chunk.stop - chunk.start <= _MOST_BYTES
        for chunk, count in sizes
    )


class _Column:
    """A column's chunks, hashed one after the other, and those of their values that are wanted."""

    def __init__(self, dtype: pl.DataType, count: int) -> None:
        self._arrow, self._type = _TYPES[dtype]
        self._values = np.empty(count, self._type)
        self._done = 0
        self._are_plain = True
        self._hasher = Hasher()
        self._room = np.empty(0, np.uint8)

    def take(self, file: RawIOBase, chunk: slice, count: int, wanted: Int64s) -> None:
        """Hash a chunk of so many values, and take the wanted ones."""
        size = count * self._type.itemsize
        beside = chunk.stop - chunk.start - size
        file.seek(chunk.start)
        data = self._filled(file, beside + size, -beside % self._type.itemsize)
        self._hasher.update(data.data)
        self._are_plain = self._are_plain and _is_plain(data, count, size)
        if self._are_plain:
            values = data[beside:].view(self._type)
            end = self._done + len(wanted)
            values.take(wanted, out=self._values[self._done : end], mode="clip")
            self._done = end

    def _filled(self, file: RawIOBase, length: int, start: int) -> Bytes:
        """The next bytes of a file, fewer at its end, in the memory of those before them.

        `start`: where in that memory, so that values are aligned.
        """
        if len(self._room) < start + length:
            self._room = np.empty(start + length, np.uint8)
        data = self._room[start : start + length]
        done = 0
        while done < length and (size := file.readinto(data.data[done:])):
            done += size
        return data[:done]

    def digest(self) -> BytesDigest:
        return BytesDigest(self._hasher.digest().hex())

    def values(self) -> pl.Series | None:
        if not self._are_plain:
            return None
        buffers = [None, pa.py_buffer(self._values)]
        return pl.Series(pa.Array.from_buffers(self._arrow, len(self._values), buffers))


def _is_plain(chunk: Bytes, count: int, size: int) -> bool:
    """Whether it is one data page, not compressed, of so many plain values of which none is null.

    `size`: of the values in bytes.
    """
    header, levels = _page(count, size)
    head = chunk[: len(chunk) - size].tobytes()
    return (
        head.startswith(header)
        and head.endswith(levels)
        and _header_end(head, len(header)) == len(head) - len(levels)
    )


# In the compact protocol of Thrift a byte has a field's type, and by how much its number is greater
# than the one before; a zero ends a struct. Source: PageHeader of Parquet's format.
_BOOLEANS, _NUMBERS, _TEXT = (1, 2), (4, 5, 6), 8
_STATISTICS = b"\x1c"


@lru_cache(maxsize=64)
def _page(count: int, size: int) -> tuple[bytes, bytes]:
    """How the header of such a page begins, and the levels that stand before its values."""
    run = _number(count) + b"\1"
    levels = len(run).to_bytes(4, "little") + run
    length = b"\x15" + _number(size + len(levels))
    # A data page, its size unpacked and packed, its number of values, PLAIN, and levels by runs.
    begin = b"\x15\0" + length * 2 + b"\x2c\x15" + _number(count)
    return begin + b"\x15\0\x15\x06\x15\x06", levels


def _header_end(head: bytes, at: int) -> int | None:
    """Where a header ends that has statistics at most from there on."""
    if head[at : at + 1] == _STATISTICS:
        at = _struct_end(head, at + 1)
    return at + 2 if head[at : at + 2] == bytes(2) else None


def _struct_end(head: bytes, at: int) -> int:
    """Where a struct of booleans, numbers and texts ends; the end of all where there is another."""
    while at < len(head) and head[at]:
        kind = head[at] & 0xF
        at += 1
        if kind in _BOOLEANS:
            continue
        if kind not in (*_NUMBERS, _TEXT):
            return len(head)
        begin = at
        while head[at : at + 1] > b"\x7f":
            at += 1
        at += 1
        if kind == _TEXT:
            at += int.from_bytes(head[begin : begin + 1])
    return at + 1


def _number(value: int) -> bytes:
    """Twice a number, as a varint: so Thrift has what has a sign, and Parquet a run of levels."""
    left = value << 1
    data = bytearray()
    while left > 0x7F:
        data.append(left & 0x7F | 0x80)
        left >>= 7
    data.append(left)
    return bytes(data)
