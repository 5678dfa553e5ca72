"""Spine: a spine's keys as a feature has them, and its times as instants; nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from mlforge.engines.calendar import check_years, day_starts, to_utc
from mlforge.errors import (
    InvalidSpine,
    InvalidTimes,
    KeyTypeMismatch,
    UnsupportedType,
    did_you_mean,
)
from mlforge.times import DAY
from mlforge.types.arrow import from_arrow

_TIMES = (pl.Datetime, pl.Date, pl.Null)


def cast_keys(
    spine: pl.DataFrame, types: Mapping[str, pl.DataType], on: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """The table's keys, of the types that `types` gives by name, as the spine has them.

    `on`: by key the spine's column, where it is called otherwise. Only casts that lose nothing:
    integers of any width, decimals and instants whose values all fit, categorical to string.
    Raises InvalidSpine and KeyTypeMismatch, which list every column.
    """
    columns = {name: (on or {}).get(name, name) for name in types}
    absent = [column for column in columns.values() if column not in spine.columns]
    if absent:
        raise InvalidSpine(
            f"the spine has no column {', '.join(absent)}",
            hint=did_you_mean(absent[0], spine.columns),
        )
    casts = {name: _cast(spine[columns[name]], dtype) for name, dtype in types.items()}
    wrong = [name for name, cast in casts.items() if cast is None]
    if wrong:
        first, dtype = columns[wrong[0]], types[wrong[0]]
        raise KeyTypeMismatch(
            "\n".join(_mismatch(spine[columns[name]], types[name]) for name in wrong),
            hint=f"make {first} {_name(first, dtype)} first",
        )
    return pl.DataFrame([cast.alias(name) for name, cast in casts.items() if cast is not None])


def time_columns(spine: pl.DataFrame) -> list[str]:
    """The columns that can be a spine's time as they are."""
    return [name for name, dtype in spine.schema.items() if dtype in (pl.Datetime, pl.Date)]


def spine_instants(
    spine: pl.DataFrame, timestamp: str, timezone: str | None = None, *, is_earliest: bool = False
) -> pl.Series:
    """The spine's times as UTC microseconds: a date is the day's beginning, in the zone.

    `timezone`: whose local times naive ones are, None for UTC; `is_earliest`: of those that come
    twice or never the earliest instant is taken. Raises InvalidSpine, and InvalidTimes where a
    time has digits below a microsecond, or is no one instant.
    """
    if timestamp not in spine.columns:
        raise InvalidSpine(
            f"the spine has no column {timestamp}", hint=did_you_mean(timestamp, spine.columns)
        )
    times = spine[timestamp]
    if times.dtype not in _TIMES:
        raise InvalidSpine(
            f"{timestamp} has the type {_name(timestamp, times.dtype)}, which is not a time",
            hint=_time_hint(times, time_columns(spine)),
        )
    utc = _as_utc(times)
    instants = utc.cast(pl.Datetime("us"), strict=False)
    if _loses(utc, instants):
        raise InvalidTimes(
            f"{timestamp} has times that are not whole microseconds, or out of range",
            cause="rounding a time can show a row the future",
            hint=f'cut them yourself: pl.col("{timestamp}").dt.cast_time_unit("us")',
        )
    if timezone is not None and getattr(times.dtype, "time_zone", None) is None:
        instants = _of_zone(instants, times.dtype == pl.Date, timezone, is_earliest)
    return instants.dt.replace_time_zone("UTC")


def _cast(keys: pl.Series, dtype: pl.DataType) -> pl.Series | None:
    """The keys in the type, or None when that loses or means something else."""
    if keys.dtype == dtype:
        return keys
    if not _is_kin(keys.dtype, dtype):
        return None
    cast = keys.cast(dtype, strict=False)
    return None if _loses(keys, cast) else cast


def _is_kin(spine: pl.DataType, table: pl.DataType) -> bool:
    """Whether two types hold the same kind of thing."""
    if isinstance(spine, pl.Datetime) and isinstance(table, pl.Datetime):
        return (spine.time_zone is None) == (table.time_zone is None)
    return (
        spine == pl.Null
        or (spine.is_integer() and table.is_integer())
        or (spine.is_decimal() and table.is_decimal())
        or (spine in (pl.Categorical, pl.Enum) and table == pl.String)
    )


def _loses(before: pl.Series, after: pl.Series) -> bool:
    return bool(_lost(before, after).any())


def _lost(before: pl.Series, after: pl.Series) -> pl.Series:
    """Where a cast made another value; it wraps and cuts in silence, so cast back and compare."""
    back = after.cast(before.dtype, strict=False)
    return before.is_not_null() & (after.is_null() | before.ne_missing(back))


def _mismatch(keys: pl.Series, dtype: pl.DataType) -> str:
    """What is wrong with a key column, with a value that shows it."""
    bad = keys.is_not_null()
    if _is_kin(keys.dtype, dtype):
        bad = _lost(keys, keys.cast(dtype, strict=False))
    samples = keys.filter(bad).head(1).to_list()
    sample = f" (for example {samples[0]!r})" if samples else ""
    spine, table = _name(keys.name, keys.dtype), _name(keys.name, dtype)
    return f"{keys.name} is {spine} in the spine and {table} in the feature{sample}"


def _name(column: str, dtype: pl.DataType) -> str:
    """The type in mlforge's words, or in Polars' where it has none."""
    try:
        return str(from_arrow(pl.Series(column, [], dtype).to_arrow().type, column))
    except UnsupportedType:
        return str(dtype)


def _as_utc(times: pl.Series) -> pl.Series:
    """Times as UTC has them, in their own unit, without a zone."""
    if isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone is not None:
        return times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return times


def _of_zone(times: pl.Series, is_date: bool, timezone: str, is_earliest: bool) -> pl.Series:
    """Local times of a zone as UTC has them; of dates, the first instants of the days."""
    known = times.drop_nulls()
    local = known.to_physical().to_numpy()
    if is_date:
        check_years(local, times.name)
        utc = day_starts(local // DAY, timezone)
    else:
        utc = to_utc(local, timezone, is_earliest=is_earliest, what=times.name)
    rows = times.is_not_null().arg_true()
    return times.to_physical().scatter(rows, pl.Series(utc)).cast(times.dtype)


def _time_hint(times: pl.Series, others: list[str]) -> str:
    column = f'pl.col("{times.name}")'
    if times.dtype == pl.String:
        return f"parse it: {column}.str.to_datetime()"
    if times.dtype.is_integer():
        return f'say its unit: pl.from_epoch("{times.name}", time_unit="s")'
    if others:
        return f"name a column that is a time: {', '.join(others)}"
    return "add a column of times to the spine: it has none"
