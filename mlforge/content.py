"""Content: the hash of a table's canonical logical values, whatever made or stored them."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mlforge.canonical import encode
from mlforge.ids import ContentHash, Hasher
from mlforge.schema import Column, Schema
from mlforge.types import DataType, TypeKind
from mlforge.types.arrow import scalar

# Rows hashed at a time: what fits the cache. It bounds memory and cannot change a digest.
_BLOCK_ROWS = 1 << 16
_ZEROS = {
    TypeKind.FLOAT32: scalar(pa.float32(), bytes(4)),
    TypeKind.FLOAT64: scalar(pa.float64(), bytes(8)),
}
_NANS = {
    TypeKind.FLOAT32: scalar(pa.float32(), struct.pack("=f", math.nan)),
    TypeKind.FLOAT64: scalar(pa.float64(), struct.pack("=d", math.nan)),
}
_FALSE = scalar(pa.bool_(), bytes(1))
_NO_ITEMS = scalar(pa.int64(), bytes(8))


@dataclass(frozen=True, slots=True)
class Content:
    """A table's content hash and the digest of each of its columns."""

    hash: ContentHash
    columns: dict[str, str]


def hash_content(table: pa.Table, schema: Schema) -> Content:
    """Hash a table in canonical types and canonical row order (`schema.order`).

    Rule: docs/semantics.md#canonical-values-and-content_hash.
    """
    return hash_stream([table], schema)


def hash_stream(tables: Iterable[pa.Table], schema: Schema) -> Content:
    """Hash a table that comes in parts: in the memory of one part."""
    hasher = ContentHasher(schema)
    for table in tables:
        hasher.update(table)
    return hasher.content()


class ContentHasher:
    """The hash of a table whose parts are given one after the other."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._hashers = {column.name: column_hasher(column.type) for column in schema.columns}
        self.rows = 0

    def update(self, table: pa.Table) -> None:
        """Go on with the next rows."""
        self.rows += table.num_rows
        for name, hasher in self._hashers.items():
            hasher.add(table[name])

    def content(self) -> Content:
        """Of all that was given."""
        digests = {name: hasher.digest().hex() for name, hasher in self._hashers.items()}
        return Content(content_hash(self._schema.columns, digests, self.rows), digests)


def content_hash(columns: Iterable[Column], digests: Mapping[str, str], rows: int) -> ContentHash:
    """The content hash of a table of these columns, from the digest of each."""
    fields = sorted([c.name, str(c.type), digests[c.name]] for c in columns)
    return ContentHash.of(encode({"columns": fields, "rows": rows}))


def changed_columns(before: pa.Table, after: pa.Table, schema: Schema) -> list[str]:
    """The columns whose values differ between two tables of one schema."""
    old, new = hash_content(before, schema), hash_content(after, schema)
    return [name for name in schema.names if old.columns[name] != new.columns[name]]


def column_hasher(type: DataType) -> ColumnHasher:
    """The hash of one column, of which `digest` is told by `Content.columns`."""
    match type.kind:
        case TypeKind.STRING | TypeKind.BINARY:
            return _Texts(type)
        case TypeKind.BOOL:
            return _Booleans(type)
        case TypeKind.LIST:
            return _Lists(type)
        case TypeKind.FIXED_LIST:
            return _FixedLists(type)
        case TypeKind.STRUCT:
            return _Structs(type)
        case _:
            return _Fixed(type)


class ColumnHasher:
    """Validity, lengths and values of one column, hashed apart and then together."""

    def __init__(self, type: DataType) -> None:
        self._type = type
        self._rows = 0
        self._has_nulls = False
        self._validity = Hasher()
        self._lengths = Hasher()
        self._values = Hasher()

    def add(self, values: pa.Array | pa.ChunkedArray) -> None:
        """Go on with the next rows, in the canonical type."""
        for block in _blocks(values):
            self.update(block)

    def update(self, block: pa.Array) -> None:
        """Go on with the next rows of a struct, or with some that are few enough."""
        if block.null_count and not self._has_nulls:
            self._has_nulls = True
            # Only now is it known that validity is told: of the rows before, too.
            for start in range(0, self._rows, _BLOCK_ROWS):
                self._validity.update(b"\1" * min(_BLOCK_ROWS, self._rows - start))
        if self._has_nulls:
            self._validity.update(_bytes_of_booleans(pc.is_valid(block)))
        self._rows += len(block)
        self._take(block)

    def _take(self, block: pa.Array) -> None:
        raise NotImplementedError

    def _inner(self) -> Sequence[bytes]:
        """The digests of what the values are made of."""
        return (self._values.digest(),)

    def digest(self) -> bytes:
        whole = Hasher()
        for part in (self._validity.digest(), self._lengths.digest(), *self._inner()):
            whole.update(part)
        return whole.digest()


class _Fixed(ColumnHasher):
    """Values of a fixed width, nulls as zero."""

    def _take(self, block: pa.Array) -> None:
        self._values.update(_fixed_bytes(_canonical_values(block, self._type)))


class _Booleans(ColumnHasher):
    """A byte a value."""

    def _take(self, block: pa.Array) -> None:
        self._values.update(_bytes_of_booleans(pc.fill_null(block, _FALSE)))


class _Texts(ColumnHasher):
    """Lengths, and the bytes of all values joined; a null is empty."""

    def _take(self, block: pa.Array) -> None:
        if block.null_count:
            # Offsets of either width, all of them zero, and no bytes.
            nothing = [None, pa.py_buffer(bytes(16)), pa.py_buffer(b"")]
            block = pc.fill_null(block, pa.Array.from_buffers(block.type, 1, nothing)[0])
        self._lengths.update(_fixed_bytes(pc.cast(pc.binary_length(block), pa.int64())))
        self._values.update(_joined_bytes(block))


class _Lists(ColumnHasher):
    """Lengths, and the items of all values as a column; a null is empty."""

    def __init__(self, type: DataType) -> None:
        super().__init__(type)
        self._items = column_hasher(type.inner[0])

    def _take(self, block: pa.Array) -> None:
        lengths = pc.fill_null(pc.cast(pc.list_value_length(block), pa.int64()), _NO_ITEMS)
        self._lengths.update(_fixed_bytes(lengths))
        self._items.add(block.flatten())

    def _inner(self) -> Sequence[bytes]:
        return (self._items.digest(),)


class _FixedLists(ColumnHasher):
    """The items of all values that are not null as a column."""

    def __init__(self, type: DataType) -> None:
        super().__init__(type)
        self._items = column_hasher(type.inner[0])

    def _take(self, block: pa.Array) -> None:
        size = self._type.size
        if block.null_count:
            values = block.flatten()
        else:
            values = block.values.slice(block.offset * size, len(block) * size)
        self._items.add(values)

    def _inner(self) -> Sequence[bytes]:
        return (self._items.digest(),)


class _Structs(ColumnHasher):
    """Each field as a column, in the order of the type; of a null all fields are null."""

    def __init__(self, type: DataType) -> None:
        super().__init__(type)
        self._fields = [column_hasher(inner) for inner in type.inner]

    def _take(self, block: pa.Array) -> None:
        for at, field in enumerate(self._fields):
            field.update(pc.struct_field(block, at))

    def _inner(self) -> Sequence[bytes]:
        return [field.digest() for field in self._fields]


def _blocks(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """Blocks of the same rows however the column is chunked."""
    for start in range(0, len(column), _BLOCK_ROWS):
        block = column.slice(start, _BLOCK_ROWS)
        if isinstance(block, pa.ChunkedArray):
            block = block.chunk(0) if block.num_chunks == 1 else pa.concat_arrays(block.chunks)
        yield block


def _canonical_values(block: pa.Array, type: DataType) -> pa.Array:
    """Values with nulls as zero, -0.0 as 0.0 and one NaN."""
    filled = _zeroed(block) if block.null_count else block
    if not type.is_float:
        return filled
    positive = pc.add(filled, _ZEROS[type.kind])
    # No sum hides a NaN; to look for it at each value takes longer.
    if not math.isnan(pc.sum(positive).as_py() or 0.0):
        return positive
    return pc.if_else(pc.is_nan(positive), _NANS[type.kind], positive)


def _zeroed(block: pa.Array) -> pa.Array:
    return pc.fill_null(block, scalar(block.type, bytes(block.type.bit_width // 8)))


def _bytes_of_booleans(block: pa.BooleanArray) -> memoryview:
    return _fixed_bytes(pc.cast(block, pa.uint8()))


def _fixed_bytes(block: pa.Array) -> memoryview:
    width = block.type.bit_width // 8
    data = memoryview(block.buffers()[1] or b"")
    return data[block.offset * width : (block.offset + len(block)) * width]


def _joined_bytes(block: pa.Array) -> memoryview:
    wide = pa.types.is_large_string(block.type) or pa.types.is_large_binary(block.type)
    ends = memoryview(block.buffers()[1] or bytes(8)).cast("q" if wide else "i")
    data = memoryview(block.buffers()[2] or b"")
    return data[ends[block.offset] : ends[block.offset + len(block)]]
