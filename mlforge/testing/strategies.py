"""Strategies: Hypothesis's features, events, spines and tables, with all that breaks arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import polars as pl
from hypothesis import strategies as st

from mlforge.definitions.feature import DateIs, Feature
from mlforge.definitions.rolling import Aggregation, Metric
from mlforge.definitions.source import Source
from mlforge.definitions.timezone import Ambiguous
from mlforge.definitions.validators import Validator
from mlforge.pit import PitRule
from mlforge.testing.clocks import end_until, offset_at
from mlforge.testing.oracle import Row, Value, with_other_future
from mlforge.times import Duration, bucket_origin, from_instant, to_instant

UTC = pl.Datetime("us", "UTC")
HOUR = 3_600_000_000
LOWEST, HIGHEST = -(2**63), 2**63 - 1

# An interval, and windows that are multiples of it.
INTERVALS: Mapping[str, Sequence[str]] = {
    "30s": ("30s", "1m", "15m"),
    "1h": ("1h", "2h", "3h", "1d"),
    "1d": ("1d", "2d", "7d"),
    "36h": ("36h", "72h"),
    "1w": ("1w", "2w", "4w"),
    "7d": ("7d", "14d"),
    "1mo": ("1mo", "2mo", "3mo"),
    "1y": ("1y", "2y"),
}
# Those that a feature with a time zone may have.
ZONED: Mapping[str, Sequence[str]] = {
    "30m": ("30m", "2h"),
    "1h": ("1h", "2h", "3h", "1d"),
    "6h": ("6h", "12h", "1d"),
    "1d": ("1d", "2d", "7d"),
    "2d": ("2d", "4d"),
    "1w": ("1w", "2w", "4w"),
    "1mo": ("1mo", "2mo", "3mo"),
    "3mo": ("3mo", "6mo"),
    "1y": ("1y", "2y"),
}

# Zones, and moments at which their clocks are changed: far back, before 1970, and far ahead too.
ZONES: Mapping[str, Sequence[datetime]] = {
    "Europe/Berlin": [
        datetime(2024, 3, 31, 1),
        datetime(2024, 10, 27, 1),
        datetime(1893, 3, 31, 23, 6, 32),
        datetime(1916, 4, 30, 22),
        datetime(2045, 3, 26, 1),
    ],
    "America/New_York": [
        datetime(2024, 3, 10, 7),
        datetime(2024, 11, 3, 6),
        datetime(1967, 4, 30, 7),
        datetime(1969, 12, 31, 23),
    ],
    # Half an hour.
    "Australia/Lord_Howe": [datetime(2024, 4, 6, 15), datetime(2024, 10, 5, 15, 30)],
    # Midnight is skipped, or comes twice.
    "America/Sao_Paulo": [datetime(2018, 11, 4, 3), datetime(2018, 2, 18, 2)],
    "America/Havana": [datetime(2024, 3, 10, 5), datetime(2024, 11, 3, 5)],
    # At 23:30, and at a minute past midnight.
    "America/Toronto": [datetime(1919, 3, 31, 4, 30)],
    "America/St_Johns": [datetime(2006, 10, 29, 2, 31), datetime(2006, 4, 2, 3, 31)],
    # A quarter of an hour, once; and a whole day that was left out.
    "Asia/Kathmandu": [datetime(1985, 12, 31, 18, 30)],
    "Pacific/Apia": [datetime(2011, 12, 30, 10)],
}
_NO_ZONE = (datetime(1970, 1, 1), datetime(2024, 2, 29), datetime(1900, 3, 1))

# Columns to aggregate, by what they hold.
COLUMNS: Mapping[str, pl.DataType] = {
    "float": pl.Float64(),
    "small": pl.Float32(),
    "whole": pl.Int64(),
    "tiny": pl.Int8(),
    "natural": pl.UInt64(),
    "flag": pl.Boolean(),
    "money": pl.Decimal(38, 2),
    "text": pl.String(),
    "day": pl.Date(),
}
SUMMABLE = ("float", "small", "whole", "tiny", "natural", "flag", "money")
_EVERYWHERE = (Aggregation.COUNT, Aggregation.MIN, Aggregation.MAX)

_TEXTS = ["", "a", "A", "ab", "é", "ß", "\uffff", "\U0001f600", "\0", "a\0"]
_DAYS = [date(1969, 12, 28), date(1970, 1, 1), date(1970, 1, 2), date(2024, 2, 29)]
# Keys of one type each: few, so that they meet, and in an order that bytes and letters disagree on.
_KEYS: Mapping[pl.DataType, Sequence[Value]] = {
    pl.Int64(): [LOWEST, -1, 0, HIGHEST],
    pl.String(): ["", "B", "a", "é", "\uffff", "\U0001f600"],
    pl.Boolean(): [False, True],
    pl.Date(): _DAYS,
    pl.Decimal(10, 2): [Decimal("-0.01"), Decimal("0.00"), Decimal("1.50")],
    UTC: [-HOUR, 0, 1],
}
_LIMITS: Mapping[pl.DataType, tuple[int, int]] = {
    pl.Int64(): (LOWEST, HIGHEST),
    pl.Int8(): (-128, 127),
    pl.UInt64(): (0, 2**64 - 1),
}
_FLOATS = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1.0, 2.0**60, 2.0**-126]
_DOUBLES = [
    1e16,
    5e-324,
    -5e-324,
    2.0**-1022,
    1e308,
    -1e308,
    1.7976931348623157e308,
    0.1,
    -(2.0**-537),
]


@dataclass(frozen=True, slots=True)
class History:
    """A feature and what its function returns, with the types of its columns.

    `anchor`: the instant around which its events lie.
    """

    feature: Feature
    output: list[Row]
    schema: Mapping[str, pl.DataType]
    anchor: int = 0


@dataclass(frozen=True, slots=True)
class Joining:
    """A spine, a table as a build leaves it (sorted, unique), and how they are joined."""

    spine: list[Row]
    table: list[Row]
    rule: PitRule
    schema: Mapping[str, pl.DataType]


@dataclass(frozen=True, slots=True)
class Futures:
    """Two outputs of a feature's function that differ only after the spine's time `s`."""

    feature: Feature
    schema: Mapping[str, pl.DataType]
    actual: list[Row]
    other: list[Row]
    spine: list[Row]

    def rule(self, horizon: int | None, max_age: int | None = None) -> PitRule:
        feature = self.feature
        return PitRule(
            keys=feature.keys,
            timestamp=feature.timestamp,
            max_age=max_age,
            interval=feature.interval,
            horizon=horizon,
            timezone=feature.timezone,
            created=feature.created,
        )


def columns(dtype: pl.DataType) -> st.SearchStrategy[st.SearchStrategy[Value]]:
    """A column is of one temper: tame values, so that sums fit, or all that the type can hold."""
    return st.sampled_from([_or_null(_tame(dtype)), _or_null(_wild(dtype))])


def _or_null(present: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    """Null now and then."""
    return st.integers(0, 5).flatmap(lambda roll: present if roll else st.none())


def _tame(dtype: pl.DataType) -> st.SearchStrategy[Value]:
    if dtype.is_integer():
        return st.integers(0 if dtype == pl.UInt64 else -100, 100)
    if dtype == pl.Float32:
        return st.floats(-100, 100, width=32)
    if dtype == pl.Float64:
        return st.integers(-(10**6), 10**6).map(lambda cents: cents / 100)
    if dtype.is_decimal():
        return st.integers(-(10**9), 10**9).map(_cents)
    return _wild(dtype)


def _wild(dtype: pl.DataType) -> st.SearchStrategy[Value]:
    if dtype.is_integer():
        low, high = _LIMITS[dtype]
        return st.sampled_from([low, high, 0, 1]) | st.integers(low, high)
    if dtype == pl.Float32:
        return st.sampled_from(_FLOATS) | st.floats(width=32)
    if dtype == pl.Float64:
        return st.sampled_from(_FLOATS + _DOUBLES) | st.floats()
    if dtype.is_decimal():
        return st.integers(-(10**38) + 1, 10**38 - 1).map(_cents)
    if dtype == pl.Boolean:
        return st.booleans()
    return st.sampled_from(_DAYS) if dtype == pl.Date else st.sampled_from(_TEXTS)


def _cents(count: int) -> Decimal:
    return Decimal((int(count < 0), tuple(map(int, str(abs(count)))), -2))


def identity(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The function of every drawn feature."""
    return frame


def make_feature(
    *,
    keys: Sequence[str] = ("k",),
    timestamp: str | None = "t",
    interval: str | None = None,
    metrics: Sequence[tuple[str, str, str]] = (),
    validators: Sequence[tuple[str, Validator]] = (),
    tiebreak: Sequence[str] = (),
    date_is: DateIs = "end",
    timezone: str | None = None,
    ambiguous: Ambiguous = "earliest",
    created: str | None = None,
) -> Feature:
    """A feature `f`; `metrics` are (column, aggregation, window)."""
    return Feature(
        name="f",
        function=identity,
        keys=tuple(keys),
        entities=(),
        surrogates=(),
        source=Source("events.parquet"),
        timestamp=timestamp,
        interval=None if interval is None else Duration.parse(interval),
        metrics=tuple(
            Metric(column, Aggregation(aggregation), Duration.parse(window))
            for column, aggregation, window in metrics
        ),
        validators=tuple(validators),
        description=None,
        owner=None,
        tags=(),
        max_age=None,
        date_is=date_is,
        tiebreak=tuple(tiebreak),
        file=__file__,
        line=1,
        timezone=timezone,
        ambiguous=ambiguous,
        created=created,
    )


@st.composite
def rolling_histories(draw: st.DrawFn) -> History:
    """Features with metrics, and events around the edges of their buckets."""
    place = draw(_places())
    intervals = ZONED if place.timezone else INTERVALS
    interval = draw(st.sampled_from(sorted(intervals)))
    asked = [(c, a) for c in SUMMABLE for a in Aggregation]
    asked += [(c, a) for c in sorted({*COLUMNS} - {*SUMMABLE}) for a in _EVERYWHERE]
    metrics = st.tuples(st.sampled_from(asked), st.sampled_from(intervals[interval]))
    chosen = draw(st.lists(metrics, min_size=1, max_size=6, unique=True))
    schema = {**draw(_key_types()), "t": draw(_time_types())}
    feature = make_feature(
        keys=[name for name in schema if name != "t"],
        interval=interval,
        metrics=[(column, aggregation, window) for (column, aggregation), window in chosen],
        date_is=draw(st.sampled_from(["end", "start"])),
        timezone=place.timezone,
    )
    values = {column: COLUMNS[column] for (column, _), _ in chosen}
    rows = draw(_rows(schema, values, _width(feature.interval), place))
    return History(feature, rows, {**schema, **values}, place.anchor)


@st.composite
def plain_histories(draw: st.DrawFn) -> History:
    """Features without metrics; their rows collide often."""
    place = draw(_places())
    keys = draw(_key_types())
    named = draw(st.sampled_from([(), _TIMES[:1], _TIMES]))
    times = {name: draw(_time_types()) for name in named}
    values: dict[str, pl.DataType] = {"float": pl.Float64(), "text": pl.String()}
    feature = make_feature(
        keys=list(keys),
        timestamp="t" if times else None,
        created="c" if "c" in times else None,
        tiebreak=draw(st.sampled_from([(), ("float",), ("text", "float")])),
        date_is=draw(st.sampled_from(["end", "start"])),
        timezone=place.timezone if times else None,
    )
    schema = {**keys, **times}
    rows = draw(_rows(schema, values, HOUR, place))
    return History(feature, rows, {**schema, **values}, place.anchor)


@st.composite
def joinings(draw: st.DrawFn) -> Joining:
    """Point-in-time joins: nulls, ties, gaps, duplicates, unsorted spines, the ends of int64."""
    types, place = draw(_key_types()), draw(_places())
    spellings = sorted(ZONED if place.timezone else INTERVALS)
    interval = draw(st.none() | st.sampled_from(spellings).map(Duration.parse))
    is_static = interval is None and draw(st.booleans())
    times = st.just(0) if is_static else _moments(interval, place)
    keys = st.tuples(*(st.sampled_from(_KEYS[dtype]) for dtype in types.values()))
    has_created = interval is None and not is_static and draw(st.booleans())
    created = times if has_created else st.just(0)
    # Sorted by keys, then times, each once: what a build leaves.
    known = sorted(draw(st.lists(st.tuples(keys, times, created), max_size=30, unique=True)))
    last = max((time for _, time, _ in known), default=0)
    rule = PitRule(
        keys=tuple(types),
        timestamp=None if is_static else "t",
        exact_matches=draw(st.booleans()),
        max_age=None if is_static else draw(st.none() | _AGES),
        interval=interval,
        horizon=None if interval is None else draw(_horizons(interval, place, last)),
        timezone=place.timezone,
        created="c" if has_created else None,
    )
    # Mostly rows of the table, and moments beside theirs; else anything, or nothing.
    few = st.tuples(*(st.none() | _few(dtype) for dtype in types.values()))
    asked = st.tuples(few, times, created)
    rows = st.sampled_from([*known, *known, None]).flatmap(
        lambda row: st.just(row) if row else asked
    )
    moments = rows.flatmap(
        lambda row: st.tuples(st.just(row[0]), st.sampled_from(row[1:]).flatmap(_near) | st.none())
    )
    spine = [(*key, time) for key, time in draw(st.lists(moments, max_size=30))]
    table: list[Row] = [
        {**dict(zip(types, key, strict=True)), "t": time, "c": visible}
        for key, time, visible in known
    ]
    return Joining(
        [dict(zip([*types, "s"], row, strict=True)) for row in spine], table, rule, types
    )


@st.composite
def futures(draw: st.DrawFn, histories: st.SearchStrategy[History]) -> Futures:
    """Histories with event times, each with another future after a moment.

    Both reach past the moment, by a last event that they share: beyond its horizon a feature is
    not known, so there a later horizon may well say more.
    """
    history = draw(histories.filter(lambda history: history.feature.timestamp is not None))
    feature, schema = history.feature, history.schema
    width = _width(feature.interval)
    moment = width * draw(st.integers(-3, 4)) + draw(st.sampled_from([0, 1, -1, width // 2]))
    place = Place(feature.timezone, history.anchor)
    now = place.anchor + moment
    order = {name: schema[name] for name in feature.order}
    values = {name: dtype for name, dtype in schema.items() if name not in order}
    future = draw(_rows(order, values, width, place))
    last: Row = dict.fromkeys(schema)
    last |= {name: _KEYS[schema[name]][0] for name in feature.keys}
    for name in feature.times:
        last[name] = _time(schema[name], place, place.anchor + _TEN_YEARS)
    seen = {tuple(row[key] for key in feature.keys): None for row in [*history.output, *future]}
    return Futures(
        feature,
        schema,
        [*history.output, last],
        [*with_other_future(feature, history.output, now, future), last],
        [{**dict(zip(feature.keys, key, strict=True)), "s": now} for key in seen],
    )


# The columns of a row's event time, and of when it became visible.
_TIMES = ("t", "c")
# After all that is drawn here.
_TEN_YEARS = 3652 * 24 * HOUR
_AGES = st.integers(0, 4) | st.sampled_from([HOUR, 23 * HOUR, 24 * HOUR, 240 * HOUR, HIGHEST])
_SLACK = st.sampled_from([0, HOUR, 48 * HOUR, 2400 * HOUR])


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a history happens: the zone of its feature, and an instant near its events."""

    timezone: str | None
    anchor: int


def _places() -> st.SearchStrategy[Place]:
    """As often in UTC around 1970 as in a zone whose clock is changed."""
    zoned = [Place(zone, to_instant(at)) for zone, moments in ZONES.items() for at in moments]
    return st.just(Place(None, 0)) | st.sampled_from(
        [*zoned, *(Place(None, to_instant(at)) for at in _NO_ZONE)]
    )


def _moments(interval: Duration | None, place: Place) -> st.SearchStrategy[int]:
    """Event times as a table has them: bucket ends, where there is an interval."""
    if interval is None:
        return st.integers(-6, 6) | st.sampled_from([LOWEST, LOWEST + 1, HIGHEST - 1, HIGHEST])
    width, count = _width(interval), st.integers(-6, 6)
    if place.timezone is None and not interval.months:
        count |= st.sampled_from([LOWEST // width + 2, HIGHEST // width - 2])
        return count.map(lambda n: bucket_origin(interval) + n * width)
    return count.map(lambda n: end_until(interval, place.timezone, place.anchor + n * width))


def _horizons(interval: Duration, place: Place, last: int) -> st.SearchStrategy[int]:
    """The last event time, or the end of a later bucket."""
    return _SLACK.map(lambda slack: end_until(interval, place.timezone, min(last + slack, HIGHEST)))


def _near(time: int) -> st.SearchStrategy[int]:
    step = st.integers(-1, 1) | st.sampled_from([-HOUR, HOUR, 24 * HOUR, 24 * 70 * HOUR])
    return step.map(lambda step: min(max(time + step, LOWEST), HIGHEST))


def _width(interval: Duration | None) -> int:
    """How long an interval is, of months about."""
    if interval is None:
        return HOUR
    return interval.microseconds or interval.months * 730 * HOUR


def _key_types() -> st.SearchStrategy[dict[str, pl.DataType]]:
    types = st.sampled_from(list(_KEYS))
    return st.lists(types, min_size=1, max_size=2).map(
        lambda chosen: {f"k{i}": dtype for i, dtype in enumerate(chosen)}
    )


def _rows(
    order: Mapping[str, pl.DataType], values: Mapping[str, pl.DataType], width: int, place: Place
) -> st.SearchStrategy[list[Row]]:
    """Rows in no order: keys and times that meet, nulls among them, and columns of one temper."""
    cells = {
        name: _or_null(_event_times(dtype, width, place) if name in _TIMES else _few(dtype))
        for name, dtype in order.items()
    }
    tempers = st.tuples(*(columns(dtype) for dtype in values.values()))
    rows = tempers.flatmap(lambda drawn: _sized(st.tuples(*cells.values(), *drawn)))
    names = [*cells, *values]
    return rows.map(lambda rows: [dict(zip(names, row, strict=True)) for row in rows])


def _sized(
    rows: st.SearchStrategy[tuple[Value, ...]],
) -> st.SearchStrategy[list[tuple[Value, ...]]]:
    """Lists that are as often long as short; left alone, Hypothesis draws about six."""
    sizes = st.sampled_from([0, 1, 3, 8, 20])
    return sizes.flatmap(lambda size: st.lists(rows, min_size=size, max_size=size))


def _few(dtype: pl.DataType) -> st.SearchStrategy[Value]:
    return st.sampled_from(_KEYS[dtype][:3])


def _event_times(dtype: pl.DataType, width: int, place: Place) -> st.SearchStrategy[Value]:
    if dtype == pl.Date:
        moments = st.integers(-12, 12).map(lambda days: days * 24 * HOUR)
    else:
        offset = st.sampled_from([0, 1, -1, width // 3, -3 * 24 * HOUR, -3 * 24 * HOUR - 1])
        moments = st.builds(lambda n, offset: n * width + offset, st.integers(-5, 5), offset)
    return moments.map(lambda moment: _time(dtype, place, place.anchor + moment))


def _time(dtype: pl.DataType, place: Place, instant: int) -> Value:
    """An instant as a column of this type has it, local times as the clock at the anchor goes."""
    if dtype == pl.Date:
        return from_instant(instant).date()
    if place.timezone is None or dtype == UTC:
        return instant
    return from_instant(instant + offset_at(place.anchor - 1, place.timezone)).replace(tzinfo=None)


def _time_types() -> st.SearchStrategy[pl.DataType]:
    return st.sampled_from([UTC, UTC, pl.Datetime("us"), pl.Date()])
