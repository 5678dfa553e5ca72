"""Aggregates: a window's integers finished to the values that users see, as Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cached_property

import numpy as np
import pyarrow as pa

from mlforge.definitions.rolling import Aggregation
from mlforge.engines.deviation import deviation
from mlforge.engines.exact import (
    Flags,
    Floats,
    Integers,
    Limbs,
    Numbers,
    Words,
    rounded,
    to_int64,
    to_int128,
)
from mlforge.engines.medians import decimal_middles, middles
from mlforge.engines.tiles import State
from mlforge.engines.windows import window_extremes, window_sums
from mlforge.errors import SumOverflow
from mlforge.types import DataType, TypeKind, decimal, float64, int64
from mlforge.types.arrow import to_arrow

_EXACT = Context(prec=100)


@dataclass(frozen=True)
class Window:
    """A column's state over one window at each row."""

    state: State
    type: DataType
    dictionary: pa.Array | None
    since: Integers
    upto: Integers
    # Where the lower and the upper one of the two in the middle stand in `state.ranked`.
    middle: tuple[Integers, Integers] | None = None

    @cached_property
    def counts(self) -> Integers:
        return self.sum_of(self.state.counts)

    @cached_property
    def limbs(self) -> Limbs:
        return tuple(self.sum_of(limb) for limb in self.state.limbs)

    @cached_property
    def float_sums(self) -> tuple[Floats, Flags]:
        """Nearest float64 with infinities, and where there is a sum at all."""
        assert self.state.grid is not None
        known = self.counts > 0
        if self.type.kind is TypeKind.DECIMAL:
            return self._decimal_sums(), known
        sums = rounded(self.limbs, self.state.grid)
        if self.state.infinities is None:
            return sums, known
        positive, negative = (self.sum_of(count) > 0 for count in self.state.infinities)
        sums = np.where(positive, np.inf, np.where(negative, -np.inf, sums))
        return sums, known & ~(positive & negative)

    def sum_of(self, tile_values: Integers) -> Integers:
        return window_sums(tile_values, self.since, self.upto)

    def _decimal_sums(self) -> Floats:
        assert self.state.grid is not None
        words, exceeds = to_int128(self.limbs, self.state.grid)
        unscaled, one = words.low.view(np.int64), 10**self.type.scale
        # The quotient of two exact floats is rounded once; all others go through big integers.
        is_exact = ~exceeds & (words.high == unscaled >> 63)
        is_exact &= (unscaled >= -(1 << 53)) & (unscaled <= 1 << 53)
        sums = unscaled.astype(np.float64) / float(one)
        for row in np.flatnonzero(~is_exact | (self.type.scale > 22)):
            sums[row] = self.exact_sum(int(row)) / one
        return sums

    def exact_sum(self, row: int) -> int:
        """In units of the last digit, of any size."""
        assert self.state.grid is not None
        width = self.state.grid.width
        return sum(int(limb[row]) << width * index for index, limb in enumerate(self.limbs))


def finished(window: Window, aggregation: Aggregation) -> pa.Array:
    """The aggregation's value at each row. SumOverflow says only what does not fit."""
    match aggregation:
        case Aggregation.COUNT:
            return arrow_array(window.counts, None, int64())
        case Aggregation.SUM:
            return _sums(window)
        case Aggregation.MEAN:
            sums, known = window.float_sums
            with np.errstate(invalid="ignore", divide="ignore"):
                # What is too small for float64 is 0.0, whatever its sign.
                return arrow_array(sums / window.counts + 0.0, known, float64())
        case Aggregation.MIN:
            return _extremes(window, window.state.lowest, np.minimum)
        case Aggregation.MAX:
            return _extremes(window, window.state.highest, np.maximum)
        case Aggregation.STD:
            return _deviations(window)
        case Aggregation.MEDIAN:
            return _medians(window)


def _deviations(window: Window) -> pa.Array:
    assert window.state.grid is not None
    known = window.counts > 1
    for infinite in window.state.infinities or ():
        known &= window.sum_of(infinite) == 0
    squares = tuple(window.sum_of(limb) for limb in window.state.squares)
    values = deviation(window.counts, window.limbs, squares, window.state.grid, window.type.scale)
    return arrow_array(values, known, float64())


def _medians(window: Window) -> pa.Array:
    assert window.middle is not None
    ranked, known = window.state.ranked, window.counts > 0
    if ranked is None or not len(ranked):
        return arrow_array(np.zeros(len(known)), known, float64())
    if window.type.kind is not TypeKind.DECIMAL:
        assert not isinstance(ranked, Words)
        values = middles(*(ranked[positions] for positions in window.middle))
        return arrow_array(values, known & ~np.isnan(values), float64())
    words = ranked if isinstance(ranked, Words) else Words(ranked.view(np.uint64), ranked >> 63)
    low, high = (words[positions] for positions in window.middle)
    return arrow_array(decimal_middles(low, high, window.type.scale), known, float64())


def _sums(window: Window) -> pa.Array:
    if window.type.is_float:
        return arrow_array(*window.float_sums, float64())
    assert window.state.grid is not None
    known = window.counts > 0
    if window.type.kind is TypeKind.DECIMAL:
        words, exceeds = to_int128(window.limbs, window.state.grid)
        _check_fits(window, exceeds | _exceeds_38_digits(words), "decimal(38)")
        pairs = np.stack([words.low.view(np.int64), words.high], axis=1)
        return arrow_array(pairs, known, decimal(38, window.type.scale))
    sums, exceeds = to_int64(window.limbs, window.state.grid)
    _check_fits(window, exceeds, "int64")
    return arrow_array(sums, known, int64())


def _extremes(window: Window, tile_values: Numbers | None, pick: np.ufunc) -> pa.Array:
    assert tile_values is not None
    values, known = window_extremes(tile_values, window.since, window.upto, pick), window.counts > 0
    if window.dictionary is None:
        return arrow_array(values, known, window.type)
    if not len(window.dictionary):
        return pa.nulls(len(values), window.dictionary.type)
    return window.dictionary.take(pa.array(values, mask=~known))


def _exceeds_38_digits(words: Words) -> Flags:
    exceeds: Flags = _is_at_least(words, 10**38) | ~_is_at_least(words, 1 - 10**38)
    return exceeds


def _is_at_least(words: Words, bound: int) -> Flags:
    high, low = np.int64(bound >> 64), np.uint64(bound & ((1 << 64) - 1))
    at_least: Flags = (words.high > high) | ((words.high == high) & (words.low >= low))
    return at_least


def _check_fits(window: Window, exceeds: Flags, what: str) -> None:
    if exceeds.any():
        found = Decimal(window.exact_sum(int(np.flatnonzero(exceeds)[0])))
        raise SumOverflow(
            f"does not fit {what}",
            cause=f"the first one that does not is {found.scaleb(-window.type.scale, _EXACT):f}",
            hint="cast the column to Float64 in the function, or sum over a shorter window",
        )


def arrow_array(values: Numbers, known: Flags | None, type: DataType) -> pa.Array:
    """Numbers as the Arrow array of a type; null, and zeroed, where they are not known."""
    if known is not None and known.all():
        known = None
    if known is not None:
        values = np.where(known if values.ndim == 1 else known[:, None], values, 0)
    if type.kind is TypeKind.BOOL:
        return pa.array(values.astype(np.bool_), mask=None if known is None else ~known)
    bitmap = None if known is None else _buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(to_arrow(type), len(values), [bitmap, _buffer(values)])


def _buffer(values: Numbers) -> pa.Buffer:
    """A copy in Arrow's pool, which gives memory back.

    The heap of the C library keeps what other threads allocated: a process grew by the size of
    its results with every build.
    """
    buffer = pa.allocate_buffer(values.nbytes)
    np.copyto(np.frombuffer(buffer, dtype=values.dtype).reshape(values.shape), values)
    return buffer
