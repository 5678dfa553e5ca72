"""Join: the point-in-time match that all engines share, over tables sorted by keys and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from mlforge.engines.calendar import calendar_of, check_years, day_starts, to_utc
from mlforge.engines.visibility import visibility_of
from mlforge.errors import (
    InvalidSpine,
    InvalidTimes,
    KeyTypeMismatch,
    UnsupportedType,
    did_you_mean,
)
from mlforge.pit import PitRule
from mlforge.times import DAY
from mlforge.types.arrow import from_arrow

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

_TIMES = (pl.Datetime, pl.Date, pl.Null)
_LAST = np.iinfo(np.int64).max
# No column can be called this: names have no spaces.
_CODE = "key code"
# Rows that are searched together: their scratch arrays stay in the cache.
_BLOCK = 16_384
# A key with more rows than this is searched alone: few can exist, and halving costs by the longest.
_LONG = 4_096


@dataclass(frozen=True, slots=True)
class Matches:
    """For each spine row, in the spine's order, the row of the table that it sees.

    `rows`: an index into the table, -1 for none. `ages`: microseconds, at most 2**63 - 1; 0 where
    there is no row and for static features. `past_horizon`: matched rows whose spine time lies
    after the horizon; `furthest`: by how much, at most. `too_old`: rows that `max_age` took away.
    """

    rows: Int64s
    ages: Int64s
    past_horizon: int = 0
    furthest: int = 0
    too_old: int = 0


def pit_match(
    spine: pl.DataFrame, table: pl.DataFrame, rule: PitRule, spine_time: str | None
) -> Matches:
    """Find for each spine row the last table row known at its time.

    `spine`: from `cast_keys` and `spine_instants`. `table`: sorted by (keys, timestamp, created)
    and unique in them, which every build is. Rule: docs/semantics.md#point-in-time-join.
    """
    starts = _starts(table, rule.keys)
    codes = _codes(spine, table, rule.keys, starts)
    rows = np.full(len(codes), -1, np.int64)
    if rule.timestamp is None:
        rows[codes >= 0] = starts[codes[codes >= 0]]
        return Matches(rows, np.zeros_like(rows))
    if spine_time is None:
        raise InvalidSpine("features with an event time need a time column in the spine")
    seen, times = _instants(spine[spine_time]), _instants(table[rule.timestamp])
    asking = np.flatnonzero((codes >= 0) & spine[spine_time].is_not_null().to_numpy())
    bounds, asked, wanted = np.append(starts, table.height), codes[asking], seen[asking]
    if rule.created is None:
        rows[asking] = _search(times, bounds, asked, wanted, rule.exact_matches)
    else:
        created = _instants(table[rule.created])
        visible = visibility_of(times, created, bounds, rule.exact_matches)
        found = _search(visible.moments, bounds, asked, wanted, is_exact=True)
        rows[asking] = visible.last_rows(found, bounds[asked])
    return _aged(rows, seen, times, rule)


def take(values: pl.DataFrame, matches: Matches) -> pl.DataFrame:
    """The matched rows of a table's columns, in the spine's order; nulls where there is none."""
    index = pl.Series(matches.rows)
    return values.select(pl.all().gather(index.set(index < 0, None)))


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


# -- matching ---------------------------------------------------------------------------------


def _starts(table: pl.DataFrame, keys: tuple[str, ...]) -> Int64s:
    """Where each key's rows begin."""
    is_first = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift()) for key in keys)
    return table.select(is_first.arg_true().cast(pl.Int64)).to_series().to_numpy()


def _codes(
    spine: pl.DataFrame, table: pl.DataFrame, keys: tuple[str, ...], starts: Int64s
) -> Int64s:
    """For each spine row the number of its key in the table, -1 for none and for a null."""
    known = table.select(keys)[starts].with_columns(pl.Series(_CODE, np.arange(len(starts))))
    joined = spine.select(keys).join(known, on=keys, how="left", maintain_order="left")
    return joined[_CODE].fill_null(-1).to_numpy()


def _instants(times: pl.Series) -> Int64s:
    """Microseconds; 0 for null, which no caller reads."""
    return times.to_physical().fill_null(0).to_numpy()


def _search(times: Int64s, bounds: Int64s, codes: Int64s, wanted: Int64s, is_exact: bool) -> Int64s:
    """The last row of each code whose time is at most what is wanted, or less than it; -1 for none.

    A code's rows are `bounds[code]` to `bounds[code + 1]`. The times themselves are compared:
    a composite of key and time would be as fast, and could overflow.
    """
    begins, ends = bounds[codes], bounds[codes + 1]
    is_long = ends - begins > _LONG
    short = np.flatnonzero(~is_long)
    blocks = np.split(short, range(_BLOCK, len(short), _BLOCK))
    parts = [*blocks, *_groups(np.flatnonzero(is_long), codes)]

    def find(rows: Int64s) -> Int64s:
        look = _bisect if is_long[rows[:1]].any() else _stride
        return look(times, begins[rows], ends[rows], wanted[rows], is_exact)

    last = np.empty_like(begins)
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        for rows, found in zip(parts, pool.map(find, parts), strict=True):
            last[rows] = found
    return np.where(last >= begins, last, -1)


def _bisect(times: Int64s, begins: Int64s, ends: Int64s, wanted: Int64s, is_exact: bool) -> Int64s:
    """The last known row of one range, which all have, or the one before it."""
    order = np.argsort(wanted)
    last = np.empty_like(wanted)
    side: Literal["left", "right"] = "right" if is_exact else "left"
    own = times[begins[0] : ends[0]]
    last[order] = begins[0] + np.searchsorted(own, wanted[order], side=side) - 1
    return last


def _stride(times: Int64s, begins: Int64s, ends: Int64s, wanted: Int64s, is_exact: bool) -> Int64s:
    """The last known row of each range, or the one before it: halving strides, in all at once."""
    is_known = np.less_equal if is_exact else np.less
    last = begins - 1
    for bit in reversed(range(int((ends - begins).max(initial=0)).bit_length())):
        reach = last + (1 << bit)
        # Beyond its range, a row reads another key's time, or the table's last: never taken.
        known = is_known(times.take(reach, mode="clip"), wanted) & (reach < ends)
        last = np.where(known, reach, last)
    return last


def _groups(rows: Int64s, codes: Int64s) -> Iterator[Int64s]:
    """The rows of each code, together."""
    if len(rows):
        ordered = rows[np.argsort(codes[rows])]
        yield from np.split(ordered, np.flatnonzero(np.diff(codes[ordered])) + 1)


def _aged(rows: Int64s, seen: Int64s, times: Int64s, rule: PitRule) -> Matches:
    """The matches that `max_age` leaves. Ages are computed for all rows, and kept for some."""
    found = rows >= 0
    if not found.any():
        return Matches(rows, np.zeros_like(rows))
    horizon = np.int64(_LAST if rule.horizon is None else rule.horizon)
    late = np.where(seen > horizon, _since(seen, horizon), np.uint64(0))
    if rule.interval is None:
        age = _since(seen, times[rows])
    else:
        age = _bucket_age(seen, found, times[rows[found]], rule)
    keeps = found if rule.max_age is None else found & (age <= rule.max_age)
    late = np.where(keeps, late, np.uint64(0))
    return Matches(
        rows=np.where(keeps, rows, -1),
        ages=np.where(keeps, np.minimum(age, _LAST), 0).astype(np.int64),
        past_horizon=int(np.count_nonzero(late)),
        furthest=int(late.max()),
        too_old=int(np.count_nonzero(found & ~keeps)),
    )


def _bucket_age(seen: Int64s, found: Flags, times: Int64s, rule: PitRule) -> UInt64s:
    """The time since the latest bucket end that is seen, or since the horizon, which is one too.

    `times`: those of the rows that are found, which are bucket ends.
    """
    assert rule.interval is not None
    first = int(times.min())
    last = int(seen[found].max()) if rule.horizon is None else rule.horizon
    calendar = calendar_of(rule.interval, rule.timezone, first, last)
    latest = np.clip(seen if rule.exact_matches else seen - 1, first, last)
    return _since(seen, calendar.starts(calendar.buckets(latest)))


def _since(later: Int64s, earlier: Int64s | np.int64) -> UInt64s:
    """later - earlier, for later >= earlier: the wrapped difference is the true one, unsigned."""
    return np.subtract(later, earlier).view(np.uint64)


# -- the spine --------------------------------------------------------------------------------


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
