"""The calendar: against the oracle, by hand, in every zone, and what it refuses."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.engines.calendar import Calendar, calendar_of, day_starts, to_utc
from mlforge.engines.instants import instants
from mlforge.engines.polars import PolarsEngine
from mlforge.errors import InvalidTimes
from mlforge.testing import oracle
from mlforge.testing.clocks import DAY, end_after, end_until
from mlforge.testing.engines import _check as check
from mlforge.testing.engines import _run as run
from mlforge.testing.oracle import Row, rows_of
from mlforge.testing.strategies import UTC, ZONED, ZONES, History, make_feature
from mlforge.times import Duration, from_instant, to_instant
from mlforge.zones import FIRST, LAST

BERLIN = "Europe/Berlin"
FAR = [to_instant(datetime(year, 3, 31, 1)) for year in (1700, 1893, 1950, 2024, 2090)]


def around(interval: str, timezone: str | None, *moments: int) -> Calendar:
    return calendar_of(Duration.parse(interval), timezone, min(moments), max(moments))


def at(text: str) -> int:
    return to_instant(datetime.fromisoformat(text))


def lengths(interval: str, timezone: str | None, first: str, last: str) -> list[int]:
    """Of the buckets from one start to another, in hours."""
    calendar = around(interval, timezone, at(first), at(last))
    low, high = calendar.buckets(np.array([at(first), at(last)]))
    starts = calendar.starts(np.arange(low, high + 1))
    return [int(hours) for hours in np.diff(starts) // (DAY // 24)]


def test_days_in_berlin_have_23_24_or_25_hours() -> None:
    assert lengths("1d", BERLIN, "2024-03-29 23:00", "2024-04-01 22:00") == [24, 23, 24]
    assert lengths("1d", BERLIN, "2024-10-25 22:00", "2024-10-28 23:00") == [24, 25, 24]


def test_quarters_of_a_day_that_is_longer() -> None:
    assert lengths("6h", BERLIN, "2024-10-26 22:00", "2024-10-27 23:00") == [7, 6, 6, 6]
    assert lengths("6h", BERLIN, "2024-03-30 23:00", "2024-03-31 22:00") == [5, 6, 6, 6]


def test_hours_of_a_day_that_is_longer() -> None:
    assert lengths("1h", BERLIN, "2024-10-26 22:00", "2024-10-27 23:00") == [1] * 25


def test_a_day_whose_midnight_is_skipped() -> None:
    assert lengths("1d", "America/Sao_Paulo", "2018-11-03 03:00", "2018-11-05 02:00") == [24, 23]
    assert lengths("6h", "America/Sao_Paulo", "2018-11-04 03:00", "2018-11-05 02:00") == [
        *[5, 6, 6, 6]
    ]


def test_months_have_as_many_days_as_they_have() -> None:
    days = [hours / 24 for hours in lengths("1mo", None, "2023-12-01", "2024-04-01")]
    assert days == [31, 31, 29, 31]


@given(
    zone=st.sampled_from([None, *ZONES]),
    interval=st.sampled_from(sorted(ZONED)),
    anchor=st.sampled_from(FAR + [to_instant(at) for moments in ZONES.values() for at in moments]),
    moves=st.lists(st.integers(-3 * DAY, 3 * DAY) | st.just(0), min_size=1, max_size=8),
)
@settings(max_examples=400, deadline=None)
def test_buckets_are_the_oracles(
    zone: str | None, interval: str, anchor: int, moves: list[int]
) -> None:
    moments = np.array([anchor + move for move in moves])
    calendar = around(interval, zone, *moments.tolist())
    buckets = calendar.buckets(moments)
    duration = Duration.parse(interval)
    starts = [end_until(duration, zone, int(moment)) for moment in moments]
    ends = [end_after(duration, zone, int(moment)) for moment in moments]
    assert calendar.starts(buckets).tolist() == starts
    assert calendar.starts(buckets + 1).tolist() == ends
    assert np.array_equal(calendar.buckets(calendar.starts(buckets)), buckets)


@pytest.mark.parametrize("interval", ["1h", "6h", "1d", "1w", "1mo", "1y"])
@pytest.mark.parametrize("zone", [BERLIN, "America/Sao_Paulo", "Pacific/Apia"])
def test_numbers_do_not_depend_on_what_the_calendar_was_made_for(interval: str, zone: str) -> None:
    moments = np.array([at("2011-12-30 09:00"), at("2018-02-18 02:30")])
    narrow, wide = (around(interval, zone, *m) for m in (moments.tolist(), [*FAR, *moments]))
    assert np.array_equal(narrow.buckets(moments), wide.buckets(moments))
    assert wide.buckets(np.array([0])).tolist() == [0]


@pytest.mark.parametrize("zone", sorted(ZONES))
def test_every_local_time_is_an_instant_or_doubtful(zone: str) -> None:
    for moment in map(to_instant, ZONES[zone]):
        local = np.arange(moment - DAY, moment + DAY, DAY // 96)
        earliest = to_utc(local, zone, is_earliest=True, what="t")
        feature = make_feature(timezone=zone)
        naive = [from_instant(int(time)).replace(tzinfo=None) for time in local]
        assert earliest.tolist() == [oracle._of_local(feature, time) for time in naive]


def test_a_doubtful_local_time_is_an_error_that_names_it() -> None:
    with pytest.raises(InvalidTimes, match="f: t: 2024-10-27 02:30:00 comes twice in Europe/Ber"):
        to_utc(np.array([at("2024-10-27 02:30")]), BERLIN, is_earliest=False, what="f: t")
    with pytest.raises(InvalidTimes, match="02:30:00 does not exist") as caught:
        to_utc(np.array([0, at("2024-03-31 02:30")]), BERLIN, is_earliest=False, what="f: t")
    assert 'ambiguous="earliest"' in str(caught.value.hint)


def test_the_earliest_is_by_the_greater_offset() -> None:
    local = np.array([at("2024-10-27 02:30"), at("2024-03-31 02:30")])
    utc = to_utc(local, BERLIN, is_earliest=True, what="t")
    assert utc.tolist() == [at("2024-10-27 00:30"), at("2024-03-31 00:30")]


def test_a_skipped_midnight_is_the_change_of_the_clock() -> None:
    days = np.array([(date(2018, 11, 4) - date(1970, 1, 1)).days])
    assert day_starts(days, "America/Sao_Paulo").tolist() == [at("2018-11-04 03:00")]


def test_times_of_a_feature_with_a_zone_are_local() -> None:
    naive = pl.Series("t", [datetime(2024, 7, 1), datetime(2024, 12, 1)], pl.Datetime("ms"))
    assert instants(make_feature(timezone=BERLIN), naive).to_list() == [
        *[at("2024-06-30 22:00"), at("2024-11-30 23:00")]
    ]


def test_aware_times_of_a_feature_with_a_zone_are_what_they_are() -> None:
    aware = pl.Series("t", [datetime(2024, 7, 1)], pl.Datetime("us")).dt.replace_time_zone("UTC")
    assert instants(make_feature(timezone=BERLIN), aware).to_list() == [at("2024-07-01")]


def test_a_date_is_the_local_days_end_or_start() -> None:
    days = pl.Series("t", [date(2024, 3, 31)])
    ends = instants(make_feature(timezone=BERLIN), days)
    starts = instants(make_feature(timezone=BERLIN, date_is="start"), days)
    rolled = make_feature(timezone=BERLIN, interval="1d", metrics=[("x", "sum", "1d")])
    assert ends.to_list() == [at("2024-03-31 22:00")]
    assert starts.to_list() == [at("2024-03-30 23:00")]
    assert instants(rolled, days).to_list() == [at("2024-03-31 22:00") - 1]


@pytest.mark.parametrize("year", [1, 9999])
@pytest.mark.parametrize("dtype", [pl.Date(), pl.Datetime("us")])
def test_local_times_beyond_what_zones_say_are_refused(year: int, dtype: pl.DataType) -> None:
    times = pl.Series("t", [datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31)])
    with pytest.raises(InvalidTimes, match=r"f: t: .* is beyond the years 1 to 9999"):
        instants(make_feature(timezone=BERLIN), times.cast(dtype))


@pytest.mark.parametrize("moment", [FIRST - 1, LAST + 1, LAST])
@pytest.mark.parametrize(
    ("interval", "zone"), [("1h", BERLIN), ("1d", BERLIN), ("1mo", None), ("1y", None)]
)
def test_calendars_beyond_what_zones_say_are_refused(
    moment: int, interval: str, zone: str | None
) -> None:
    if (moment, interval) == (LAST, "1h"):
        moment += 1
    with pytest.raises(InvalidTimes, match="is beyond the years 1 to 9999"):
        around(interval, zone, moment)


def spend(*moments: str, interval: str, windows: list[str], zone: str | None = BERLIN) -> History:
    rows: list[Row] = [{"k": 1, "t": at(moment), "x": 1} for moment in moments]
    metrics = [("x", "sum", window) for window in windows]
    feature = make_feature(interval=interval, metrics=metrics, timezone=zone)
    return History(feature, rows, {"k": pl.Int64(), "t": UTC, "x": pl.Int64()})


def built(history: History) -> list[tuple[str, ...]]:
    check(PolarsEngine(), history)
    rows = rows_of(run(PolarsEngine(), history).frame)
    return [(str(from_instant(int(str(r["t"]))))[:16], *map(str, [*r.values()][2:])) for r in rows]


def test_windows_of_months_over_february() -> None:
    history = spend("2024-01-31", "2024-02-29", interval="1mo", windows=["1mo", "2mo"], zone=None)
    assert built(history) == [
        ("2024-02-01 00:00", "1", "1"),
        ("2024-03-01 00:00", "1", "2"),
    ]


def test_windows_of_days_over_a_day_of_23_hours() -> None:
    moments = ("2024-03-30 12:00", "2024-03-31 12:00", "2024-04-02 12:00")
    assert built(spend(*moments, interval="1d", windows=["1d", "2d"])) == [
        ("2024-03-30 23:00", "1", "1"),
        ("2024-03-31 22:00", "1", "2"),
        ("2024-04-01 22:00", "None", "1"),
        ("2024-04-02 22:00", "1", "1"),
    ]


def test_a_naive_time_that_is_doubtful_fails_the_feature() -> None:
    rows: list[Row] = [{"k": 1, "t": datetime(2024, 10, 27, 2, 30), "x": 1}]
    feature = make_feature(timezone=BERLIN, ambiguous="raise")
    history = History(feature, rows, {"k": pl.Int64(), "t": pl.Datetime("us"), "x": pl.Int64()})
    with pytest.raises(InvalidTimes, match="f: t: 2024-10-27 02:30:00 comes twice"):
        run(PolarsEngine(), history)
    check(PolarsEngine(), history)


def test_rows_of_a_zone_have_instants() -> None:
    rows: list[Row] = [{"k": 1, "t": datetime(2024, 10, 27), "x": 1}]
    history = History(
        make_feature(timezone=BERLIN),
        rows,
        {"k": pl.Int64(), "t": pl.Datetime("us"), "x": pl.Int8()},
    )
    assert str(run(PolarsEngine(), history).schema.type_of("t")) == "datetime[UTC]"
