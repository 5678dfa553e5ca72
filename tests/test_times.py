"""Times: durations as users spell them, instants, and where buckets begin."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlforge.errors import InvalidDuration
from mlforge.times import (
    SECOND,
    WEEK,
    Duration,
    bucket_origin,
    from_instant,
    human_age,
    iso,
    spelled,
    to_instant,
)

DAY = 86_400 * SECOND
HIGHEST = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        *[("30s", 30 * SECOND), ("15m", 900 * SECOND), ("1h", 3600 * SECOND), ("1d", DAY)],
        *[("1w", 7 * DAY), ("90m", 5400 * SECOND), ("106751991d", 106751991 * DAY)],
    ],
)
def test_a_spelling_is_a_length_and_stays_as_the_user_wrote_it(
    text: str, microseconds: int
) -> None:
    assert Duration.parse(text) == Duration(microseconds, text)
    assert str(Duration.parse(text)) == text


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        (timedelta(weeks=1), "7d"),
        (timedelta(days=30), "30d"),
        (timedelta(hours=24), "1d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=61), "61s"),
        (timedelta(hours=1, seconds=1), "3601s"),
    ],
)
def test_a_timedelta_is_spelled_with_the_largest_unit_that_divides_it(
    value: timedelta, spelling: str
) -> None:
    assert Duration.parse(value) == Duration.parse(spelling)


@given(st.integers(1, 10**9).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_timedelta_keeps_its_length(value: timedelta) -> None:
    duration = Duration.parse(value)
    assert duration.microseconds == value // timedelta(microseconds=1)
    assert Duration.parse(duration.spelling) == duration


@pytest.mark.parametrize(
    ("text", "months", "unit"), [("1mo", 1, "mo"), ("12mo", 12, "mo"), ("1y", 12, "y")]
)
def test_months_have_no_length(text: str, months: int, unit: str) -> None:
    assert Duration.parse(text) == Duration(0, text, months)
    assert Duration.parse(text).unit == unit
    with pytest.raises(InvalidDuration, match="no fixed length"):
        Duration.parse_fixed(text)


@pytest.mark.parametrize(
    ("window", "interval", "count"),
    [*[("7d", "1d", 7), ("1w", "1d", 7), ("1d", "1d", 1), ("6mo", "3mo", 2)], ("2y", "1y", 2)],
)
def test_a_window_is_so_many_intervals(window: str, interval: str, count: int) -> None:
    assert Duration.parse(window).is_multiple(Duration.parse(interval))
    assert Duration.parse(window).intervals(Duration.parse(interval)) == count


@pytest.mark.parametrize(
    ("window", "interval"), [("36h", "1d"), ("1y", "1mo"), ("30d", "1mo"), ("4mo", "3mo")]
)
def test_a_window_of_another_unit_is_no_multiple(window: str, interval: str) -> None:
    assert not Duration.parse(window).is_multiple(Duration.parse(interval))


@pytest.mark.parametrize(
    "value",
    [
        *[
            "",
            "0d",
            "00d",
            "01d",
            "-1d",
            "+1d",
            "1",
            "d",
            "1 d",
            "1d ",
            " 1d",
            "1d\n",
            "1D",
            "1M",
            "1ms",
        ],
        *["1.5d", "1d12h", "1e3s", "１d", "inf", "1us", "day", "10000000000000s", "9" * 5000 + "d"],
        *["1q", "0mo", "1.5mo", "1MO", "1yr", "1mo1d", "9999999999999y"],
    ],
)
def test_other_text_is_no_duration(value: str) -> None:
    with pytest.raises(InvalidDuration):
        Duration.parse(value)


@pytest.mark.parametrize("value", [None, True, 1, 1.0, float("nan"), b"1d", ["1d"], date(1, 1, 1)])
def test_other_values_are_no_duration(value: object) -> None:
    with pytest.raises(InvalidDuration, match="is not a duration"):
        Duration.parse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [timedelta(0), timedelta(days=-1), timedelta(microseconds=1), timedelta(seconds=0.5)]
)
def test_a_timedelta_is_positive_and_of_whole_seconds(value: timedelta) -> None:
    with pytest.raises(InvalidDuration, match="positive whole number of seconds"):
        Duration.parse(value)


@pytest.mark.parametrize("value", ["999999999d", "999999999w", "106751992d", timedelta.max // 1])
def test_no_duration_is_longer_than_time_itself(value: str | timedelta) -> None:
    with pytest.raises(InvalidDuration):
        Duration.parse(value)


@given(st.integers(1, 999_999_999), st.sampled_from("smhdw"))
def test_every_duration_fits_an_instant(count: int, unit: str) -> None:
    try:
        assert 0 < Duration.parse(f"{count}{unit}").microseconds <= HIGHEST
    except InvalidDuration:
        assert count * {"d": DAY, "w": WEEK}.get(unit, 1) > HIGHEST


@pytest.mark.parametrize("text", ["1w", "7d", "2w", "168h", "14d"])
def test_buckets_of_whole_weeks_begin_on_a_monday(text: str) -> None:
    origin = from_instant(bucket_origin(Duration.parse(text)))
    assert (origin.date(), origin.weekday()) == (date(1969, 12, 29), 0)


@pytest.mark.parametrize("text", ["1s", "1h", "1d", "8d", "36h", "6d"])
def test_all_other_buckets_begin_at_the_epoch(text: str) -> None:
    assert bucket_origin(Duration.parse(text)) == 0


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])))
def test_an_instant_is_its_time(time: datetime) -> None:
    assert from_instant(to_instant(time)) == time


@given(st.datetimes())
def test_a_naive_time_is_utc(time: datetime) -> None:
    assert to_instant(time) == to_instant(time.replace(tzinfo=UTC))


def test_times_before_the_epoch_are_exact() -> None:
    assert to_instant(datetime(1969, 12, 31, 23, 59, 59, 999_999)) == -1
    assert to_instant(datetime(1, 1, 1)) == -62_135_596_800_000_000


def test_a_zoned_time_is_the_same_instant_in_utc() -> None:
    summer = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert iso(to_instant(summer)) == "2024-07-01T10:00:00Z"


def test_iso_text_is_as_short_as_it_is_exact() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999Z"


@pytest.mark.parametrize("instant", [HIGHEST, -(2**63), to_instant(datetime.max) + 1])
def test_an_instant_outside_the_calendar_still_has_a_text(instant: int) -> None:
    assert str(instant) in iso(instant)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0, "0 s"), (59, "59 s"), (60, "1 min"), (4800, "1 h 20 min"), (7200, "2 h")],
        *[
            (36060, "10 h"),
            (86399, "23 h"),
            (86400, "1 d"),
            (41 * 86400 + 5, "41 d"),
            (-60, "1 min"),
        ],
    ],
)
def test_people_read_an_age_in_its_largest_units(seconds: int, text: str) -> None:
    assert human_age(seconds * SECOND) == text


@pytest.mark.parametrize(
    ("microseconds", "said"),
    [
        (0, "0s"),
        (3000000, "3s"),
        (-5400000000, "-1h30m"),
        (250000, "0.25s"),
        (1, "0.000001s"),
        (9223372036854775807, "106751991d4h54.775807s"),
    ],
)
def test_a_length_of_time_is_said_as_it_is_declared(microseconds: int, said: str) -> None:
    assert spelled(microseconds) == said
