"""Matrix: bytes of many rows, each width of them put in place at once by numpy.

The one file of `online/` that has numpy: docs/decisions/0029-rows-are-framed-by-numpy.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlforge.online.base import Load, Rows
from mlforge.online.resp import Commands

Bytes = npt.NDArray[np.uint8]
Void = npt.NDArray[np.void]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]
# Which of many: all, or these.
Which = slice | Int64s

# Bytes of rows that are encoded at once, while those before them are sent.
PIECE_BYTES = 4 << 20
# What is read once for each byte of a row should stay in the processor's cache.
_CACHED_BYTES = 256 << 10
# A table for each byte of longer keys would be slower than a call for each key.
_TABLES = 64
# Texts that are longer on the average seldom share a width: each is copied by itself.
LONG_BYTES = 512
_NO_BYTES = np.empty(0, "V1")


def side_by_side(columns: Sequence[pa.Array]) -> pa.BinaryArray:
    """Rows of values of fixed width that have no nulls, lowest byte first."""
    widths = [column.type.bit_width // 8 for column in columns]
    rows, width = len(columns[0]), sum(widths)
    kinds = [f"<u{size}" if size in (1, 2, 4, 8) else f"V{size}" for size in widths]
    matrix = np.empty(rows, [(f"{n}", kind) for n, kind in enumerate(kinds)])
    for number, (column, kind) in enumerate(zip(columns, kinds, strict=True)):
        if rows:
            values = np.frombuffer(column.buffers()[1], kind)
            matrix[f"{number}"] = values[column.offset : column.offset + rows]
    ends = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(matrix)]
    return pa.Array.from_buffers(pa.binary(), rows, buffers)


def hsets(base: bytes, load: Load, run: Rows) -> Iterator[tuple[list[bytes], Commands]]:
    """The commands that write a run of rows, in pieces: the key of each, and its bytes.

    `base`: how the keys of the load's buckets begin. One HSET a bucket; a run is not empty.
    """
    keys, values = Texts.of(run.keys), Texts.of(run.values)
    order, numbers, bounds = _by_bucket(hashed(keys), load.buckets)
    size = max(1, len(keys.data) + len(values.data))
    step = max(1, len(numbers) * PIECE_BYTES // size)
    for first in range(0, len(numbers), step):
        edges = bounds[first : first + step + 1]
        names = [base + b"%d" % number for number in numbers[first : first + step].tolist()]
        rows = order[edges[0] : edges[-1]].astype(np.int64)
        yield names, _commands(names, edges - edges[0], keys, values, rows)


@dataclass(frozen=True, slots=True)
class Texts:
    """Byte strings, one behind the other, between edges; `width`: what all have in common."""

    data: Bytes
    edges: Int32s
    width: int | None

    @classmethod
    def of(cls, array: pa.BinaryArray) -> Texts:
        """A binary array without nulls, which is not copied."""
        _, offsets, data = array.buffers()
        edges = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
        whole = np.frombuffer(data or b"", np.uint8)[edges[0] : edges[-1]]
        lengths = np.diff(edges)
        width = int(lengths[0]) if (lengths == lengths[0]).all() else None
        return cls(whole, edges - edges[0] if edges[0] else edges, width)

    def lengths(self, rows: Int64s) -> Int64s:
        if self.width is not None:
            return np.full(len(rows), self.width)
        return (self.edges[rows + 1] - self.edges[rows]).astype(np.int64)

    def by_width(self, rows: Int64s) -> Iterator[tuple[int, Which, Void]]:
        """Those of each length: it, which of the rows they are, and their bytes."""
        if self.width:
            yield self.width, slice(None), self.data.view(f"V{self.width}").take(rows)
            return
        for width, which in _widths(self.lengths(rows)):
            places = self.edges[rows[which]]
            yield width, which, _windows(self.data, width)[places] if width else _NO_BYTES


class Pile:
    """Binary arrays put one behind the other, each copied once."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._edges = [np.zeros(1, np.int32)]

    def add(self, array: pa.BinaryArray) -> None:
        """An array that has values, and no nulls. At most 2 GB of bytes in all."""
        texts = Texts.of(array)
        self._edges.append(texts.edges[1:] + np.int32(len(self._data)))
        self._data += texts.data.data

    def array(self) -> pa.BinaryArray:
        """All of them; nothing may be added after this."""
        edges = np.concatenate(self._edges)
        buffers = [None, pa.py_buffer(edges), pa.py_buffer(self._data)]
        return pa.Array.from_buffers(pa.binary(), len(edges) - 1, buffers)


def hashed(keys: Texts) -> UInt32s:
    """The CRC-32 of each."""
    found = np.empty(len(keys.edges) - 1, np.uint32)
    step = max(1, _CACHED_BYTES * len(found) // max(1, len(keys.data)))
    for start in range(0, len(found), step):
        part = found[start : start + step]
        for width, which, texts in keys.by_width(np.arange(start, start + len(part))):
            part[which] = _crcs(texts.view(np.uint8).reshape(-1, width)) if width else 0
    return found


def _crcs(matrix: Bytes) -> UInt32s:
    """The CRC-32 of each row: what its bytes add to the CRC of zeros, which is linear in them."""
    rows, width = matrix.shape
    if width > _TABLES:
        return np.fromiter((crc32(row) for row in matrix), np.uint32, rows)
    found = np.full(rows, crc32(bytes(width)), np.uint32)
    for place in range(width):
        found ^= _table(width - 1 - place)[matrix[:, place]]
    return found


@lru_cache(maxsize=_TABLES)
def _table(behind: int) -> UInt32s:
    """What each value of a byte adds, that has so many bytes behind it."""
    zeros = bytes(behind)
    nothing = crc32(b"\0" + zeros)
    return np.array([crc32(bytes([value]) + zeros) ^ nothing for value in range(256)], np.uint32)


def _by_bucket(hashes: UInt32s, buckets: int) -> tuple[UInt32s, UInt64s, Int64s]:
    """Rows in the order of their buckets, the buckets that have any, and where in it each begins.

    Those of a bucket stay in their order.
    """
    # Numpy sorts whole numbers ten times as fast as it finds an order.
    ranked = (hashes % np.uint32(buckets)).astype(np.uint64)
    ranked <<= np.uint64(32)
    ranked |= np.arange(len(hashes), dtype=np.uint64)
    ranked.sort()
    order = ranked.astype(np.uint32)
    ranked >>= np.uint64(32)
    begins = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    return order, ranked[begins], np.append(begins, len(hashes))


def _commands(
    names: list[bytes], bounds: Int64s, keys: Texts, values: Texts, rows: Int64s
) -> Commands:
    """An HSET for each name, of those of the rows that lie between two bounds."""
    counts = np.diff(bounds)
    heads = [
        b"*%d\r\n$4\r\nHSET\r\n$%d\r\n%b\r\n" % (2 + 2 * count, len(name), name)
        for name, count in zip(names, counts.tolist(), strict=True)
    ]
    told = Texts.of(_binary(heads))
    key_sizes = _framed_sizes(keys.lengths(rows))
    sizes = key_sizes + _framed_sizes(values.lengths(rows))
    edges = np.append(0, sizes.cumsum())
    # Before each row lie the heads of its command and of those before, and all rows before it.
    starts = edges[:-1] + told.edges[1:].astype(np.int64).repeat(counts)
    ends = told.edges + edges[bounds]
    out = np.empty(ends[-1], np.uint8)
    for width, which, found in told.by_width(np.arange(len(heads))):
        _windows(out, width)[ends[:-1][which]] = found
    _put_framed(out, starts, keys, rows)
    _put_framed(out, starts + key_sizes, values, rows)
    return Commands(out.data, ends[1:].tolist())


def _binary(texts: list[bytes]) -> pa.BinaryArray:
    ends = np.fromiter(accumulate(map(len, texts), initial=0), np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(pa.binary(), len(texts), buffers)


def _framed_sizes(lengths: Int64s) -> Int64s:
    """What texts of these lengths take with what `_frame` has around them."""
    sizes, power, longest = lengths + len(_frame(0)), 10, int(lengths.max())
    while power <= longest:
        sizes += lengths >= power
        power *= 10
    return sizes


def _put_framed(out: Bytes, at: Int64s, texts: Texts, rows: Int64s) -> None:
    """Write the text of each row as RESP does, from where it begins."""
    if texts.width is None and len(texts.data) > LONG_BYTES * len(texts.edges):
        _put_one_by_one(out, at, texts, rows)
        return
    for width, which, found in texts.by_width(rows):
        frame = _frame(width)
        size = len(frame)
        framed = np.repeat(np.frombuffer(frame, f"V{size}"), len(at[which]))
        if width:
            begin = size - width - 2
            inside = framed.view([("head", f"V{begin}"), ("text", f"V{width}"), ("end", "V2")])
            inside["text"] = found
        _windows(out, size)[at[which]] = framed


def _put_one_by_one(out: Bytes, at: Int64s, texts: Texts, rows: Int64s) -> None:
    begins, ends = texts.edges[rows].tolist(), texts.edges[rows + 1].tolist()
    for place, begin, end in zip(at.tolist(), begins, ends, strict=True):
        framed = b"$%d\r\n%b\r\n" % (end - begin, texts.data[begin:end].tobytes())
        out.data[place : place + len(framed)] = framed


def _frame(width: int) -> bytes:
    """A text of so many bytes in RESP; they are zeros."""
    return b"$%d\r\n%b\r\n" % (width, bytes(width))


def _windows(data: Bytes, width: int) -> Void:
    """So many bytes from each place on: they overlap."""
    return np.ndarray((max(0, len(data) - width + 1),), f"V{width}", data, strides=(1,))


def _widths(lengths: Int64s) -> Iterator[tuple[int, Which]]:
    """Each length, and which have it."""
    if (lengths == lengths[0]).all():
        yield int(lengths[0]), slice(None)
        return
    # Of 16 bits it is a radix sort.
    is_short = lengths.max() < 1 << 16
    order = lengths.astype(np.uint16 if is_short else np.int64).argsort(kind="stable")
    ordered = lengths[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    for begin, end in zip(begins, np.append(begins[1:], len(order)), strict=True):
        yield int(ordered[begin]), order[begin:end]
