"""Encoding: tables packed into rows of bytes, all rows at once. Bytes: docs/formats.md#packed-rows.

All is done by Arrow: no value becomes a Python object.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from mlforge.online.base import Rows
from mlforge.online.board import Layout
from mlforge.types import DataType, TypeKind

# Of a packed value: bits of its first byte.
HAS_NULLS, HAS_STATES = 1, 2
# Of a list: its second part.
NO_NULLS, WITH_NULLS = b"\0", b"\1"

# The bytes of a value; kinds that are not here come in any length.
WIDTHS = {
    TypeKind.BOOL: 1,
    TypeKind.INT8: 1,
    TypeKind.INT16: 2,
    TypeKind.INT32: 4,
    TypeKind.INT64: 8,
    TypeKind.UINT8: 1,
    TypeKind.UINT16: 2,
    TypeKind.UINT32: 4,
    TypeKind.UINT64: 8,
    TypeKind.FLOAT32: 4,
    TypeKind.FLOAT64: 8,
    TypeKind.DECIMAL: 16,
    TypeKind.DATE: 4,
    TypeKind.TIME: 8,
    TypeKind.DATETIME: 8,
    TypeKind.DURATION: 8,
}


def pack(table: pa.Table, firsts: pa.Array, layout: Layout) -> Rows:
    """Pack rows by entity.

    `table`: of canonical types, the rows of each entity together and in the order in which they
    begin to be seen. `firsts`: where each entity begins (int64). At most 1 GB of packed bytes.
    """
    columns = {column.name: _whole(table[column.name]) for column in layout.columns}
    types = {column.name: column.type for column in layout.columns}
    keys = _joined([_part(columns[key].take(firsts), types[key]) for key in layout.keys])
    states = _states(columns, layout)
    if len(firsts) == len(states):
        return Rows(keys, states)
    edges = pa.concat_arrays([firsts.cast(pa.int64()), pa.array([len(states)], pa.int64())])
    counts = pc.subtract(edges.slice(1), edges.slice(0, len(firsts)))
    together = _by_list(edges.cast(pa.int32()), _sized(states))
    several = _joined([_repeated(bytes([HAS_STATES]), len(firsts)), together])
    return Rows(keys, pc.if_else(pc.equal(counts, 1), states.take(firsts), several))


def packed_keys(table: pa.Table, layout: Layout) -> pa.BinaryArray:
    """The keys of a table's rows, which may have other columns; null where a key is."""
    types = {column.name: column.type for column in layout.columns}
    columns = {key: _whole(table[key]) for key in layout.keys}
    keys = _joined([_part(columns[key], types[key]) for key in layout.keys])
    for column in columns.values():
        if column.null_count:
            keys = pc.if_else(pc.is_valid(column), keys, pa.scalar(None, pa.binary()))
    return keys


def _states(columns: dict[str, pa.Array], layout: Layout) -> pa.BinaryArray:
    """Flags and which values are null, the event time, values of fixed width, other values."""
    values = [(columns[column.name], column.type) for column in layout.values]
    parts = [_flags([array for array, _ in values], len(columns[layout.keys[0]]))]
    if layout.timestamp is not None:
        parts.append(_fixed(columns[layout.timestamp]))
    parts += [_fixed(array) for array, type in values if type.kind in WIDTHS]
    parts += [_sized(_bytes(array, type)) for array, type in values if type.kind not in WIDTHS]
    return _joined(parts)


def _flags(values: Sequence[pa.Array], rows: int) -> pa.BinaryArray:
    """0, or HAS_NULLS and a bit a value, lowest first, where any of them is null."""
    none = _repeated(b"\0", rows)
    if not any(array.null_count for array in values):
        return none
    bitmap = [_bits(values[start : start + 8]) for start in range(0, len(values), 8)]
    found = _joined([_repeated(bytes([HAS_NULLS]), rows), *map(_fixed, bitmap)])
    has_nulls = [pc.not_equal(bits, 0) for bits in bitmap]
    is_set = has_nulls[0]
    for more in has_nulls[1:]:
        is_set = pc.or_(is_set, more)
    return pc.if_else(is_set, found, none)


def _bits(values: Sequence[pa.Array]) -> pa.UInt8Array:
    bits = pc.cast(pc.is_null(values[0]), pa.uint8())
    for number, array in enumerate(values[1:], 1):
        bit = pc.multiply(
            pc.cast(pc.is_null(array), pa.uint8()), pa.scalar(1 << number, pa.uint8())
        )
        bits = pc.bit_wise_or(bits, bit)
    return bits


def _part(array: pa.Array, type: DataType) -> pa.BinaryArray:
    """A value by itself: bytes of its width, or how many follow and these."""
    return _fixed(array) if type.kind in WIDTHS else _sized(_bytes(array, type))


def _bytes(array: pa.Array, type: DataType) -> pa.BinaryArray:
    """Values of any length; nothing for null."""
    if type.kind is TypeKind.STRUCT:
        found = _struct(array, type)
    elif type.kind in (TypeKind.LIST, TypeKind.FIXED_LIST):
        found = _list(array, type)
    else:
        return pc.fill_null(pc.cast(array, pa.binary()), b"")
    return pc.if_else(pc.is_valid(array), found, pa.scalar(b"", pa.binary()))


def _struct(array: pa.StructArray, type: DataType) -> pa.BinaryArray:
    """Of each field whether it is there, and its value."""
    parts = list[pa.Array]()
    for field, (_, inner) in zip(array.flatten(), type.fields, strict=True):
        parts += [_validity(field), _part(field, inner)]
    return _joined(parts)


def _list(array: pa.Array, type: DataType) -> pa.BinaryArray:
    """How many, whether some may be null and then which are there, and the values."""
    assert type.item is not None
    lengths = pc.fill_null(pc.cast(pc.list_value_length(array), pa.int32()), 0)
    edges = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    items = array.flatten()
    parts = [_fixed(pc.cast(lengths, pa.uint32())), _repeated(NO_NULLS, len(array))]
    if items.null_count:
        parts[1] = _repeated(WITH_NULLS, len(array))
        parts.append(_by_list(edges, _validity(items)))
    return _joined([*parts, _by_list(edges, _part(items, type.item))])


def _validity(array: pa.Array) -> pa.BinaryArray:
    """A byte a value: whether it is there."""
    return _fixed(pc.cast(pc.is_valid(array), pa.uint8()))


def _fixed(array: pa.Array) -> pa.BinaryArray:
    """The bytes of values of a fixed width, lowest first; zeros for null."""
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.uint8())
    if array.null_count:
        zero = Decimal(0) if pa.types.is_decimal(array.type) else 0
        array = pc.fill_null(array, pa.scalar(zero, array.type))
    width = array.type.bit_width // 8
    buffers = [None, array.buffers()[1]]
    raw = pa.Array.from_buffers(pa.binary(width), len(array), buffers, 0, array.offset)
    return pc.cast(raw, pa.binary())


def _sized(texts: pa.BinaryArray) -> pa.BinaryArray:
    """Each with its length before it."""
    return _joined([_fixed(pc.cast(pc.binary_length(texts), pa.uint32())), texts])


def _by_list(edges: pa.Int32Array, texts: pa.BinaryArray) -> pa.BinaryArray:
    """Those between two edges as one."""
    return pc.binary_join(pa.ListArray.from_arrays(edges, texts), b"")


def _joined(parts: Sequence[pa.Array]) -> pa.BinaryArray:
    if len(parts) == 1:
        return parts[0]
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.binary()))


def _repeated(text: bytes, rows: int) -> pa.BinaryArray:
    return pa.repeat(pa.scalar(text, pa.binary()), rows)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column unchunked."""
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
