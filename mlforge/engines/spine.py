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


class KeyCasts:
    """Casts of a spine's keys to a table's types, block by block; what does not fit is told once.

    `types`: of the table's keys, by name. `on`: by key the spine's column, where it is called
    otherwise. `rows`: what the spine is called. Only casts that lose nothing: integers of any
    width, decimals and instants whose values all fit, categorical to string.
    """

    def __init__(
        self,
        types: Mapping[str, pl.DataType],
        on: Mapping[str, str] | None = None,
        *,
        rows: str = "spine",
    ) -> None:
        self._types, self._rows = types, rows
        self._columns = {name: (on or {}).get(name, name) for name in types}
        # By key, of what does not fit, the column with the first value that shows it.
        self._wrong: dict[str, pl.Series] = {}

    def of(self, spine: pl.DataFrame) -> pl.DataFrame | None:
        """The keys as the table has them; None once there is one that does not fit.

        Raises InvalidSpine, which lists every column that is not there.
        """
        absent = [column for column in self._columns.values() if column not in spine.columns]
        if absent:
            raise InvalidSpine(
                f"the spine has no column {', '.join(absent)}",
                hint=did_you_mean(absent[0], spine.columns),
            )
        casts = list[pl.Series]()
        for name, dtype in self._types.items():
            keys = spine[self._columns[name]]
            cast = _cast(keys, dtype)
            if cast is not None:
                casts.append(cast.alias(name))
            elif not len(self._wrong.get(name, ())):
                self._wrong[name] = keys.filter(_misfits(keys, dtype)).head(1)
        return None if self._wrong else pl.DataFrame(casts)

    def check(self) -> None:
        """Raises KeyTypeMismatch, which lists every column."""
        wrong = [name for name in self._types if name in self._wrong]
        if wrong:
            first, dtype = self._columns[wrong[0]], self._types[wrong[0]]
            raise KeyTypeMismatch(
                "\n".join(self._mismatch(name) for name in wrong),
                hint=f"make {first} {_name(first, dtype)} first",
            )

    def _mismatch(self, key: str) -> str:
        """What is wrong with a key column, with a value that shows it, if there is one."""
        shown, dtype = self._wrong[key], self._types[key]
        sample = f" (for example {shown[0]!r})" if len(shown) else ""
        spine, table = _name(shown.name, shown.dtype), _name(shown.name, dtype)
        return f"{shown.name} is {spine} in the {self._rows} and {table} in the feature{sample}"


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


def _misfits(keys: pl.Series, dtype: pl.DataType) -> pl.Series:
    if _is_kin(keys.dtype, dtype):
        return _lost(keys, keys.cast(dtype, strict=False))
    return keys.is_not_null()


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
