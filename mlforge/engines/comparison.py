"""Comparison: a Polars column against a Python value, exactly and without Polars' casts."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TypeAlias

import polars as pl

from mlforge.definitions.validators import Operator, Scalar

Number: TypeAlias = bool | int | float | Decimal

_RANGES = {
    pl.UInt8: (0, (1 << 8) - 1),
    pl.UInt16: (0, (1 << 16) - 1),
    pl.UInt32: (0, (1 << 32) - 1),
    pl.UInt64: (0, (1 << 64) - 1),
    pl.Int8: (-(1 << 7), (1 << 7) - 1),
    pl.Int16: (-(1 << 15), (1 << 15) - 1),
    pl.Int32: (-(1 << 31), (1 << 31) - 1),
    pl.Int64: (-(1 << 63), (1 << 63) - 1),
    pl.Boolean: (0, 1),
}
_PRECISE = Context(prec=800)


def comparable(dtype: pl.DataType, bound: Scalar) -> bool:
    """Whether values of this type have an order with the bound."""
    if isinstance(bound, str):
        return is_text(dtype)
    if isinstance(bound, datetime):
        return isinstance(dtype, pl.Datetime)
    if isinstance(bound, date):
        return dtype == pl.Date
    return dtype.is_numeric() or dtype == pl.Boolean


def is_text(dtype: pl.DataType) -> bool:
    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def holds(name: str, dtype: pl.DataType, operator: Operator, bound: Scalar) -> pl.Expr:
    """Whether a value stands so to the bound; null for null, false for NaN."""
    column = _column(name, dtype)
    if not isinstance(bound, bool | int | float | Decimal):
        return _compared(column, operator, pl.lit(_instant(bound)))
    if math.isnan(bound):
        return _never(column)
    below, above = _neighbours(dtype, bound)
    nearest = below if operator in (Operator.GREATER, Operator.LESS_EQUAL) else above
    if not _can_hold(dtype, nearest):
        # Beyond all values of the type: an infinity stands to them as the bound does.
        column, nearest = column.cast(pl.Float64), math.inf if bound > 0 else -math.inf
    result = _compared(column, operator, pl.lit(nearest))
    # Polars takes NaN for the greatest number; here it fails every comparison.
    return result & column.is_not_nan() if dtype.is_float() else result


def equals(name: str, dtype: pl.DataType, value: Scalar) -> pl.Expr:
    """Whether a value equals this one; null for null, false for NaN."""
    column = _column(name, dtype)
    if not isinstance(value, bool | int | float | Decimal):
        return column == pl.lit(_instant(value))
    if math.isnan(value):
        return _never(column)
    below, above = _neighbours(dtype, value)
    is_possible = below == above and _can_hold(dtype, below)
    return column == pl.lit(below) if is_possible else _never(column)


def _column(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        aware = column if dtype.time_zone else column.dt.replace_time_zone("UTC")
        return aware.dt.convert_time_zone("UTC")
    if dtype.is_float():
        return column.cast(pl.Float64)
    if dtype == pl.Boolean:
        return column.cast(pl.UInt8)
    return column.cast(pl.String) if is_text(dtype) else column


def _compared(column: pl.Expr, operator: Operator, limit: pl.Expr) -> pl.Expr:
    match operator:
        case Operator.GREATER:
            return column > limit
        case Operator.GREATER_EQUAL:
            return column >= limit
        case Operator.LESS:
            return column < limit
        case Operator.LESS_EQUAL:
            return column <= limit


def _never(column: pl.Expr) -> pl.Expr:
    return pl.when(column.is_not_null()).then(pl.lit(False))


def _instant(bound: str | date | datetime) -> str | date | datetime:
    if isinstance(bound, datetime):
        return bound.astimezone(UTC) if bound.tzinfo else bound.replace(tzinfo=UTC)
    return bound


def _neighbours(dtype: pl.DataType, bound: Number) -> tuple[Number, Number]:
    """The greatest number of the column's kind not above the bound, and the least not below.

    Comparing with these is comparing with the bound, and Polars need not round it.
    """
    if dtype.is_float():
        near = _float(bound)
        below = near if near <= bound else math.nextafter(near, -math.inf)
        return below, near if near >= bound else math.nextafter(near, math.inf)
    if isinstance(bound, float) and math.isinf(bound):
        return bound, bound
    if not isinstance(dtype, pl.Decimal):
        return math.floor(bound), math.ceil(bound)
    # 0.1 means a tenth here, not the float nearest to it.
    exact = Decimal(repr(bound)) if isinstance(bound, float) else Decimal(bound)
    unit = Decimal(1).scaleb(-dtype.scale)
    floor = exact.quantize(unit, ROUND_FLOOR, _PRECISE)
    return floor, exact.quantize(unit, ROUND_CEILING, _PRECISE)


def _float(bound: Number) -> float:
    try:
        return float(bound)
    except OverflowError:
        return math.inf if bound > 0 else -math.inf


def _can_hold(dtype: pl.DataType, number: Number) -> bool:
    if dtype.is_float():
        return True
    if math.isinf(number):
        return False
    if isinstance(dtype, pl.Decimal):
        return bool(abs(number) < 10 ** ((dtype.precision or 38) - dtype.scale))
    least, greatest = _RANGES.get(dtype.base_type(), (-(1 << 127), (1 << 127) - 1))
    return least <= number <= greatest
