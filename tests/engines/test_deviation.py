"""Deviations against fractions: within 1 ulp, 0 only of equal numbers, equal bits on any grid."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.engines.deviation import deviation, deviation_grid, squares
from mlforge.engines.exact import (
    Grid,
    Integers,
    Limbs,
    Words,
    span_of_floats,
    span_of_integers,
    span_of_wide,
    split_floats,
    split_integers,
    split_wide,
)
from mlforge.testing.oracle import std

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TINY, HUGE = 5e-324, 1.7976931348623157e308
Column = np.ndarray[Any, Any] | Words


def span(values: Column) -> tuple[int, int]:
    if isinstance(values, Words):
        return span_of_wide(values)
    return (span_of_floats if values.dtype.kind == "f" else span_of_integers)(values)


def limbs_of(values: Column, grid: Grid) -> Limbs:
    if isinstance(values, Words):
        return split_wide(values, grid)
    return (split_floats if values.dtype.kind == "f" else split_integers)(values, grid)


def deviations(values: Column, starts: list[int], grid: Grid, scale: int = 0) -> np.ndarray:
    """Of the values from each start to the next one, in one call."""
    limbs = limbs_of(values, grid)
    sums, square_sums = (
        tuple(np.add.reduceat(limb, starts) for limb in which) for which in (limbs, squares(limbs))
    )
    counts: Integers = np.diff(starts, append=len(values))
    return deviation(counts, sums, square_sums, grid, scale)


def deviated(values: Column, grid: Grid | None = None, scale: int = 0) -> float:
    grid = grid or deviation_grid(*span(values), len(values))
    return float(deviations(values, [0], grid, scale)[0])


def grids(values: Column) -> list[Grid]:
    """Of several widths, and of several units where the values are floats: integers begin at 0."""
    lowest, highest = span(values)
    spans = [(lowest, highest, 1), (lowest, highest, 10**4), (lowest, highest, 10**7)]
    if not isinstance(values, Words) and values.dtype.kind == "f":
        spans += [(lowest - 1, highest + 5, 9), (lowest - 32, highest + 60, 1)]
    return [deviation_grid(low, high, len(values) * times) for low, high, times in spans]


def wide(values: list[int]) -> Words:
    low = np.array([value & (2**64 - 1) for value in values], dtype=np.uint64)
    return Words(low, np.array([value >> 64 for value in values], dtype=np.int64))


def is_close(found: float, expected: Any) -> bool:
    if found == expected:
        return True
    ulp = Fraction(math.ulp(expected))
    return expected > 0 and abs(Fraction(found) - Fraction(expected)) <= ulp


def assert_close(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    found = {deviated(array, grid) for grid in grids(array)}
    assert len(found) == 1
    assert is_close(found.pop(), std(list(values)))


@settings(max_examples=150, deadline=None)
@given(st.lists(FINITE, min_size=2, max_size=6))
def test_of_any_floats(values: list[float]) -> None:
    assert_close(values)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_of_everyday_floats(values: list[float]) -> None:
    assert_close(values)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e-307, 1e-307), min_size=2, max_size=8))
def test_of_denormals(values: list[float]) -> None:
    assert_close(values)


@settings(max_examples=300, deadline=None)
@given(st.floats(1.0, 1e12), st.lists(st.integers(-9, 9), min_size=2, max_size=9))
def test_of_nearly_equal_floats(centre: float, steps: list[int]) -> None:
    assert_close([centre + step * math.ulp(centre) for step in steps])


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 0.0],
        [0.1] * 7,
        [-0.1, -0.1, -0.1],
        [1.0, 2.0],
        [-1.0, 1.0],
        [1e9, 1e9 + 1.2e-7],
        [1e9 + 1e-6, 1e9, 1e9, 1e9 - 1e-6],
        [1e-300, 1e300],
        [1e-300, 1e300, -1e300, 1.0],
        [TINY, 0.0],
        [TINY, -TINY],
        [TINY, TINY, TINY],
        [2.0**-1022, 2.0**-1022 - TINY],
        [3 * TINY, 0.0, 0.0, 0.0, TINY],
        [1e308, -1e308],
        [1e308, 1e308, 1e308, -1e308],
        [HUGE, HUGE],
        [HUGE, 0.0],
        [HUGE, math.nextafter(HUGE, 0.0)],
        [HUGE, TINY],
        [1.0, 1.0 + 2.0**-52],
        [2.0**30, 2.0**30, 2.0**30 + 2.0**-22],
        [2.0**31 - 1, 0.0],
        [2.0**62, 1.0, -1.0],
    ],
)
def test_of_hard_floats(values: list[float]) -> None:
    assert_close(values)


def test_beyond_float64_is_an_infinity() -> None:
    assert deviated(np.array([HUGE, -HUGE])) == math.inf == std([HUGE, -HUGE])


def test_equal_numbers_do_not_deviate() -> None:
    for value in (0.1, -3.7e200, TINY, HUGE, 1 / 3):
        assert math.copysign(1.0, deviated(np.full(1001, value))) == 1.0
        assert deviated(np.full(1001, value)) == 0.0


def test_below_two_numbers_is_zero() -> None:
    none = np.zeros(1, dtype=np.int64)
    assert deviation(none, (none,), (none,), Grid(0, 20, 1)).tolist() == [0.0]
    assert deviated(np.array([3.7])) == 0.0
    assert len(deviation(none[:0], (none[:0],), (none[:0],), Grid(0, 20, 1))) == 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(FINITE | st.floats(-1e6, 1e6), min_size=2, max_size=6),
    st.integers(0, 90),
    st.integers(0, 90),
    st.integers(1, 10**7),
)
def test_the_grid_cannot_change_a_bit(
    values: list[float], below: int, above: int, times: int
) -> None:
    array = np.array(values)
    lowest, highest = span_of_floats(array)
    other = deviation_grid(lowest - below, highest + above, len(values) * times)
    assert deviated(array, other) == deviated(array)


def test_rows_of_one_call_cannot_change_each_other() -> None:
    rng = np.random.default_rng(4)
    values = np.exp(rng.normal(0, 3, 30_000))
    starts = [0, 2, 5, 25, 26, 1_000, 20_000, 20_002]
    grid = deviation_grid(*span_of_floats(values), len(values))
    together = deviations(values, starts, grid).tolist()
    alone = [deviated(part, grid) for part in np.split(values, starts[1:])]
    assert together == alone


def test_everyday_columns_are_rounded_correctly() -> None:
    rng = np.random.default_rng(5)
    for values in (np.exp(rng.normal(0, 1, 9_000)), np.round(rng.exponential(50, 9_000), 2)):
        starts = list(range(0, 9_000, 30))
        grid = deviation_grid(*span_of_floats(values), 30)
        expected = [std(part.tolist()) for part in np.split(values, starts[1:])]
        assert deviations(values, starts, grid).tolist() == expected


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_of_integers_to_their_edges(dtype: str) -> None:
    limits = np.iinfo(dtype)
    edges = [limits.min, limits.max, limits.min + 1, limits.max - 1, 0, 7]
    for values in (edges, edges[:2], [limits.max] * 3, [limits.max, limits.max - 1]):
        array = np.array(values, dtype=dtype)
        assert {is_close(deviated(array, grid), std(values)) for grid in grids(array)} == {True}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-99, 99), min_size=2, max_size=9))
def test_of_any_int64(values: list[int]) -> None:
    array = np.array(values, dtype=np.int64)
    assert is_close(deviated(array), std(values))
    assert len({deviated(array, grid) for grid in grids(array)}) == 1


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-(10**7), 10**7),
        min_size=2,
        max_size=8,
    ),
    st.integers(0, 38),
)
def test_of_decimals(values: list[int], scale: int) -> None:
    words = wide(values)
    exact = [Decimal(value).scaleb(-scale, Context(prec=60)) for value in values]
    found = {deviated(words, grid, scale) for grid in grids(words)}
    assert len(found) == 1
    assert is_close(found.pop(), std(exact))


def test_of_float32() -> None:
    values = np.random.default_rng(6).normal(size=50).astype(np.float32)
    assert is_close(deviated(values), std(values.tolist()))


@pytest.mark.parametrize(("scale", "count"), [(1e-300, 9_999), (1.0, 10**6), (1e290, 9_999)])
def test_of_many_numbers(scale: float, count: int) -> None:
    values = np.random.default_rng(7).normal(3.0, 1.0, count) * scale
    lowest, _ = span_of_floats(values)
    unit = Fraction(2) ** lowest
    whole = [int(Fraction(value) / unit) for value in values.tolist()]
    total = sum(whole)
    spread = count * sum(number * number for number in whole) - total * total
    variance = Fraction(spread, count * (count - 1)) * unit**2
    found = Fraction(deviated(values))
    assert abs(found**2 / variance - 1) < Fraction(1, 2**52)


def test_of_counts_far_beyond_what_is_stored() -> None:
    count = 2**31 - 1
    grid = deviation_grid(0, 3, count)
    sums = np.array([7 * (count - 1)]), np.array([49 * (count - 1)])
    found = deviation(np.array([count]), sums[:1], sums[1:], grid)
    variance = Fraction(49 * (count - 1) * count - 49 * (count - 1) ** 2, count * (count - 1))
    assert abs(Fraction(float(found[0])) ** 2 / variance - 1) < Fraction(1, 2**52)


@given(st.integers(-1074, 1000), st.integers(1, 2098), st.integers(1, 2**31))
def test_a_grid_holds_its_numbers_and_the_sums_of_their_squares(
    lowest: int, bits: int, count: int
) -> None:
    grid = deviation_grid(lowest, lowest + bits, count)
    assert grid.unit == lowest
    assert (grid.size - 1) * grid.width < bits <= grid.size * grid.width
    assert 2 * grid.width + (count * grid.size).bit_length() <= 62
