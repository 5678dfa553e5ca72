"""RESP: commands as the bytes that a Redis reads; those of many rows without an object a row."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc

from mlforge.online.base import Load, Rows

# Bytes of rows that are encoded at once, while those before them are sent.
_PIECE_BYTES = 8 << 20
_HEAD, _LINE, _NEXT = pa.scalar(b"$"), pa.scalar(b"\r\n"), pa.scalar(b"\r\n$")
_NOTHING = pa.scalar(b"")


def command(*parts: bytes) -> bytes:
    packed = [b"*%d\r\n" % len(parts)]
    packed += [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"".join(packed)


def hget(name: bytes, field: bytes) -> bytes:
    """`command(b"HGET", name, field)`, at once: this is what single rows are read with."""
    return b"*3\r\n$4\r\nHGET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(name), name, len(field), field)


def hsets(base: bytes, load: Load, run: Rows) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """The commands that write a run of rows, in pieces: the key of each, and its bytes.

    `base`: how the keys of the load's buckets begin. One HSET a bucket.
    """
    numbers = pa.array([crc32(key) % load.buckets for key in run.keys.to_pylist()], pa.uint32())
    order = pc.sort_indices(numbers)
    filled = pc.run_end_encode(numbers.take(order))
    names = [base + b"%d" % number for number in filled.values.to_pylist()]
    ends = [0, *filled.run_ends.to_pylist()]
    size = run.keys.nbytes + run.values.nbytes
    step = max(1, len(names) * _PIECE_BYTES // size)
    for first in range(0, len(names), step):
        piece = names[first : first + step]
        bounds = ends[first : first + step + 1]
        rows = order.slice(bounds[0], bounds[-1] - bounds[0])
        yield piece, _hsets(piece, bounds, run.keys.take(rows), run.values.take(rows))


def _hsets(
    names: list[bytes], bounds: list[int], keys: pa.BinaryArray, values: pa.BinaryArray
) -> list[bytes]:
    fields = pc.binary_join_element_wise(
        _HEAD, _lengths(keys), _LINE, keys, _NEXT, _lengths(values), _LINE, values, _LINE, _NOTHING
    )
    offsets = pa.array([bound - bounds[0] for bound in bounds], pa.int32())
    bodies = pc.binary_join(pa.ListArray.from_arrays(offsets, fields), b"").to_pylist()
    return [
        b"*%d\r\n$4\r\nHSET\r\n$%d\r\n%b\r\n%b" % (2 + 2 * (end - start), len(name), name, body)
        for name, body, start, end in zip(names, bodies, bounds, bounds[1:], strict=False)
    ]


def _lengths(array: pa.BinaryArray) -> pa.BinaryArray:
    return pc.binary_length(array).cast(pa.string()).cast(pa.binary())
