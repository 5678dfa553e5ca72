"""The point-in-time match, against the oracle and by example."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.engines import join as join_module
from mlforge.engines.join import Matches, Timeline, take
from mlforge.engines.questions import Asking, Questions
from mlforge.engines.spine import KeyCasts, spine_instants
from mlforge.errors import InvalidSpine, InvalidTimes, KeyTypeMismatch
from mlforge.pit import PitRule
from mlforge.testing import oracle
from mlforge.testing.clocks import DAY
from mlforge.testing.oracle import Row, frame_of, rows_of
from mlforge.testing.strategies import HIGHEST, LOWEST, UTC, Joining, joinings
from mlforge.times import Duration

RULE = PitRule(("k",), "t")


def table(*rows: tuple[object, object]) -> pl.DataFrame:
    return pl.DataFrame(rows, {"k": pl.Int64, "t": pl.Int64}, orient="row").cast({"t": UTC})


def spine(*rows: tuple[object, object]) -> pl.DataFrame:
    return table(*rows).rename({"t": "s"})


def test_who_asks_by_the_same_keys_asks_the_same_questions() -> None:
    keys = pl.DataFrame({"k": [1, 3, 3]})
    others = [keys.rename({"k": "m"}), keys.cast(pl.Int32), keys[::-1], keys.with_columns(l="k")]
    asking = Asking([keys, *others, keys], pl.Series([0, 1, 2]).cast(UTC))
    asked = [asking.of(number) for number in range(6)]
    assert asked[0] is asked[1] is asked[5]
    assert len({id(questions) for questions in asked}) == 4


@given(joinings(), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_how_rows_are_cut_changes_no_match(joining: Joining, size: int) -> None:
    """A table of several row groups comes in several chunks."""
    table = frame_of(joining.table, {**joining.schema, "t": UTC, "c": UTC})
    parts = [table[start : start + size] for start in range(0, table.height, size)] or [table]
    cut = pl.concat(parts, rechunk=False)
    spine = frame_of(joining.spine, {**joining.schema, "s": UTC})
    found = pit_match(spine, cut, joining.rule, "s").found
    assert found.tolist() == match(joining).found.tolist()


def pit_match(spine: pl.DataFrame, table: pl.DataFrame, rule: PitRule, time: str | None) -> Matches:
    questions = Questions(spine.select(rule.keys), None if time is None else spine[time])
    return Timeline(table.lazy(), table.height, rule).match(questions)


@given(joinings())
@settings(max_examples=100, deadline=None)
def test_matches_in_the_distinct_rows_are_those_in_all(joining: Joining) -> None:
    table = frame_of(joining.table, {**joining.schema, "t": UTC, "c": UTC})
    matches, rows = match(joining), table.with_row_index("n").select("n")
    is_found, distinct = matches.distinct(table.height)
    found = rows.filter(is_found)
    assert set(found["n"]) == set(matches.found[matches.found >= 0].tolist())
    assert take(found, distinct).equals(take(rows, matches))


def test_distinct_rows_are_numbered_in_a_large_table() -> None:
    found = np.random.default_rng(1).integers(-1, 100_003, 50_000)
    places = np.arange(len(found))
    matches = Matches(found, np.zeros_like(found), places)
    is_found, distinct = matches.distinct(100_003)
    numbers = np.flatnonzero(is_found.to_numpy())
    assert np.array_equal(np.where(distinct.found < 0, -1, numbers[distinct.found]), found)
    assert set(numbers) == set(found[found >= 0].tolist())


def cast_keys(spine: pl.DataFrame, types: dict[str, pl.DataType]) -> pl.DataFrame:
    casts = KeyCasts(types)
    keys = casts.of(spine)
    casts.check()
    assert keys is not None
    return keys


def match(joining: Joining) -> Matches:
    return pit_match(
        frame_of(joining.spine, {**joining.schema, "s": UTC}),
        frame_of(joining.table, {**joining.schema, "t": UTC, "c": UTC}),
        joining.rule,
        "s",
    )


@given(joinings())
@settings(max_examples=200, deadline=None)
def test_every_spine_row_sees_what_the_oracle_says(joining: Joining) -> None:
    seen = [oracle.see(row, joining.table, joining.rule, "s") for row in joining.spine]
    matches = match(joining)
    assert matches.rows.tolist() == [-1 if sight.row is None else sight.row for sight in seen]
    assert matches.ages.tolist() == [min(sight.age, HIGHEST) for sight in seen]
    assert matches.past_horizon == sum(sight.late > 0 for sight in seen)
    assert matches.furthest == max((sight.late for sight in seen), default=0)
    assert matches.too_old == sum(sight.is_too_old for sight in seen)


@given(joinings())
@settings(max_examples=200, deadline=None)
def test_long_keys_are_searched_with_the_same_answer(joining: Joining) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join_module, "_LONG", 1)
        alone = match(joining)
    np.testing.assert_array_equal(alone.rows, match(joining).rows)


@given(joinings())
@settings(max_examples=100, deadline=None)
def test_blocks_do_not_change_the_answer(joining: Joining) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join_module, "_BLOCK", 2)
        blocks = match(joining)
    np.testing.assert_array_equal(blocks.rows, match(joining).rows)


@given(joinings())
@settings(max_examples=100, deadline=None)
def test_the_joined_rows_are_the_oracles(joining: Joining) -> None:
    rows: list[Row] = [{**row, "v": i} for i, row in enumerate(joining.table)]
    values = pl.DataFrame({"v": [row["v"] for row in rows]}, {"v": pl.Int64})
    joined = oracle.join(joining.spine, rows, joining.rule, "s", ["v"])
    assert rows_of(take(values, match(joining))) == [{"v": row["v"]} for row in joined]


def test_a_large_random_join_equals_polars() -> None:
    draw = np.random.default_rng(7)
    keys, times = draw.zipf(1.2, 200_000).clip(1, 5000), draw.integers(0, 10**9, 200_000)
    known = table(*zip(keys.tolist(), times.tolist(), strict=True)).unique().sort("k", "t")
    asked = spine(*zip(keys.tolist(), draw.permutation(times).tolist(), strict=True)).sort("s")
    values = known.select(v="t")
    theirs = asked.join_asof(
        known.with_columns(values), left_on="s", right_on="t", by="k", check_sortedness=False
    )
    assert take(values, pit_match(asked, known, RULE, "s"))["v"].equals(theirs["v"])


def test_a_row_at_the_spine_time_is_seen_unless_exact_matches_is_off() -> None:
    known, asked = table((1, 5)), spine((1, 5))
    assert pit_match(asked, known, RULE, "s").rows.tolist() == [0]
    assert pit_match(asked, known, PitRule(("k",), "t", False), "s").rows.tolist() == [-1]


def test_a_null_matches_nothing_not_even_a_null() -> None:
    asked = spine((None, 9), (1, None), (1, 9))
    assert pit_match(asked, table((1, 5)), RULE, "s").rows.tolist() == [-1, -1, 0]


def test_max_age_gives_nulls_and_never_falls_back_further() -> None:
    matches = pit_match(
        spine((1, 15), (1, 16)), table((1, 1), (1, 5)), PitRule(("k",), "t", max_age=10), "s"
    )
    assert (matches.rows.tolist(), matches.too_old) == ([1, -1], 1)


def test_a_quiet_entity_is_as_old_as_its_last_bucket_and_ages_beyond_the_horizon() -> None:
    day = PitRule(("k",), "t", interval=Duration.parse("1d"), horizon=10 * DAY)
    asked = spine((1, 7 * DAY + 5), (1, 10 * DAY), (1, 12 * DAY))
    matches = pit_match(asked, table((1, DAY)), day, "s")
    assert matches.ages.tolist() == [5, 0, 2 * DAY]
    assert (matches.past_horizon, matches.furthest) == (1, 2 * DAY)


def test_a_week_is_as_old_as_its_monday() -> None:
    week = PitRule(("k",), "t", interval=Duration.parse("1w"), horizon=40 * DAY)
    asked = spine((1, 11 * DAY - 1), (1, 11 * DAY), (1, -1))
    ages = pit_match(asked, table((1, -10 * DAY)), week, "s").ages
    assert ages.tolist() == [7 * DAY - 1, 0, 3 * DAY - 1]


def test_without_exact_matches_a_bucket_that_ends_now_is_not_known_yet() -> None:
    day = PitRule(("k",), "t", False, interval=Duration.parse("1d"), horizon=10 * DAY)
    assert pit_match(spine((1, 7 * DAY)), table((1, DAY)), day, "s").ages.tolist() == [DAY]


def test_static_features_join_on_keys_without_a_time() -> None:
    known = pl.DataFrame({"k": ["a", "b"], "v": [1, None]})
    matches = pit_match(
        pl.DataFrame({"k": ["b", None, "a", "c"]}), known, PitRule(("k",), None), None
    )
    assert take(known.select("v"), matches)["v"].to_list() == [None, None, 1, None]


def test_no_columns_of_matched_rows_are_no_columns() -> None:
    known = pl.DataFrame({"k": [1, 2]})
    matches = pit_match(pl.DataFrame({"k": [2, 3]}), known, PitRule(("k",), None), None)
    assert take(known.select([]), matches).width == 0


def test_a_feature_with_times_needs_a_spine_time() -> None:
    with pytest.raises(InvalidSpine):
        pit_match(spine((1, 5)), table((1, 5)), RULE, None)


def test_empty_sides_join() -> None:
    assert pit_match(spine(), table((1, 5)), RULE, "s").rows.tolist() == []
    assert take(table(), pit_match(spine((1, 5)), table(), RULE, "s")).rows() == [(None, None)]


def test_the_ends_of_int64_do_not_wrap() -> None:
    matches = pit_match(spine((1, HIGHEST), (1, LOWEST)), table((1, LOWEST)), RULE, "s")
    assert (matches.rows.tolist(), matches.ages.tolist()) == ([0, 0], [HIGHEST, 0])


@pytest.mark.parametrize(
    ("keys", "dtype"),
    [
        (pl.Series([1, None, 127], dtype=pl.Int64), pl.Int8()),
        (pl.Series([1, None, 255], dtype=pl.UInt8), pl.Int64()),
        (pl.Series(["a", None], dtype=pl.Categorical), pl.String()),
        (pl.Series(["a", None], dtype=pl.Enum(["a"])), pl.String()),
        (pl.Series([None, None], dtype=pl.Null), pl.Int64()),
        (pl.Series([date(1960, 2, 29)]), pl.Date()),
        (pl.Series([Decimal("1.50")], dtype=pl.Decimal(10, 2)), pl.Decimal(38, 1)),
        (pl.Series([datetime(1960, 2, 29)], dtype=pl.Datetime("ns")), pl.Datetime("us")),
    ],
)
def test_keys_are_cast_when_nothing_is_lost(keys: pl.Series, dtype: pl.DataType) -> None:
    cast = cast_keys(pl.DataFrame({"k": keys}), {"k": dtype})
    assert cast.schema == {"k": dtype}
    assert cast["k"].null_count() == keys.null_count()


@pytest.mark.parametrize(
    ("keys", "dtype", "sample"),
    [
        (pl.Series([1, 300]), pl.Int8(), "300"),
        (pl.Series([-1]), pl.UInt64(), "-1"),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), pl.Int64(), "18446744073709551615"),
        (pl.Series([None, "1"]), pl.Int64(), "'1'"),
        (pl.Series([7]), pl.String(), "7"),
        (pl.Series([1.0]), pl.Int64(), "1.0"),
        (pl.Series([True]), pl.Int64(), "True"),
        (pl.Series([1.0]), pl.Decimal(10, 2), "1.0"),
        (pl.Series([Decimal("1.55")], dtype=pl.Decimal(10, 2)), pl.Decimal(10, 1), "1.55"),
        (pl.Series([date(2024, 1, 1)]), UTC, "2024"),
        (pl.Series([datetime(2024, 1, 1)]), UTC, "2024"),
        (pl.Series([1], dtype=pl.Int64).cast(pl.Datetime("ns")), pl.Datetime("us"), "1970"),
    ],
)
def test_a_key_that_would_lose_is_refused_with_a_sample(
    keys: pl.Series, dtype: pl.DataType, sample: str
) -> None:
    with pytest.raises(KeyTypeMismatch, match=r"k is .* in the spine and .*") as e:
        cast_keys(pl.DataFrame({"k": keys}), {"k": dtype})
    assert sample in str(e.value)


def test_all_wrong_keys_are_named_at_once() -> None:
    with pytest.raises(KeyTypeMismatch, match=r"(?s)a is string .*b is string") as error:
        cast_keys(pl.DataFrame({"a": ["1"], "b": ["1"]}), {"a": pl.Int64(), "b": pl.Int32()})
    assert error.value.hint is not None


def test_a_missing_key_is_named_with_its_neighbour() -> None:
    with pytest.raises(InvalidSpine, match="no column user_id") as error:
        cast_keys(pl.DataFrame({"userid": [1]}), {"user_id": pl.Int64()})
    assert error.value.hint == "did you mean userid?"


@pytest.mark.parametrize(
    ("times", "instant"),
    [
        (pl.Series([date(1969, 12, 31)]), -DAY),
        (pl.Series([datetime(1970, 1, 2)]), DAY),
        (pl.Series([86_400_000]).cast(pl.Datetime("ms")), DAY),
        (pl.Series([7_000]).cast(pl.Datetime("ns", "UTC")), 7),
        (pl.Series([datetime(1970, 1, 2)]).dt.replace_time_zone("Europe/Berlin"), DAY - DAY // 24),
        (pl.Series([None], dtype=pl.Null), None),
        (pl.Series([None], dtype=pl.Date), None),
    ],
)
def test_spine_times_become_utc_microseconds(times: pl.Series, instant: int | None) -> None:
    instants = spine_instants(pl.DataFrame({"s": times}), "s")
    assert (instants.dtype, instants.to_physical().to_list()) == (UTC, [instant])


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([1_001]).cast(pl.Datetime("ns")),
        pl.Series([HIGHEST]).cast(pl.Datetime("ms")),
        pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date),
    ],
)
def test_spine_times_that_are_no_microsecond_are_refused(times: pl.Series) -> None:
    with pytest.raises(InvalidTimes):
        spine_instants(pl.DataFrame({"s": times}), "s")


@pytest.mark.parametrize(
    ("times", "hint"),
    [
        (pl.Series(["2024-01-01"]), "str.to_datetime"),
        (pl.Series([1]), "from_epoch"),
        (pl.Series([1.0]), "add a column of times"),
        (pl.Series([True]), "add a column of times"),
    ],
)
def test_spine_times_of_another_type_are_refused_with_a_hint(times: pl.Series, hint: str) -> None:
    with pytest.raises(InvalidSpine, match="not a time") as error:
        spine_instants(pl.DataFrame({"s": times}), "s")
    assert hint in str(error.value.hint)


def test_a_missing_spine_time_is_named() -> None:
    with pytest.raises(InvalidSpine, match="no column label_time"):
        spine_instants(pl.DataFrame({"s": [1]}), "label_time")
