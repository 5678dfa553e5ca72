"""Encoding: tables packed into rows of bytes, all rows at once. Bytes: docs/formats.md#packed-rows.

Values of fixed width are put side by side by numpy, in `matrix.py`; all else is done by Arrow. No
value becomes a Python object.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from mlforge.online.base import Rows
from mlforge.online.board import Layout
from mlforge.online.matrix import side_by_side
from mlforge.types import DataType, TypeKind

# Of a packed value: bits of its first byte.
HAS_NULLS, HAS_STATES = 1, 2
# Of a list: its second part.
NO_NULLS, WITH_NULLS = 0, 1

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
    keys = _parts([(columns[key].take(firsts), types[key]) for key in layout.keys])
    states = _states(columns, layout)
    if len(firsts) == len(states):
        return Rows(keys, states)
    edges = pa.concat_arrays([firsts.cast(pa.int64()), _numbers(pa.int64(), len(states))])
    counts = pc.subtract(edges.slice(1), edges.slice(0, len(firsts)))
    together = _by_list(edges.cast(pa.int32()), _sized(states))
    several = _joined([side_by_side([_repeated(pa.uint8(), HAS_STATES, len(firsts))]), together])
    return Rows(
        keys, pc.if_else(pc.equal(counts, _numbers(pa.int64(), 1)[0]), states.take(firsts), several)
    )


def packed_keys(table: pa.Table, layout: Layout) -> pa.BinaryArray:
    """The keys of a table's rows, which may have other columns; null where a key is."""
    types = {column.name: column.type for column in layout.columns}
    columns = {key: _whole(table[key]) for key in layout.keys}
    keys = _parts([(columns[key], types[key]) for key in layout.keys])
    for column in columns.values():
        if column.null_count:
            keys = pc.if_else(pc.is_valid(column), keys, pa.nulls(1, pa.binary())[0])
    return keys


def _states(columns: dict[str, pa.Array], layout: Layout) -> pa.BinaryArray:
    """Flags and which values are null, the event time, values of fixed width, other values."""
    values = [(columns[column.name], column.type) for column in layout.values]
    fixed = [_fixed(array) for array, type in values if type.kind in WIDTHS]
    if layout.timestamp is not None:
        fixed.insert(0, _fixed(columns[layout.timestamp]))
    head = _head([array for array, _ in values], fixed, len(columns[layout.keys[0]]))
    more = [_sized(_bytes(array, type)) for array, type in values if type.kind not in WIDTHS]
    return _joined([head, *more])


def _head(values: Sequence[pa.Array], fixed: list[pa.Array], rows: int) -> pa.BinaryArray:
    """0, or HAS_NULLS and a bit a value, lowest first, where any of them is null; and `fixed`."""
    whole = side_by_side([_repeated(pa.uint8(), 0, rows), *fixed])
    if not any(array.null_count for array in values):
        return whole
    bitmap = [_bits(values[start : start + 8]) for start in range(0, len(values), 8)]
    is_set = pc.cast(bitmap[0], pa.bool_())
    for more in bitmap[1:]:
        is_set = pc.or_(is_set, pc.cast(more, pa.bool_()))
    with_nulls = side_by_side([_repeated(pa.uint8(), HAS_NULLS, rows), *bitmap, *fixed])
    return pc.if_else(is_set, with_nulls, whole)


def _bits(values: Sequence[pa.Array]) -> pa.UInt8Array:
    bits = pc.cast(pc.is_null(values[0]), pa.uint8())
    for number, array in enumerate(values[1:], 1):
        bit = pc.cast(pc.is_null(array), pa.uint8())
        bits = pc.bit_wise_or(bits, pc.multiply(bit, _numbers(pa.uint8(), 1 << number)[0]))
    return bits


def _parts(columns: Sequence[tuple[pa.Array, DataType]]) -> pa.BinaryArray:
    """Values of each row one behind the other."""
    if all(type.kind in WIDTHS for _, type in columns):
        return side_by_side([_fixed(array) for array, _ in columns])
    return _joined([_part(array, type) for array, type in columns])


def _part(array: pa.Array, type: DataType) -> pa.BinaryArray:
    """A value by itself: bytes of its width, or how many follow and these."""
    if type.kind in WIDTHS:
        return side_by_side([_fixed(array)])
    return _sized(_bytes(array, type))


def _bytes(array: pa.Array, type: DataType) -> pa.BinaryArray:
    """Values of any length; nothing for null."""
    if type.kind is TypeKind.STRUCT:
        found = _struct(array, type)
    elif type.kind in (TypeKind.LIST, TypeKind.FIXED_LIST):
        found = _list(array, type)
    else:
        found = pc.cast(array, pa.binary())
    return pc.if_else(pc.is_valid(array), found, _text(b"")) if array.null_count else found


def _struct(array: pa.StructArray, type: DataType) -> pa.BinaryArray:
    """Of each field whether it is there, and its value."""
    parts = list[pa.Array]()
    for field, (_, inner) in zip(array.flatten(), type.fields, strict=True):
        parts += [_validity(field), _part(field, inner)]
    return _joined(parts)


def _list(array: pa.Array, type: DataType) -> pa.BinaryArray:
    """How many, whether some may be null and then which are there, and the values."""
    assert type.item is not None
    lengths = _fixed(pc.cast(pc.list_value_length(array), pa.int32()))
    edges = pa.concat_arrays([_numbers(pa.int32(), 0), pc.cumulative_sum(lengths)])
    items = array.flatten()
    mark = WITH_NULLS if items.null_count else NO_NULLS
    head = side_by_side([lengths, _repeated(pa.uint8(), mark, len(array))])
    parts = [_validity(items)] if items.null_count else []
    parts.append(_part(items, type.item))
    return _joined([head, *(_by_list(edges, part) for part in parts)])


def _validity(array: pa.Array) -> pa.BinaryArray:
    """A byte a value: whether it is there."""
    return side_by_side([pc.cast(pc.is_valid(array), pa.uint8())])


def _fixed(array: pa.Array) -> pa.Array:
    """Values that have a width in bytes; zeros for null."""
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.uint8())
    if array.null_count:
        array = pc.fill_null(array, _numbers(array.type, 0)[0])
    return array


def _sized(texts: pa.BinaryArray) -> pa.BinaryArray:
    """Each with its length before it."""
    return _joined([side_by_side([pc.binary_length(texts)]), texts])


def _by_list(edges: pa.Int32Array, texts: pa.BinaryArray) -> pa.BinaryArray:
    """Those between two edges as one."""
    return pc.binary_join(pa.ListArray.from_arrays(edges, texts), _text(b""))


def _joined(parts: Sequence[pa.Array]) -> pa.BinaryArray:
    if len(parts) == 1:
        return parts[0]
    return pc.binary_join_element_wise(*parts, _text(b""))


def _repeated(type: pa.DataType, number: int, rows: int) -> pa.Array:
    return pa.repeat(_numbers(type, number)[0], rows)


# What is made of Python values by `pa.scalar` and `pa.array` imports pandas, which takes 0.2 s.
def _numbers(type: pa.DataType, number: int) -> pa.Array:
    """One number, as an array."""
    text = number.to_bytes(type.bit_width // 8, "little")
    return pa.Array.from_buffers(type, 1, [None, pa.py_buffer(text)])


def _text(text: bytes) -> pa.BinaryScalar:
    edges = bytes(4) + len(text).to_bytes(4, "little")
    buffers = [None, pa.py_buffer(edges), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.binary(), 1, buffers)[0]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column unchunked."""
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
