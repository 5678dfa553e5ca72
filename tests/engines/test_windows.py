"""Change points and windows against loops, with times before 1970 and far in the future."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.engines.columns import Codes
from mlforge.engines.order import Order
from mlforge.engines.tiles import State, Tiles, Values, tiles_of
from mlforge.engines.windows import change_points, window_extremes, window_sums
from tests.engines.brute import change_ends

BUCKETS = st.integers(-6, 30) | st.integers(-(10**12), 10**12)
EVENTS = st.lists(st.tuples(st.integers(0, 3), BUCKETS), min_size=1, max_size=30)
WINDOWS = st.sets(st.integers(1, 12) | st.just(10**30), min_size=1, max_size=4)


def order_of(codes: np.ndarray, buckets: np.ndarray) -> Order:
    size, (low, high) = int(codes.max()) + 1, (int(buckets.min()), int(buckets.max()))
    known = Codes(((codes, 0, size),), size)
    return Order(known, len(codes), buckets.__getitem__, low, high)


def tiles(events: list[tuple[int, int]]) -> Tiles:
    codes, buckets = (np.array(column, dtype=np.int64) for column in zip(*events, strict=True))
    return tiles_of(order_of(codes, buckets).part(0, len(codes))[0], {})


def by_entity(events: list[tuple[int, int]]) -> list[list[int]]:
    return [
        sorted({b for e, b in events if e == entity}) for entity in sorted({e for e, _ in events})
    ]


@settings(max_examples=300, deadline=None)
@given(EVENTS, WINDOWS)
def test_rows_are_where_a_tile_enters_or_leaves_a_window(
    events: list[tuple[int, int]], windows: set[int]
) -> None:
    horizon = max(bucket for _, bucket in events) + 1
    points = change_points(tiles(events), sorted(windows), horizon)
    expected = [
        (entity, end)
        for entity, buckets in enumerate(by_entity(events))
        for end in change_ends(buckets, windows, horizon)
    ]
    assert list(zip(points.entities.tolist(), points.ends.tolist(), strict=True)) == expected


@settings(max_examples=300, deadline=None)
@given(EVENTS, WINDOWS)
def test_a_window_holds_the_last_k_buckets(
    events: list[tuple[int, int]], windows: set[int]
) -> None:
    made = tiles(events)
    points = change_points(made, sorted(windows), max(bucket for _, bucket in events) + 1)
    for k, since in points.since.items():
        for entity, end, start, stop in zip(
            points.entities, points.ends, since, points.upto, strict=True
        ):
            held = [b for b in by_entity(events)[entity] if int(end) - k <= b < int(end)]
            assert made.buckets[start:stop].tolist() == held


def test_many_entities_over_a_long_time_do_not_overflow() -> None:
    entities = np.arange(1 << 18)
    made = Tiles(entities, np.where(entities % 2, 1 << 43, -(1 << 43)), {})
    points = change_points(made, [1, 7], (1 << 43) + 1)
    assert len(points.ends) == 4 * (1 << 17)
    assert set(points.ends.tolist()) == {1 - (1 << 43), 2 - (1 << 43), 8 - (1 << 43), 1 + (1 << 43)}


def test_the_horizon_ends_all_rows() -> None:
    points = change_points(tiles([(0, 0), (1, 4)]), [2, 100], 5)
    assert points.ends.tolist() == [1, 3, 5]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-99, 99), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=40),
)
def test_extremes_and_sums_of_any_ranges(values: list[int], ranges: list[tuple[int, int]]) -> None:
    bounds = [sorted((min(a, len(values)), min(b, len(values)))) for a, b in ranges]
    since, upto = (np.array(column) for column in zip(*bounds, strict=True))
    array = np.array(values)
    least = window_extremes(array, since, upto, np.minimum)
    greatest = window_extremes(array, since, upto, np.maximum)
    sums = window_sums(array, since, upto)
    for row, (start, stop) in enumerate(bounds):
        part = values[start:stop]
        assert sums[row] == sum(part)
        assert not part or (least[row], greatest[row]) == (min(part), max(part))


def test_sums_wrap_on_the_way_and_are_right_at_the_end() -> None:
    values = np.full(8, (1 << 62) - 1)
    rows = np.arange(8)
    assert window_sums(values, rows, rows + 1).tolist() == values.tolist()


@pytest.mark.parametrize("spread", [1, 1 << 50])
def test_events_sort_by_entity_then_bucket(spread: int) -> None:
    rng = np.random.default_rng(4)
    codes, buckets = rng.integers(0, 9, 200) * spread, rng.integers(-50, 50, 200)
    ordered = order_of(codes, buckets)
    events, positions = ordered.part(0, len(codes))
    order = np.lexsort((buckets, codes))
    assert np.array_equal(events.buckets, buckets[order])
    assert np.array_equal(np.unique(codes)[events.entities], codes[order])
    assert np.array_equal(codes[positions], codes[order])
    assert np.array_equal(codes[positions[events.firsts]], np.unique(codes))


@pytest.mark.parametrize("spread", [1, 1 << 50])
def test_cuts_divide_no_entity_and_leave_nothing_out(spread: int) -> None:
    codes = np.sort(np.random.default_rng(5).integers(0, 40, 1_000)) * spread
    cuts = order_of(codes, np.zeros(1_000, np.int64)).cuts(50)
    assert [cuts[0][0], cuts[-1][1]] == [0, 1_000]
    assert len(cuts) > 9
    assert all(a[1] == b[0] and codes[b[0] - 1] != codes[b[0]] for a, b in pairwise(cuts))


def test_a_bucket_without_a_value_is_a_tile_that_counts_none() -> None:
    events, _ = order_of(np.array([0, 0]), np.array([5, 3])).part(0, 2)
    known = Values(is_known=np.array([False, True]), ordinals=np.array([0, 7]))
    state: State = tiles_of(events, {"x": known}).states["x"]
    assert state.counts.tolist() == [0, 1]
    assert state.lowest is not None
    assert state.lowest.tolist() == [np.iinfo(np.int64).max, 7]
