"""Content: the hash of a table's canonical logical values, whatever made or stored them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mlforge.canonical import encode
from mlforge.ids import ContentHash, Hasher
from mlforge.schema import Column, Schema
from mlforge.types import TypeKind

# Rows hashed at a time. It bounds memory and cannot change a digest.
_BLOCK_ROWS = 1 << 17


@dataclass(frozen=True, slots=True)
class Content:
    """A table's content hash and the digest of each of its columns."""

    hash: ContentHash
    columns: dict[str, str]


def hash_content(table: pa.Table, schema: Schema) -> Content:
    """Hash a table in canonical types and canonical row order (`schema.order`).

    Rule: docs/semantics.md#canonical-values-and-content_hash.
    """
    digests = {column.name: _column_digest(table[column.name], column) for column in schema.columns}
    fields = [[column.name, str(column.type), digests[column.name]] for column in schema.columns]
    table_hash = ContentHash.of(encode({"columns": sorted(fields), "rows": table.num_rows}))
    return Content(table_hash, digests)


def changed_columns(before: pa.Table, after: pa.Table, schema: Schema) -> list[str]:
    """The columns whose values differ between two tables of one schema."""
    old, new = hash_content(before, schema), hash_content(after, schema)
    return [name for name in schema.names if old.columns[name] != new.columns[name]]


def _column_digest(column: pa.ChunkedArray, declared: Column) -> str:
    validity, lengths, values = Hasher(), Hasher(), Hasher()
    for block in _blocks(column):
        if column.null_count:
            validity.update(_bytes_of_booleans(pc.is_valid(block)))
        if declared.type.kind in (TypeKind.STRING, TypeKind.BINARY):
            block = pc.fill_null(block, b"" if declared.type.kind is TypeKind.BINARY else "")
            lengths.update(_fixed_bytes(pc.cast(pc.binary_length(block), pa.int64())))
            values.update(_joined_bytes(block))
        elif declared.type.kind is TypeKind.BOOL:
            values.update(_bytes_of_booleans(pc.fill_null(block, False)))
        else:
            values.update(_fixed_bytes(_canonical_values(block, declared)))
    whole = Hasher()
    for part in (validity, lengths, values):
        whole.update(part.digest())
    return whole.hexdigest()


def _blocks(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    """Blocks of the same rows however the column is chunked."""
    for start in range(0, len(column), _BLOCK_ROWS):
        block = column.slice(start, _BLOCK_ROWS).combine_chunks()
        yield block if isinstance(block, pa.Array) else pa.concat_arrays(block.chunks)


def _canonical_values(block: pa.Array, declared: Column) -> pa.Array:
    """Values with nulls as zero, -0.0 as 0.0 and one NaN."""
    if not declared.type.is_float:
        return _zeroed(block) if block.null_count else block
    zero = pa.scalar(0.0, block.type)
    filled = pc.fill_null(block, zero) if block.null_count else block
    positive = pc.add(filled, zero)
    # A sum is cheaper than a look at each value, and no NaN survives it unseen.
    if not math.isnan(pc.sum(positive).as_py()):
        return positive
    return pc.if_else(pc.is_nan(positive), pa.scalar(float("nan"), block.type), positive)


def _zeroed(block: pa.Array) -> pa.Array:
    width = block.type.bit_width // 8
    zero = pa.Array.from_buffers(block.type, 1, [None, pa.py_buffer(bytes(width))])
    return pc.fill_null(block, zero[0])


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
