"""Arrow: tables brought to canonical types, all the way down and without loss."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from mlforge.errors import InvalidTimes, MlforgeError, UnsupportedType
from mlforge.schema import Column, Schema
from mlforge.types.arrow import from_arrow, scalar, to_arrow

_ZERO = scalar(pa.int64(), bytes(8))


class ArrowFrame(Protocol):
    """Any frame that speaks Arrow: polars, pandas 2.2 and later, pyarrow, duckdb."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


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
    """A column in its canonical Arrow type, unchunked."""
    target = to_arrow(from_arrow(column.type, name))
    try:
        chunks = [_canonical(chunk, target) for chunk in column.chunks]
    except pa.ArrowInvalid as error:
        raise _unkept(column, name, str(error)) from error
    combined = pa.chunked_array(chunks, target).combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def _canonical(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if pa.types.is_dictionary(kind):
        # The categories first: Arrow cannot decode those that are views, as Polars hands them out.
        return pc.take(_canonical(array.dictionary, target), array.indices)
    if pa.types.is_large_list(target):
        return _canonical_list(array, target)
    if pa.types.is_fixed_size_list(target):
        return _canonical_fixed_list(array, target)
    if pa.types.is_struct(target):
        return _canonical_struct(array, target)
    return array if kind == target else pc.cast(array, target)


def _canonical_list(array: pa.Array, target: pa.LargeListType) -> pa.Array:
    lengths = pc.fill_null(pc.cast(pc.list_value_length(array), pa.int64()), _ZERO)
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.repeat(_ZERO, 1), ends])
    values = _canonical(array.flatten(), target.value_type)
    mask = pc.is_null(array) if array.null_count else None
    return pa.LargeListArray.from_arrays(offsets, values, type=target, mask=mask)


def _canonical_fixed_list(array: pa.Array, target: pa.FixedSizeListType) -> pa.Array:
    size = target.list_size
    start = array.offset * size
    values = array.values.slice(start, len(array) * size)
    mask = pc.is_null(array) if array.null_count else None
    values = _canonical(values, target.value_type)
    return pa.FixedSizeListArray.from_arrays(values, type=target, mask=mask)


def _canonical_struct(array: pa.Array, target: pa.StructType) -> pa.Array:
    fields = list(target)
    inner = [_canonical(pc.struct_field(array, at), field.type) for at, field in enumerate(fields)]
    mask = pc.is_null(array) if array.null_count else None
    return pa.StructArray.from_arrays(inner, fields=fields, mask=mask)


def _unkept(column: pa.ChunkedArray, name: str, cause: str) -> MlforgeError:
    unit = getattr(column.type, "unit", None)
    if unit in ("s", "ms"):
        return InvalidTimes(f"column {name} has times too far from 1970", cause=cause)
    if pa.types.is_date64(column.type):
        return UnsupportedType(
            f"column {name} has dates with a time of day",
            cause=cause,
            hint=f'cast it in the function: pl.col("{name}").dt.date()',
        )
    return InvalidTimes(
        f"column {name} has digits below a microsecond, which could leak the future",
        cause=f"{cause}{_sample(column)}",
        hint=f'cast it in the function: pl.col("{name}").dt.cast_time_unit("us")',
    )


def _sample(column: pa.ChunkedArray) -> str:
    """The first value that shows the problem."""
    if not (pa.types.is_timestamp(column.type) or pa.types.is_time64(column.type)):
        return ""
    ticks = pc.cast(column, pa.int64())
    whole = pc.multiply(pc.divide(ticks, 1000), 1000)
    row = pc.index(pc.not_equal(ticks, whole), True).as_py()
    return f"; row {row}: {pc.cast(column[row], pa.string())}" if row >= 0 else ""
