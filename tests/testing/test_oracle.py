"""The oracle against examples worked out by hand, and against the rule's other wording."""

from __future__ import annotations

import math
import statistics
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlforge.definitions.feature import Feature
from mlforge.definitions.validators import (
    Validator,
    greater_than,
    in_range,
    is_in,
    less_than_or_equal,
    matches_regex,
    not_null,
    unique,
)
from mlforge.errors import ColumnNotFound, DuplicateKeys, SumOverflow
from mlforge.pit import PitRule
from mlforge.testing import oracle
from mlforge.testing.clocks import DAY, end_after
from mlforge.testing.oracle import (
    AGGREGATIONS,
    Row,
    Value,
    bits,
    compute,
    frame_of,
    nearest,
    present,
    rows_of,
)
from mlforge.testing.strategies import (
    COLUMNS,
    UTC,
    Futures,
    History,
    futures,
    make_feature,
    plain_histories,
    rolling_histories,
)
from mlforge.times import Duration, from_instant, to_instant

INF = math.inf
SPEND = make_feature(interval="1d", metrics=[("x", "sum", "1d"), ("x", "count", "2d")])


def aggregate(name: str, *values: Value) -> Value:
    return AGGREGATIONS[name](present(values))


def event(key: Value, time: Value, x: Value = 1) -> Row:
    return {"k": key, "t": time, "x": x}


def ends(*times: int, interval: str = "1d") -> list[Value]:
    feature = make_feature(interval=interval, metrics=[("x", "sum", interval)])
    return [row["t"] for row in compute(feature, [event(1, time) for time in times]).rows]


# -- rolling ----------------------------------------------------------------------------------


def test_a_row_is_known_at_its_buckets_end() -> None:
    assert ends(0, DAY - 1) == [DAY]
    assert ends(DAY) == [2 * DAY]


def test_buckets_before_1970_are_floored() -> None:
    assert ends(-1) == [0]
    assert ends(-DAY) == [0]
    assert ends(-DAY - 1) == [-DAY]


def test_weeks_begin_on_monday() -> None:
    assert ends(0, interval="1w") == ends(0, interval="7d") == [4 * DAY]
    assert ends(4 * DAY, interval="1w") == [11 * DAY]
    assert ends(-3 * DAY - 1, interval="1w") == [-3 * DAY]


def test_rows_stand_where_an_event_enters_or_leaves_up_to_the_horizon() -> None:
    answer = compute(SPEND, [event(1, 0), event(2, 2 * DAY), event(2, 9 * DAY)])
    assert [(row["k"], row["t"]) for row in answer.rows] == [
        *[(1, DAY), (1, 2 * DAY), (1, 3 * DAY)],
        *[(2, 3 * DAY), (2, 4 * DAY), (2, 5 * DAY), (2, 10 * DAY)],
    ]
    assert answer.horizon == 10 * DAY


def test_an_empty_window_counts_zero_and_sums_to_null() -> None:
    rows = compute(SPEND, [event(1, 0, 5), event(2, 9 * DAY)]).rows
    name = "f__x__count__1d__2d"
    assert [(row["f__x__sum__1d__1d"], row[name]) for row in rows[:3]] == [
        *[(5, 1), (None, 1), (None, 0)]
    ]


def test_null_keys_and_times_are_excluded_and_counted() -> None:
    answer = compute(SPEND, [event(None, 0), event(1, None), event(1, 0), event(None, 99 * DAY)])
    assert (answer.excluded, len(answer.rows), answer.horizon) == (3, 1, DAY)


def test_no_events_have_no_horizon() -> None:
    assert compute(SPEND, []) == oracle.Answer((), 0, None)


def test_a_day_is_an_event_at_its_last_moment() -> None:
    hourly = make_feature(interval="36h", metrics=[("x", "sum", "36h")])
    assert compute(hourly, [event(1, date(1970, 1, 2))]).rows[0]["t"] == 3 * DAY


@given(rolling_histories(), st.integers(-40, 40), st.sampled_from([-1, 0, 1, DAY // 2]))
@settings(max_examples=100, deadline=None)
def test_change_points_join_as_the_dense_table_would(history: History, day: int, rest: int) -> None:
    feature = history.feature
    answer = computed(feature, history.output)
    now = min(history.anchor + day * DAY + rest, answer.horizon or 0)
    rule = PitRule(
        feature.keys,
        "t",
        interval=feature.interval,
        horizon=answer.horizon,
        timezone=feature.timezone,
    )
    for spine in ({**row, "s": now} for row in answer.rows):
        seen = oracle.see(spine, answer.rows, rule, "s")
        if seen.row is not None:
            assert bits(dense_row(history, spine, now - seen.age)) == bits(
                {**answer.rows[seen.row], "t": now - seen.age}
            )


def dense_row(history: History, like: Row, end: int) -> Row:
    """What the windows that end at any bucket's end hold, of the key that is like this."""
    feature = history.feature
    whole = [row for row in history.output if all(row[name] is not None for name in feature.order)]
    own = [
        oracle._with_instants(feature, row)
        for row in whole
        if all(row[key] == like[key] for key in feature.keys)
    ]
    row: Row = {**{key: like[key] for key in feature.keys}, "t": end}
    assert feature.interval is not None
    for metric in feature.metrics:
        window = range(oracle.window_start(feature, metric.window, end), end)
        values = [event[metric.column] for event in own if event["t"] in window]
        row[metric.output_name("f", feature.interval)] = aggregate(metric.aggregation, *values)
    return row


def computed(feature: Feature, output: list[Row]) -> oracle.Answer:
    try:
        return compute(feature, output)
    except (SumOverflow, DuplicateKeys):
        assume(False)
        raise


# -- aggregations -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "result"),
    [
        ("count", [None, math.nan, 1.0], 1),
        ("count", [], 0),
        ("sum", [], None),
        ("sum", [None, math.nan], None),
        ("sum", [-0.0, -0.0], 0.0),
        ("sum", [1e308, 1e308, -1e308], 1e308),
        ("sum", [1e308, 1e308], INF),
        ("sum", [1e16, 1.0, -1e16], 1.0),
        ("sum", [0.1] * 10, 1.0),
        ("sum", [5e-324, 5e-324], 1e-323),
        ("sum", [INF, 1.0], INF),
        ("sum", [INF, -INF], None),
        ("sum", [True, True, False], 2),
        ("sum", [2**63 - 1, 1, -1], 2**63 - 1),
        ("sum", [Decimal("0.10"), Decimal("-0.30")], Decimal("-0.20")),
        ("sum", [Decimal("9" * 36 + ".99"), Decimal("-0.99")], Decimal("9" * 36 + ".00")),
        ("mean", [1e308, 1e308], INF),
        ("mean", [2**63 - 1, 2**63 - 1], 2.0**63),
        ("mean", [Decimal("0.10"), Decimal("0.20")], 0.15),
        ("mean", [-5e-324, 0.0], 0.0),
        ("mean", [INF, 0.0], INF),
        ("mean", [], None),
        ("min", [math.nan, 0.0, -0.0], 0.0),
        ("min", ["\uffff", "\U0001f600"], "\uffff"),
        ("max", [False, None], False),
        ("max", [], None),
        ("std", [1.0], None),
        ("std", [1.0, INF], None),
        ("std", [2, 2, 2], 0.0),
        ("std", [1e308, -1e308], math.sqrt(2) * 1e308),
        ("std", [5e-324, 0.0], 5e-324),
        ("median", [3, 1], 2.0),
        ("median", [1.7976931348623157e308] * 2, 1.7976931348623157e308),
        ("median", [-INF, INF], None),
    ],
)
def test_aggregations_are_exact(name: str, values: list[Value], result: Value) -> None:
    assert bits({"": aggregate(name, *values)}) == bits({"": result})


@pytest.mark.parametrize(
    "values",
    [
        [2**63 - 1, 1],
        [-(2**63), -1],
        [2**64 - 1],
        [Decimal("9" * 36 + ".99"), Decimal("0.01")],
    ],
)
def test_a_sum_that_does_not_fit_is_an_error(values: list[Value]) -> None:
    with pytest.raises(SumOverflow):
        aggregate("sum", *values)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_float_sums_are_those_of_fsum(values: list[float]) -> None:
    try:
        exact = math.fsum(values) + 0.0
    except OverflowError:  # fsum gives up where an intermediate sum is infinite
        assume(False)
    assert bits({"": aggregate("sum", *values)}) == bits({"": exact})


@given(st.lists(st.floats(-1e150, 1e150) | st.integers(-(2**60), 2**60), min_size=2, max_size=9))
def test_std_is_the_exact_one_rounded_once(values: list[float]) -> None:
    assert aggregate("std", *values) == statistics.stdev([Fraction(value) for value in values])


@given(st.fractions())
def test_the_nearest_float_is_no_further_than_its_neighbours(exact: Fraction) -> None:
    near = nearest(exact)
    for other in (math.nextafter(near, INF), math.nextafter(near, -INF)):
        assert abs(Fraction(near) - exact) <= abs(Fraction(other) - exact)


def test_the_nearest_float_rounds_half_to_even_at_every_edge() -> None:
    largest = Fraction(1.7976931348623157e308)
    half_ulp = Fraction(2) ** 970
    assert nearest(largest + half_ulp) == INF
    assert nearest(largest + half_ulp - 1) == float(largest)
    assert nearest(-largest - half_ulp) == -INF
    assert nearest(Fraction(1, 2**1075)) == 0.0
    assert nearest(Fraction(3, 2**1075)) == 2.0**-1073
    assert math.copysign(1, nearest(Fraction(-1, 2**1075))) == 1


# -- features without metrics -----------------------------------------------------------------


def test_rows_are_kept_in_order_of_keys_and_time() -> None:
    rows = [event("b", 1), event("a", 9), event("a", -9), event(None, 1), event("B", 1)]
    answer = compute(make_feature(), rows)
    assert [(row["k"], row["t"]) for row in answer.rows] == [
        *[("B", 1), ("a", -9), ("a", 9), ("b", 1)]
    ]
    assert (answer.excluded, answer.horizon) == (1, None)


def test_two_rows_of_one_moment_are_an_error() -> None:
    with pytest.raises(DuplicateKeys):
        compute(make_feature(), [event(1, 5), event(1, 5)])


def test_the_greatest_tiebreak_wins_and_what_is_missing_loses() -> None:
    feature = make_feature(tiebreak=["x"])
    rows = [event(1, 5, None), event(1, 5, math.nan), event(1, 5, -INF)]
    assert compute(feature, rows).rows[0]["x"] == -INF
    with pytest.raises(DuplicateKeys):
        compute(feature, rows[:2])


def test_a_day_is_known_when_it_is_over_unless_it_is_a_start() -> None:
    rows = [event(1, date(1970, 1, 1))]
    assert compute(make_feature(), rows).rows[0]["t"] == DAY
    assert compute(make_feature(date_is="start"), rows).rows[0]["t"] == 0


def test_static_features_need_no_time() -> None:
    rows: list[Row] = [{"k": 2, "x": 1}, {"k": 1, "x": None}, {"k": None, "x": 1}]
    answer = compute(make_feature(timestamp=None), rows)
    assert (answer.rows, answer.excluded) == (({"k": 1, "x": None}, {"k": 2, "x": 1}), 1)


# -- validators -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("validator", "values", "failing"),
    [
        (not_null(), [None, math.nan, 0.0], (0,)),
        (unique(), [1, None, 2, 1, None], (0, 3)),
        (unique(), [math.nan, math.nan], (0, 1)),
        (greater_than(0), [None, math.nan, 0.0, -0.0, 1.0], (1, 2, 3)),
        (less_than_or_equal(float(2**53)), [2**53, 2**53 + 1], (1,)),
        (in_range(1, 2), [1, 2, 3, None], (2,)),
        (in_range(1, 2, inclusive=False), [1, 2], (0, 1)),
        (matches_regex("a+"), ["a", "ab", "", None, "a\n"], (1, 2, 4)),
        (is_in(["a", "b"]), ["a", None, "c"], (2,)),
        (is_in([1.0]), [math.nan, 1.0], (0,)),
    ],
)
def test_validators_refuse(validator: Validator, values: list[Value], failing: object) -> None:
    feature = make_feature(validators=[("x", validator)])
    found = oracle.failures(feature, [{"x": value} for value in values])
    assert [(f.column, f.validator, f.rows) for f in found] == [("x", validator, failing)]


def test_a_validator_of_a_missing_column_is_an_error() -> None:
    with pytest.raises(ColumnNotFound):
        oracle.failures(make_feature(validators=[("y", not_null())]), [{"x": 1}])


# -- calendars, by the clock on the wall ------------------------------------------------------


def ends_between(interval: str, timezone: str | None, first: str, last: str) -> list[str]:
    """The ends of buckets between two times in UTC, without the seconds."""
    at, found = to_instant(datetime.fromisoformat(first)), list[str]()
    while (at := end_after(Duration.parse(interval), timezone, at)) <= to_instant(
        datetime.fromisoformat(last)
    ):
        found.append(f"{from_instant(at):%Y-%m-%d %H:%M}")
    return found


def test_a_day_in_berlin_lasts_23_hours_in_spring_and_25_in_autumn() -> None:
    spring = ends_between("1d", "Europe/Berlin", "2024-03-30", "2024-04-01")
    autumn = ends_between("1d", "Europe/Berlin", "2024-10-26", "2024-10-28")
    assert spring == ["2024-03-30 23:00", "2024-03-31 22:00"]
    assert autumn == ["2024-10-26 22:00", "2024-10-27 23:00"]


def test_six_hours_of_berlins_clock_are_seven_once_in_autumn() -> None:
    assert ends_between("6h", "Europe/Berlin", "2024-10-26 21:00", "2024-10-27 23:00") == [
        *["2024-10-26 22:00", "2024-10-27 05:00", "2024-10-27 11:00", "2024-10-27 17:00"],
        "2024-10-27 23:00",
    ]


def test_an_hour_that_comes_twice_is_two_buckets() -> None:
    assert len(ends_between("1h", "Europe/Berlin", "2024-10-26 22:00", "2024-10-27 23:00")) == 25
    assert len(ends_between("1h", "Europe/Berlin", "2024-03-30 23:00", "2024-03-31 22:00")) == 23


def test_a_day_without_a_midnight_begins_where_the_clock_is_changed() -> None:
    assert ends_between("1d", "America/Sao_Paulo", "2018-11-03 12:00", "2018-11-05 12:00") == [
        *["2018-11-04 03:00", "2018-11-05 02:00"],
    ]


def test_a_day_with_two_midnights_is_one_bucket() -> None:
    assert ends_between("1d", "America/Havana", "2024-11-03 00:00", "2024-11-04 12:00") == [
        *["2024-11-03 04:00", "2024-11-04 05:00"],
    ]


def test_a_day_that_was_left_out_is_no_bucket() -> None:
    assert ends_between("1d", "Pacific/Apia", "2011-12-29 12:00", "2012-01-01") == [
        *["2011-12-30 10:00", "2011-12-31 10:00"],
    ]


def test_months_are_of_utc_or_of_a_zone() -> None:
    assert ends_between("1mo", None, "2024-01-15", "2024-03-15") == [
        *["2024-02-01 00:00", "2024-03-01 00:00"],
    ]
    assert ends_between("3mo", "Europe/Berlin", "2024-01-15", "2024-07-15") == [
        *["2024-03-31 22:00", "2024-06-30 22:00"],
    ]
    assert ends_between("1y", None, "1967-06-01", "1971-06-01")[1:3] == [
        *["1969-01-01 00:00", "1970-01-01 00:00"],
    ]


# -- leaks and bits ---------------------------------------------------------------------------


@given(futures(rolling_histories()) | futures(plain_histories()))
@settings(max_examples=100, deadline=None)
def test_the_future_changes_nothing_that_is_seen(futures: Futures) -> None:
    assert seen(futures, futures.actual) == seen(futures, futures.other)


def seen(futures: Futures, output: list[Row]) -> list[object]:
    answer = computed(futures.feature, output)
    rule = futures.rule(answer.horizon, max_age=2 * DAY)
    names = [name for row in answer.rows[:1] for name in row]
    return [bits(row) for row in oracle.join(futures.spine, answer.rows, rule, "s", names)]


@given(rolling_histories() | plain_histories())
@settings(max_examples=50, deadline=None)
def test_rows_survive_a_frame_bit_by_bit(history: History) -> None:
    frame = frame_of(history.output, history.schema)
    assert [bits(row) for row in rows_of(frame)] == [bits(instants(row)) for row in history.output]


def instants(row: Row) -> Row:
    """A row with its local times as a frame counts them."""
    return {k: to_instant(v) if isinstance(v, datetime) else v for k, v in row.items()}


def test_bits_tell_apart_what_equality_does_not() -> None:
    assert bits({"x": 0.0}) != bits({"x": -0.0})
    assert len({bits({"x": value}) for value in (1, 1.0, True, Decimal("1.0"))}) == 4
    assert bits({"x": math.nan}) == bits({"x": -math.nan})


def test_every_column_of_the_strategies_has_a_frame_type() -> None:
    assert all(frame_of([{"x": None}], {"x": dtype}).height for dtype in COLUMNS.values())
    assert rows_of(pl.DataFrame({"t": [5]}).cast({"t": UTC})) == [{"t": 5}]
