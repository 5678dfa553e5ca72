"""Medians against sorted lists and fractions: the exact middle, rounded once; bits are compared."""

from __future__ import annotations

import math
import struct
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.engines.exact import Words
from mlforge.engines.medians import decimal_middles, middles, range_medians
from mlforge.testing.oracle import median

FLOATS = st.floats(allow_nan=False)
TINY, HUGE = 5e-324, 1.7976931348623157e308


def bits(value: Any) -> bytes:
    return struct.pack("<d", value)


def wide(values: list[int]) -> Words:
    low = np.array([value & (2**64 - 1) for value in values], dtype=np.uint64)
    return Words(low, np.array([value >> 64 for value in values], dtype=np.int64))


def assert_middles_stand_there(
    values: list[Any], array: Any, ranges: list[tuple[int, int]]
) -> None:
    begins, ends = (np.array(edges, dtype=np.int64) for edges in zip(*ranges, strict=True))
    low, high = range_medians(array, begins, ends)
    for (begin, end), lower, upper in zip(ranges, low.tolist(), high.tolist(), strict=True):
        if begin == end:
            assert (lower, upper) == (0, 0)
            continue
        own = sorted(values[begin:end])
        assert begin <= lower < end
        assert begin <= upper < end
        assert values[lower] == own[(len(own) - 1) // 2]
        assert values[upper] == own[len(own) // 2]


@st.composite
def questions(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> tuple[list[Any], Any]:
    column = draw(st.lists(values, max_size=40))
    edge = st.integers(0, len(column))
    pairs = st.tuples(edge, edge).map(lambda pair: (min(pair), max(pair)))
    return column, draw(st.lists(pairs, min_size=1, max_size=30))


@settings(max_examples=300, deadline=None)
@given(questions(FLOATS | st.sampled_from([0.0, -0.0, 1.0, 2.0])))
def test_of_any_ranges_of_floats(question: tuple[list[float], list[tuple[int, int]]]) -> None:
    assert_middles_stand_there(question[0], np.array(question[0]), question[1])


@settings(max_examples=300, deadline=None)
@given(questions(st.integers(0, 3) | st.integers(0, 255)))
def test_of_any_ranges_of_repeated_integers(
    question: tuple[list[int], list[tuple[int, int]]],
) -> None:
    assert_middles_stand_there(question[0], np.array(question[0], dtype=np.uint8), question[1])


@settings(max_examples=200, deadline=None)
@given(questions(st.integers(-(2**127), 2**127 - 1) | st.integers(-3, 3)))
def test_of_any_ranges_of_wide_integers(
    question: tuple[list[int], list[tuple[int, int]]],
) -> None:
    assert_middles_stand_there(question[0], wide(question[0]), question[1])


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f4", "f8"])
def test_of_every_range_of_a_few_values(dtype: str) -> None:
    array = np.array([3, 1, 0, 1, 1, 250, 7, 0, 2]).astype(dtype)
    ranges = [(begin, end) for begin in range(10) for end in range(begin, 10)]
    assert_middles_stand_there(array.tolist(), array, ranges)


def test_of_windows_of_entities() -> None:
    """Over 2**16 groups and over one block of ranges; entities of 1, 2 and many events."""
    rng = np.random.default_rng(1)
    lengths = np.concatenate([rng.integers(1, 3, 70_000), [3_000], rng.integers(1, 9, 500)])
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    ends = np.arange(1, len(starts) + 1)
    begins = np.maximum(starts, ends - rng.integers(0, 50, len(ends)))
    values = rng.normal(size=len(starts)).round(1)
    low, high = range_medians(values, begins, ends)
    rows = np.concatenate(
        [rng.integers(0, len(ends), 300), np.flatnonzero(ends - begins > 9)[:300]]
    )
    for row in rows.tolist():
        own = np.sort(values[begins[row] : ends[row]])
        if len(own):
            assert values[low[row]] == own[(len(own) - 1) // 2]
            assert values[high[row]] == own[len(own) // 2]


def test_of_nothing() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert [len(found) for found in range_medians(none, none, none)] == [0, 0]
    assert [found.tolist() for found in range_medians(none, np.array([0]), np.array([0]))] == [
        [0]
    ] * 2


def assert_middle(low: Any, high: Any, dtype: str) -> None:
    values = [np.array([value], dtype=dtype) for value in (low, high)]
    found = float(middles(*values)[0])
    expected = median([value[0].item() + (0.0 if dtype[0] == "f" else 0) for value in values])
    assert math.isnan(found) if expected is None else bits(found) == bits(expected)


@settings(max_examples=500, deadline=None)
@given(FLOATS, FLOATS)
def test_between_any_floats(low: float, high: float) -> None:
    assert_middle(low, high, "f8")


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False))
def test_between_any_floats_of_32_bits(low: float, high: float) -> None:
    assert_middle(low, high, "f4")


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (HUGE, HUGE),
        (-HUGE, -HUGE),
        (-HUGE, HUGE),
        (HUGE, math.nextafter(HUGE, 0.0)),
        (2.0**1023, HUGE),
        (TINY, HUGE),
        (0.0, TINY),
        (-TINY, 0.0),
        (TINY, TINY),
        (TINY, 2 * TINY),
        (-3 * TINY, 0.0),
        (2.0**-1022, 2.0**-1022 - TINY),
        (2.0**-1022, 2.0**-1022 + TINY),
        (-0.0, -0.0),
        (-0.0, 0.0),
        (-1.0, 1.0),
        (1.0, 1.0 + 2.0**-52),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (-math.inf, math.inf),
        (1.0, math.inf),
        (-math.inf, HUGE),
    ],
)
def test_between_hard_floats(low: float, high: float) -> None:
    assert_middle(low, high, "f8")


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_between_integers_at_their_edges(dtype: str) -> None:
    limits = np.iinfo(dtype)
    edges = [limits.min, limits.min + 1, limits.max - 1, limits.max, 0, 1, 2]
    bounds = [edge + step for edge in (2**53, 2**54, 2**63, -(2**53)) for step in range(-4, 5)]
    edges += [bound for bound in bounds if limits.min <= bound <= limits.max]
    for low in edges:
        for high in edges:
            assert_middle(low, high, dtype)


@settings(max_examples=300, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_between_any_int64(low: int, high: int) -> None:
    assert_middle(low, high, "i8")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_between_any_uint64(low: int, high: int) -> None:
    assert_middle(low, high, "u8")


def test_between_booleans() -> None:
    low, high = np.array([False, False, True]), np.array([False, True, True])
    assert middles(low, high).tolist() == [0.0, 0.5, 1.0]


UNSCALED = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.integers(-999, 999),
    st.integers(2**53 - 2, 2**53 + 2),
    st.integers(-(2**53) - 2, -(2**53) + 2),
    st.integers(2**63 - 2, 2**64 + 2),
)


@settings(max_examples=500, deadline=None)
@given(UNSCALED, UNSCALED, st.integers(0, 38))
def test_between_any_decimals(low: int, high: int, scale: int) -> None:
    exact = [Decimal(value).scaleb(-scale, Context(prec=60)) for value in (low, high)]
    found = decimal_middles(wide([low]), wide([high]), scale)
    expected = median(exact)
    assert bits(float(found[0])) == bits(expected)
