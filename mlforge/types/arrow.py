"""Arrow types: canonical types to and from Arrow's."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from mlforge.types.datatype import MOST_DIGITS, DataType, TypeKind
from mlforge.types.unsupported import unsupported

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
_FROM_ARROW = {arrow: DataType(kind) for kind, arrow in _TO_ARROW.items()} | {
    pa.string(): DataType(TypeKind.STRING),
    pa.string_view(): DataType(TypeKind.STRING),
    pa.binary(): DataType(TypeKind.BINARY),
    pa.binary_view(): DataType(TypeKind.BINARY),
}


def to_arrow(type: DataType) -> pa.DataType:
    """The one Arrow type that a canonical type is stored in."""
    match type.kind:
        case TypeKind.DECIMAL:
            return pa.decimal128(type.precision, type.scale)
        case TypeKind.DATETIME:
            return pa.timestamp("us", tz="UTC" if type.is_utc else None)
        case TypeKind.LIST:
            return pa.large_list(_item(type))
        case TypeKind.FIXED_LIST:
            return pa.list_(_item(type), type.size)
        case TypeKind.STRUCT:
            return pa.struct([pa.field(name, to_arrow(inner)) for name, inner in type.fields])
        case kind:
            return _TO_ARROW[kind]


def _item(type: DataType) -> pa.Field:
    return pa.field("item", to_arrow(type.inner[0]))


def scalar(type: pa.DataType, data: bytes) -> pa.Scalar:
    """The value of these bytes. Made of a Python value, it would import pandas where that is."""
    return pa.Array.from_buffers(type, 1, [None, pa.py_buffer(data)])[0]


def from_arrow(arrow: pa.DataType, column: str | None = None) -> DataType:
    """The canonical type of an Arrow type. Raises UnsupportedType, which names the column."""
    known = _FROM_ARROW.get(arrow)
    if known is not None:
        return known
    if pa.types.is_timestamp(arrow):
        return DataType(TypeKind.DATETIME, is_utc=arrow.tz is not None, origin=_instant(arrow))
    if pa.types.is_decimal(arrow) and 0 <= arrow.scale <= arrow.precision <= MOST_DIGITS:
        return DataType(TypeKind.DECIMAL, arrow.precision, arrow.scale)
    if pa.types.is_dictionary(arrow):
        return replace(from_arrow(arrow.value_type, column), origin="categorical")
    if pa.types.is_fixed_size_binary(arrow):
        return DataType(TypeKind.BINARY, origin=str(arrow))
    if pa.types.is_float16(arrow):
        return DataType(TypeKind.FLOAT32, origin="float16")
    if pa.types.is_date64(arrow):
        return DataType(TypeKind.DATE, origin="date64")
    if pa.types.is_time(arrow):
        return DataType(TypeKind.TIME, origin=str(arrow))
    if pa.types.is_duration(arrow):
        return DataType(TypeKind.DURATION, origin=str(arrow))
    return _nested(arrow, column)


def _nested(arrow: pa.DataType, column: str | None) -> DataType:
    if pa.types.is_fixed_size_list(arrow):
        item = from_arrow(arrow.value_type, column)
        return DataType(TypeKind.FIXED_LIST, item=item, size=arrow.list_size)
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return DataType(TypeKind.LIST, item=from_arrow(arrow.value_type, column))
    if pa.types.is_struct(arrow) and _has_distinct_fields(arrow):
        fields = tuple((field.name, from_arrow(field.type, column)) for field in arrow)
        return DataType(TypeKind.STRUCT, fields=fields)
    raise unsupported(str(arrow), column)


def _has_distinct_fields(arrow: pa.StructType) -> bool:
    names = [field.name for field in arrow]
    return 0 < len({*names}) == len(names)


def _instant(arrow: pa.TimestampType) -> str | None:
    """What is not in the canonical type: another unit, another zone."""
    unit = None if arrow.unit == "us" else arrow.unit
    zone = None if arrow.tz == "UTC" else arrow.tz
    return ", ".join(word for word in (unit, zone) if word) or None
