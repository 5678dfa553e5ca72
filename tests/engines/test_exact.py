"""Exact sums against fractions, on the hardest floats there are; bits are compared, not values."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.engines.exact import (
    Grid,
    Words,
    grid_of_floats,
    rounded,
    span_of_integers,
    split_floats,
    split_integers,
    split_wide,
    to_int64,
    to_int128,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TINY, HUGE = 5e-324, 1.7976931348623157e308


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def grid_of_integers(values: np.ndarray) -> Grid:
    return Grid.spanning(*span_of_integers(values), len(values))


def summed(values: np.ndarray, grid: Grid) -> float:
    limbs = split_floats(values, grid)
    return float(rounded(tuple(limb.sum(keepdims=True) for limb in limbs), grid)[0])


def assert_exact(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    expected = nearest(sum((Fraction(value) for value in values), Fraction(0)))
    assert bits(summed(array, grid_of_floats(array))) == bits(expected + 0.0)


@settings(max_examples=400, deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=12))
def test_any_floats_sum_exactly(values: list[float]) -> None:
    assert_exact(values)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_everyday_floats_sum_exactly(values: list[float]) -> None:
    assert_exact(values)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1e-300), min_size=1, max_size=8))
def test_denormals_sum_exactly(values: list[float]) -> None:
    assert_exact(values)


@pytest.mark.parametrize(
    "values",
    [
        [1e308, 1.0, -1e308],
        [TINY, 1e308, -1e308],
        [HUGE, HUGE],
        [-HUGE, -HUGE],
        [HUGE, HUGE, -HUGE],
        [HUGE, 2.0**969],
        [HUGE, 2.0**970],
        [1.0, 2.0**-53],
        [1.0, 2.0**-53, TINY],
        [1.0 + 2.0**-52, 2.0**-53],
        [1.0, -(2.0**-54), -TINY],
        [2.0**-1022, -TINY],
        [2.0**-1022, -TINY, 2.0**-1022],
        [0.1] * 10,
        [-0.0],
        [0.0, -0.0],
        [TINY],
        [-TINY, 2.0**52],
        [2.0**62 - 1024.0, 2.0**-62],
        [9007199254740993.0, 1.0, 0.5],
    ],
)
def test_hard_floats_sum_exactly(values: list[float]) -> None:
    assert_exact(values)


def test_a_column_of_a_whole_number_needs_one_limb() -> None:
    assert grid_of_floats(np.arange(-5000.0, 5000.0)) == Grid(0, 48, 1)


def test_the_grid_cannot_change_a_sum() -> None:
    values = np.random.default_rng(1).normal(size=999) * 10.0 ** (np.arange(999) % 400 - 200)
    grids = [Grid(-1080, 30, 71), Grid(-1080, 52, 41), grid_of_floats(values)]
    assert len({bits(summed(values, grid)) for grid in grids}) == 1


def test_prefix_sums_of_random_columns_round_like_fractions() -> None:
    rng = np.random.default_rng(2)
    for scale in (1e-310, 1e-8, 1.0, 1e300):
        values = np.exp(rng.uniform(-18, 18, 300)) * scale * rng.choice([-1, 1], 300)
        grid = grid_of_floats(values)
        sums = tuple(np.cumsum(limb) for limb in split_floats(values, grid))
        exact, total = [], Fraction(0)
        for value in values:
            total += Fraction(float(value))
            exact.append(nearest(total) + 0.0)
        assert rounded(sums, grid).tobytes() == np.array(exact).tobytes()


def test_float32_keeps_every_bit() -> None:
    values = np.random.default_rng(3).normal(size=100).astype(np.float32)
    expected = nearest(sum((Fraction(float(value)) for value in values), Fraction(0)))
    assert summed(values, grid_of_floats(values)) == expected


def test_nonfinite_floats_do_not_shape_the_grid() -> None:
    grid = grid_of_floats(np.array([1.0, np.inf, -np.inf, np.nan, 3.0]))
    assert grid == Grid(0, 59, 1)


def test_an_empty_column_has_a_grid() -> None:
    assert grid_of_floats(np.array([])).size == 1
    assert grid_of_integers(np.array([], dtype=np.int64)).size == 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9))
def test_int64_sums_are_exact_or_flagged(values: list[int]) -> None:
    array, total = np.array(values, dtype=np.int64), sum(values)
    grid = grid_of_integers(array)
    limbs = tuple(limb.sum(keepdims=True) for limb in split_integers(array, grid))
    sums, exceeds = to_int64(limbs, grid)
    assert bool(exceeds[0]) == (not -(2**63) <= total < 2**63)
    assert exceeds[0] or int(sums[0]) == total
    assert float(rounded(limbs, grid)[0]) == float(total)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=9))
def test_uint64_sums_are_exact_or_flagged(values: list[int]) -> None:
    array, total = np.array(values, dtype=np.uint64), sum(values)
    grid = grid_of_integers(array)
    limbs = tuple(limb.sum(keepdims=True) for limb in split_integers(array, grid))
    sums, exceeds = to_int64(limbs, grid)
    assert bool(exceeds[0]) == (total >= 2**63)
    assert exceeds[0] or int(sums[0]) == total


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(-(10**38) + 1, 10**38 - 1), min_size=1, max_size=9))
def test_128_bit_sums_are_exact_or_flagged(values: list[int]) -> None:
    low = np.array([value & (2**64 - 1) for value in values], dtype=np.uint64)
    high = np.array([value >> 64 for value in values], dtype=np.int64)
    grid, total = Grid.spanning(0, 127, len(values)), sum(values)
    limbs = tuple(limb.sum(keepdims=True) for limb in split_wide(Words(low, high), grid))
    words, exceeds = to_int128(limbs, grid)
    assert bool(exceeds[0]) == (not -(2**127) <= total < 2**127)
    assert exceeds[0] or (int(words.high[0]) << 64) + int(words.low[0]) == total
    assert float(rounded(limbs, grid)[0]) == float(total)


def test_sums_just_inside_and_outside_int64() -> None:
    edge = np.array([2**63 - 1, -(2**63), 1, -1], dtype=np.int64)
    grid = grid_of_integers(edge)
    limbs = split_integers(edge, grid)
    pairs = tuple(np.array([limb[0] + limb[2], limb[1] + limb[3], limb[0]]) for limb in limbs)
    sums, exceeds = to_int64(pairs, grid)
    assert exceeds.tolist() == [True, True, False]
    assert sums[2] == 2**63 - 1
