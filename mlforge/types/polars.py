"""Polars types: canonical types to and from Polars'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from mlforge.types.datatype import MOST_DIGITS, DataType, TypeKind
from mlforge.types.unsupported import unsupported

if TYPE_CHECKING:
    from polars.datatypes import DataTypeClass

    PolarsType: TypeAlias = pl.DataType | DataTypeClass

_TO_POLARS: Mapping[TypeKind, pl.DataType] = {
    TypeKind.BOOL: pl.Boolean(),
    TypeKind.INT8: pl.Int8(),
    TypeKind.INT16: pl.Int16(),
    TypeKind.INT32: pl.Int32(),
    TypeKind.INT64: pl.Int64(),
    TypeKind.UINT8: pl.UInt8(),
    TypeKind.UINT16: pl.UInt16(),
    TypeKind.UINT32: pl.UInt32(),
    TypeKind.UINT64: pl.UInt64(),
    TypeKind.FLOAT32: pl.Float32(),
    TypeKind.FLOAT64: pl.Float64(),
    TypeKind.STRING: pl.String(),
    TypeKind.BINARY: pl.Binary(),
    TypeKind.DATE: pl.Date(),
    TypeKind.TIME: pl.Time(),
    TypeKind.DURATION: pl.Duration("us"),
}
_FROM_POLARS = {dtype.base_type(): kind for kind, dtype in _TO_POLARS.items()}


def to_polars(type: DataType) -> pl.DataType:
    """The Polars type of a canonical type."""
    match type.kind:
        case TypeKind.DECIMAL:
            return pl.Decimal(type.precision, type.scale)
        case TypeKind.DATETIME:
            return pl.Datetime("us", "UTC" if type.is_utc else None)
        case TypeKind.LIST:
            return pl.List(to_polars(type.inner[0]))
        case TypeKind.FIXED_LIST:
            return pl.Array(to_polars(type.inner[0]), type.size)
        case TypeKind.STRUCT:
            return pl.Struct({name: to_polars(inner) for name, inner in type.fields})
        case kind:
            return _TO_POLARS[kind]


def from_polars(dtype: PolarsType, column: str | None = None) -> DataType:
    """The canonical type of a Polars type. Raises UnsupportedType, which names the column."""
    whole = dtype() if isinstance(dtype, type) else dtype
    if isinstance(whole, pl.Decimal):
        precision = whole.precision or MOST_DIGITS
        if precision <= MOST_DIGITS:
            return DataType(TypeKind.DECIMAL, precision, whole.scale)
    if isinstance(whole, pl.Datetime):
        is_utc = whole.time_zone is not None
        return DataType(TypeKind.DATETIME, is_utc=is_utc, origin=_instant(whole))
    if isinstance(whole, pl.Duration):
        origin = None if whole.time_unit == "us" else whole.time_unit
        return DataType(TypeKind.DURATION, origin=origin)
    if isinstance(whole, pl.Categorical | pl.Enum):
        return DataType(TypeKind.STRING, origin=type(whole).__name__.lower())
    kind = _FROM_POLARS.get(whole.base_type())
    return DataType(kind) if kind is not None else _nested(whole, column)


def _nested(dtype: pl.DataType, column: str | None) -> DataType:
    if isinstance(dtype, pl.List):
        return DataType(TypeKind.LIST, item=from_polars(dtype.inner, column))
    if isinstance(dtype, pl.Array):
        item = from_polars(dtype.inner, column)
        return DataType(TypeKind.FIXED_LIST, item=item, size=dtype.size)
    if isinstance(dtype, pl.Struct) and dtype.fields:
        fields = tuple((field.name, from_polars(field.dtype, column)) for field in dtype.fields)
        return DataType(TypeKind.STRUCT, fields=fields)
    if str(dtype) == "Float16":
        return DataType(TypeKind.FLOAT32, origin="float16")
    raise unsupported(str(dtype), column)


def _instant(dtype: pl.Datetime) -> str | None:
    """What is not in the canonical type: another unit, another zone."""
    unit = None if dtype.time_unit == "us" else dtype.time_unit
    zone = None if dtype.time_zone == "UTC" else dtype.time_zone
    return ", ".join(word for word in (unit, zone) if word) or None
