"""Exact: numbers split into integer limbs that sums cannot round, and the one rounding at the end.

A number is `sum(limb[i] * 2**(unit + width * i))`. Limbs are int64 and are added as integers, so
neither order nor threads can change a bit; only `rounded` rounds, once, half to even.
Rule: docs/semantics.md#rolling-windows, 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bits: TypeAlias = npt.NDArray[np.uint64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = npt.NDArray[Any]
Limbs: TypeAlias = tuple[Integers, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """128-bit integers as two words of 64 bits."""

    low: Bits
    high: Integers

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, rows: Integers) -> Words:
        return Words(self.low[rows], self.high[rows])


# Values of which all temporaries fit the cache; whole arrays pay a page fault for each.
BLOCK = 1 << 15

_EXPONENT_BIAS, _MANTISSA_BITS = 1023, 52
_MANTISSA = (1 << _MANTISSA_BITS) - 1


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a column's limbs lie: `size` limbs of `width` bits from `2**unit` upwards.

    Each limb is at most 2**width in magnitude, and a sum adds fewer than 2**(62 - width) of them:
    so it is below 2**62 and fits int64.
    """

    unit: int
    width: int
    size: int

    @classmethod
    def spanning(cls, lowest: int, highest: int, count: int) -> Grid:
        """For sums of `count` numbers below 2**highest that are multiples of 2**lowest."""
        width, span = 62 - count.bit_length(), highest - lowest
        if width < span <= 2 * _MANTISSA_BITS:
            # Two limbs that are floats each are rounded by one addition.
            width = min(width, _MANTISSA_BITS)
        return cls(lowest, width, max(1, -(-span // width)))


def grid_of_floats(values: Numbers, count: int | None = None) -> Grid:
    """The grid on which the finite ones of these floats, and sums of `count` of them, are exact.

    `count` None: of all of them.
    """
    return Grid.spanning(*span_of_floats(values), len(values) if count is None else count)


def span_of_floats(values: Numbers) -> tuple[int, int]:
    """The lowest bit in use and the one above the highest; the finite ones count."""
    ranges = [_bit_range(block.astype(np.float64, copy=False)) for block in _blocks(values)]
    used = [bit_range for bit_range in ranges if bit_range is not None]
    lowest = min((low for low, _ in used), default=0)
    return lowest, max((high for _, high in used), default=0)


def span_of_integers(values: Numbers) -> tuple[int, int]:
    """As for floats, from 0 upwards."""
    least, greatest = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    return 0, max(least.bit_length(), greatest.bit_length())


def span_of_wide(words: Words) -> tuple[int, int]:
    """As for floats, from 0 upwards."""
    sign = words.high >> np.int64(63)
    high = int((words.high ^ sign).max(initial=0))
    low = int((words.low ^ sign.view(np.uint64)).max(initial=0))
    return 0, 64 + high.bit_length() if high else low.bit_length()


def split_floats(values: Numbers, grid: Grid) -> Limbs:
    """The limbs of finite floats, every bit of them."""
    rest, limbs = values.astype(np.float64), []
    for index in reversed(range(grid.size)):
        position = grid.unit + grid.width * index
        # Below the position a product may underflow and round: it stays below one and truncates.
        limb = _scaled(rest, -position).astype(np.int64)
        if index:
            rest -= _scaled(limb.astype(np.float64), position)
        limbs.append(limb)
    return tuple(reversed(limbs))


def split_integers(values: Numbers, grid: Grid) -> Limbs:
    """The limbs of integers of at most 64 bits."""
    mask, limbs = (1 << grid.width) - 1, []
    for index in range(grid.size - 1):
        limb = values >> values.dtype.type(grid.width * index)
        limbs.append((limb & limb.dtype.type(mask)).astype(np.int64))
    top = values >> values.dtype.type(grid.width * (grid.size - 1)) if grid.size > 1 else values
    return (*limbs, top.astype(np.int64, copy=False))


def split_wide(words: Words, grid: Grid) -> Limbs:
    """The limbs of 128-bit integers."""
    mask, limbs = np.int64((1 << grid.width) - 1), []
    for index in range(grid.size):
        limb = _word_at(words, grid.width * index)
        limbs.append(limb & mask if index < grid.size - 1 else limb)
    return tuple(limbs)


def _word_at(words: Words, position: int) -> Integers:
    if position >= 64:
        return words.high >> np.int64(position - 64)
    if position == 0:
        return words.low.view(np.int64)
    upper = words.high.view(np.uint64) << np.uint64(64 - position)
    return ((words.low >> np.uint64(position)) | upper).view(np.int64)


def rounded(limbs: Limbs, grid: Grid) -> Floats:
    """The nearest float64 of each exact sum, half to even; beyond float64 an infinity."""
    if grid.size == 1:
        return _scaled(limbs[0].astype(np.float64), grid.unit)
    result = np.empty(len(limbs[0]), dtype=np.float64)
    for start in range(0, len(result), BLOCK):
        part = slice(start, start + BLOCK)
        block = tuple(limb[part] for limb in limbs)
        result[part] = _rounded_pair(block, grid) if grid.size == 2 else _rounded(block, grid)
    return result


def to_int64(limbs: Limbs, grid: Grid) -> tuple[Integers, Flags]:
    """Exact integer sums as int64, and which of them do not fit."""
    carried = _carried(limbs, grid.width)
    total = np.zeros(len(limbs[0]), dtype=np.int64)
    for index, limb in enumerate(carried):
        total += limb << np.int64(grid.width * index)
    return total, _exceeds(carried[-1], 64 - grid.width * (grid.size - 1))


def to_int128(limbs: Limbs, grid: Grid) -> tuple[Words, Flags]:
    """Exact integer sums of 128 bits, and which of them do not fit."""
    carried = _carried(limbs, grid.width)
    low = np.zeros(len(limbs[0]), dtype=np.uint64)
    high = np.zeros(len(limbs[0]), dtype=np.int64)
    for index, limb in enumerate(carried):
        below, above = _shifted(limb, grid.width * index)
        low += below
        high += above + (low < below)
    return Words(low, high), _exceeds(carried[-1], 128 - grid.width * (grid.size - 1))


def _shifted(limb: Integers, position: int) -> tuple[Bits, Integers]:
    if position >= 64:
        return np.zeros(len(limb), dtype=np.uint64), limb << np.int64(position - 64)
    above = limb >> np.int64(64 - position) if position else limb >> np.int64(63)
    return limb.view(np.uint64) << np.uint64(position), above


def _exceeds(top: Integers, bits: int) -> Flags:
    """Whether the top limb needs more than so many bits, sign included."""
    if bits >= 64:
        return np.zeros(len(top), dtype=np.bool_)
    bound = 1 << (bits - 1)
    return (top < -bound) | (top >= bound)


def _carried(limbs: Limbs, width: int) -> Limbs:
    """The same numbers with all limbs but the top one in [0, 2**width)."""
    mask, carry, carried = np.int64((1 << width) - 1), np.zeros_like(limbs[0]), []
    for limb in limbs[:-1]:
        total = limb + carry
        carried.append(total & mask)
        carry = total >> np.int64(width)
    return (*carried, limbs[-1] + carry)


def _rounded_pair(limbs: Limbs, grid: Grid) -> Floats:
    """Two limbs of at most 53 bits are two floats: their one addition is the one rounding."""
    half = np.int64(1 << (grid.width - 1))
    carry = (limbs[0] + half) >> np.int64(grid.width)
    low, high = limbs[0] - (carry << np.int64(grid.width)), limbs[1] + carry
    is_exact = grid.width <= 53 and high.min() > -(1 << 53) and high.max() < 1 << 53
    is_normal = grid.unit > -900 and grid.unit + grid.width < 900
    if not (is_exact and is_normal):
        return _rounded(limbs, grid)
    total = high.astype(np.float64) * 2.0**grid.width + low.astype(np.float64)
    return _scaled(total, grid.unit)


def _rounded(limbs: Limbs, grid: Grid) -> Floats:
    is_negative = _carried(limbs, grid.width)[-1] < 0
    magnitude = _carried(tuple(_negated(limb, is_negative) for limb in limbs), grid.width)
    top, position = _top_bits(magnitude, grid.width)
    with np.errstate(over="ignore"):
        result = np.ldexp(top.astype(np.float64), (position + grid.unit).astype(np.int32))
    return np.where(is_negative, -result, result)


def _negated(limb: Integers, which: Flags) -> Integers:
    return np.where(which, -limb, limb)


def _top_bits(magnitude: Limbs, width: int) -> tuple[Bits, Integers]:
    """At least the top 63 bits with a sticky last bit, and the exponent of the last bit."""
    top = magnitude[-1].view(np.uint64)
    sticky = np.zeros(len(top), dtype=np.bool_)
    position = np.full(len(top), width * (len(magnitude) - 1), dtype=np.int64)
    for limb in reversed(magnitude[:-1]):
        taken = np.clip(64 - _bit_length(top), 0, width)
        left = (width - taken).view(np.uint64)
        bits = limb.view(np.uint64)
        top = (top << taken.view(np.uint64)) | (bits >> left)
        sticky |= (bits & ((np.uint64(1) << left) - np.uint64(1))) != 0
        position -= taken
    return top | sticky, position


def _bit_length(values: Bits) -> Integers:
    """Bits in use; one too many where the conversion rounds up to a power of two."""
    exponent = values.astype(np.float64).view(np.int64) >> np.int64(_MANTISSA_BITS)
    lengths: Integers = np.maximum(exponent - (_EXPONENT_BIAS - 1), 0)
    return lengths


def _scaled(values: Floats, exponent: int) -> Floats:
    """values * 2**exponent, in two steps where 2**exponent is no float."""
    if exponent == 0:
        return values
    with np.errstate(over="ignore", under="ignore"):
        if -1022 <= exponent <= 1023:
            return values * 2.0**exponent
        half = exponent // 2
        return (values * 2.0**half) * 2.0 ** (exponent - half)


def _bit_range(values: Floats) -> tuple[int, int] | None:
    """The exponents of the lowest bit in use and of the bit above the highest, if any is in use."""
    bits = values.view(np.int64)
    exponent = (bits >> np.int64(_MANTISSA_BITS)) & np.int64(0x7FF)
    mantissa = bits & np.int64(_MANTISSA)
    mantissa |= (exponent > 0).astype(np.int64) << np.int64(_MANTISSA_BITS)
    is_used = (mantissa != 0) & (exponent < 0x7FF)
    if not is_used.any():
        return None
    lowest_bit = (mantissa & -mantissa).astype(np.float64).view(np.int64)
    exponent = np.maximum(exponent, 1)
    position = exponent + (lowest_bit >> np.int64(_MANTISSA_BITS))
    lowest = int(position.min(where=is_used, initial=1 << 20))
    highest = int(exponent.max(where=is_used, initial=0))
    return lowest - 2 * _EXPONENT_BIAS - _MANTISSA_BITS, highest - _EXPONENT_BIAS + 1


def _blocks(values: Numbers) -> Iterator[Numbers]:
    return (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))
