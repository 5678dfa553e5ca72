"""Arrow: canonical types to and from Arrow, and tables brought to them without loss."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from mlforge.errors import InvalidTimes, UnsupportedType
from mlforge.schema import Column, Schema
from mlforge.types import DataType, TypeKind


class ArrowFrame(Protocol):
    """Any frame that speaks Arrow: polars, pandas 2.2 and later, pyarrow, duckdb."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


_TO_ARROW = {
    TypeKind.BOOL: pa.bool_(),
    TypeKind.INT8: pa.int8(),
    TypeKind.INT16: pa.int16(),
    TypeKind.INT32: pa.int32(),
    TypeKind.INT64: pa.int64(),
    TypeKind.UINT8: pa.uint8(),
    TypeKind.UINT16: pa.uint16(),
    TypeKind.UINT32: pa.uint32(),
    TypeKind.UINT64: pa.uint64(),
    TypeKind.FLOAT32: pa.float32(),
    TypeKind.FLOAT64: pa.float64(),
    TypeKind.STRING: pa.large_string(),
    TypeKind.BINARY: pa.large_binary(),
    TypeKind.DATE: pa.date32(),
    TypeKind.TIME: pa.time64("us"),
    TypeKind.DURATION: pa.duration("us"),
}
_FROM_ARROW = {arrow: kind for kind, arrow in _TO_ARROW.items()} | {
    pa.string(): TypeKind.STRING,
    pa.string_view(): TypeKind.STRING,
    pa.binary(): TypeKind.BINARY,
    pa.binary_view(): TypeKind.BINARY,
}


def to_arrow(type: DataType) -> pa.DataType:
    """The one Arrow type that a canonical type is stored in."""
    if type.kind is TypeKind.DECIMAL:
        return pa.decimal128(type.precision, type.scale)
    if type.kind is TypeKind.DATETIME:
        return pa.timestamp("us", tz="UTC" if type.is_utc else None)
    return _TO_ARROW[type.kind]


def from_arrow(arrow: pa.DataType, column: str) -> DataType:
    """The canonical type of an Arrow type. Raises UnsupportedType, which names the column."""
    if arrow in _FROM_ARROW:
        return DataType(_FROM_ARROW[arrow])
    if pa.types.is_timestamp(arrow):
        return DataType(TypeKind.DATETIME, is_utc=arrow.tz is not None)
    if pa.types.is_decimal(arrow) and arrow.precision <= 38 and arrow.scale >= 0:
        return DataType(TypeKind.DECIMAL, arrow.precision, arrow.scale)
    if pa.types.is_dictionary(arrow):
        return from_arrow(arrow.value_type, column)
    if pa.types.is_date64(arrow):
        return DataType(TypeKind.DATE)
    if pa.types.is_time(arrow):
        return DataType(TypeKind.TIME)
    if pa.types.is_duration(arrow):
        return DataType(TypeKind.DURATION)
    raise UnsupportedType(
        f"column {column} has the type {arrow}, which is not built yet",
        hint=f"cast {column} in the function, or drop it",
    )


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """The canonical columns of an Arrow schema, in its order."""
    return tuple(Column(field.name, from_arrow(field.type, field.name)) for field in schema)


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema that a table of this schema has."""
    return pa.schema([pa.field(column.name, to_arrow(column.type)) for column in schema.columns])


def canonical_table(table: pa.Table) -> pa.Table:
    """The table with every column in its canonical Arrow type, unchunked.

    Raises UnsupportedType, and InvalidTimes where a time has digits below a microsecond.
    """
    arrays = [canonical_array(table[name], name) for name in table.column_names]
    return pa.table(dict(zip(table.column_names, arrays, strict=True)))


def canonical_array(column: pa.ChunkedArray, name: str) -> pa.Array:
    target = to_arrow(from_arrow(column.type, name))
    try:
        column = _cast(column, target)
    except pa.ArrowInvalid as error:
        raise _unkept(column.type, name, str(error)) from error
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def _cast(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column if column.type == target else pc.cast(column, target)
    # The categories first: Arrow cannot decode those that are views, as Polars hands them out.
    chunks = [pc.take(pc.cast(chunk.dictionary, target), chunk.indices) for chunk in column.chunks]
    return pa.chunked_array(chunks, target)


def _unkept(arrow: pa.DataType, name: str, cause: str) -> InvalidTimes:
    if getattr(arrow, "unit", None) in ("s", "ms"):
        return InvalidTimes(f"column {name} has times too far from 1970", cause=cause)
    return InvalidTimes(
        f"column {name} has digits below a microsecond, which could leak the future",
        cause=cause,
        hint=f'cast it in the function: pl.col("{name}").dt.cast_time_unit("us")',
    )
