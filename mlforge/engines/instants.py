"""Instants: a function's times as microseconds UTC."""

from __future__ import annotations

import polars as pl

from mlforge.definitions.feature import Feature
from mlforge.engines.calendar import check_years, day_starts, to_utc
from mlforge.errors import InvalidTimes
from mlforge.times import DAY
from mlforge.types import DataType, TypeKind

# Microseconds a unit, for units above it.
_MILLISECOND = 1_000
# 146,000 years either way: bucket arithmetic stays in int64.
_FARTHEST = 1 << 62


def check_type(feature: Feature, name: str, dtype: pl.DataType) -> None:
    """Raise InvalidTimes unless one of the feature's times is a time."""
    if isinstance(dtype, pl.Datetime | pl.Date):
        return
    column, hint = f'pl.col("{name}")', None
    if dtype == pl.String:
        hint = f"parse it in the function: {column}.str.to_datetime()"
    elif dtype.is_integer():
        hint = f'convert it in the function: pl.from_epoch({column}, time_unit="s")'
    raise InvalidTimes(
        f"{feature.name}: {_role(feature, name)} {name} is {dtype}, not a time", hint=hint
    )


def _role(feature: Feature, name: str) -> str:
    return "the column that created= gives," if name == feature.created else "the timestamp"


def time_type(feature: Feature, dtype: pl.DataType) -> DataType:
    """The canonical type of a time: in UTC if it or the feature has a zone, else naive."""
    is_aware = getattr(dtype, "time_zone", None) is not None
    return DataType(TypeKind.DATETIME, is_utc=is_aware or feature.timezone is not None)


def instants(feature: Feature, times: pl.Series) -> pl.Series:
    """Times without nulls as int64; naive ones are of the feature's zone, else UTC.

    A Date is known when the day is over: the next midnight. Under metrics it is the day's last
    microsecond: its bucket's end, which is the row's time, is then never before the day's end and
    never a bucket later. Raises InvalidTimes.
    """
    is_date = times.dtype == pl.Date
    result = _days(feature, times) if is_date else _microseconds(feature, times)
    is_local = not is_date and getattr(times.dtype, "time_zone", None) is None
    if is_local and feature.timezone is not None:
        is_earliest, what = feature.ambiguous == "earliest", f"{feature.name}: {times.name}"
        utc = to_utc(result.to_numpy(), feature.timezone, is_earliest=is_earliest, what=what)
        result = pl.Series(times.name, utc)
    _check_range(feature, result, _FARTHEST)
    return result


def _microseconds(feature: Feature, times: pl.Series) -> pl.Series:
    units = times.to_physical().cast(pl.Int64)
    match times.dtype:
        case pl.Datetime(time_unit="ns"):
            if (units % 1_000 != 0).any():
                raise _too_fine(feature, times.filter(units % 1_000 != 0)[:1])
            return units // 1_000
        case pl.Datetime(time_unit="ms"):
            _check_range(feature, units, _FARTHEST // _MILLISECOND)
            return units * _MILLISECOND
        case _:
            return units


def _days(feature: Feature, times: pl.Series) -> pl.Series:
    """The day's first instant, or where the next day begins, under metrics just before that."""
    days = times.to_physical().cast(pl.Int64)
    _check_range(feature, days, _FARTHEST // DAY - 1)
    # "Valid from" is said of the event: when in the day a row became visible, a date leaves open.
    is_end = feature.date_is == "end" or times.name == feature.created
    if is_end:
        days += 1
    begins = days * DAY
    if feature.timezone is not None:
        check_years(begins.to_numpy(), f"{feature.name}: {times.name}")
        begins = pl.Series(times.name, day_starts(days.to_numpy(), feature.timezone))
    return begins - 1 if is_end and feature.metrics else begins


def _check_range(feature: Feature, values: pl.Series, farthest: int) -> None:
    if len(values) and not values.is_between(-farthest, farthest).all():
        raise InvalidTimes(f"{feature.name}: {values.name} has times beyond 146,000 years")


def _too_fine(feature: Feature, first: pl.Series) -> InvalidTimes:
    value = first.cast(pl.String).item()
    return InvalidTimes(
        f"{feature.name}: {first.name} has digits below a microsecond",
        cause=f"{value} does; rounding a time can leak the future",
        hint=f'cut them in the function: pl.col("{first.name}").dt.cast_time_unit("us")',
    )
