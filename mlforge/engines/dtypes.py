"""Dtypes: canonical types to and from Polars."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from mlforge.errors import UnsupportedType
from mlforge.types import DataType, TypeKind

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
_FROM_POLARS = {dtype.base_type(): kind for kind, dtype in _TO_POLARS.items()} | {
    pl.Categorical: TypeKind.STRING,
    pl.Enum: TypeKind.STRING,
}


def to_polars(type: DataType) -> pl.DataType:
    """The Polars type of a canonical type."""
    if type.kind is TypeKind.DECIMAL:
        return pl.Decimal(type.precision, type.scale)
    if type.kind is TypeKind.DATETIME:
        return pl.Datetime("us", "UTC" if type.is_utc else None)
    return _TO_POLARS[type.kind]


def from_polars(dtype: pl.DataType, column: str) -> DataType:
    """The canonical type of a Polars type. Raises UnsupportedType, which names the column."""
    if isinstance(dtype, pl.Decimal):
        return DataType(TypeKind.DECIMAL, dtype.precision or 38, dtype.scale)
    if isinstance(dtype, pl.Datetime):
        return DataType(TypeKind.DATETIME, is_utc=dtype.time_zone is not None)
    kind = _FROM_POLARS.get(dtype.base_type())
    if kind is None:
        raise UnsupportedType(
            f"column {column} has the type {dtype}, which is not built yet",
            hint=f"cast {column} in the function, or drop it",
        )
    return DataType(kind)
