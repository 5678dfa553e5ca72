"""Medians: the exact middle of many ranges at once, rounded once where it lies between two values.

Values become ranks among their neighbours, and all ranges descend one wavelet matrix over these, of
which one level, a bit of the ranks, is held at a time.
Rule: docs/semantics.md#rolling-windows, 7 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlforge.engines.exact import BLOCK, Flags, Floats, Integers, Numbers, Words

# All decimals of at most so many digits, and 2 * 10**22, are floats.
_EXACT_FLOAT, _EXACT_SCALE = 1 << 53, 22


@dataclass(frozen=True, slots=True)
class _Cursors:
    """A range of the level's order each, and which of its values is looked for, from 0 upwards."""

    begins: Numbers
    ends: Numbers
    places: Numbers


def range_medians(
    values: Numbers | Words, begins: Integers, ends: Integers
) -> tuple[Integers, Integers]:
    """Where the lower and the upper middle value of each [begin, end) stand; 0 for an empty one.

    They are one where a length is odd. `values`: below 2**31 of them, no NaN; fastest if ranges
    overlap in many small groups, as windows do that stay within their entity.
    """
    low, high = np.zeros(len(begins), dtype=np.int64), np.zeros(len(begins), dtype=np.int64)
    asked = np.flatnonzero(ends > begins)
    if not len(asked):
        return low, high
    even = asked[(ends - begins)[asked] % 2 == 0]
    ranks = _ranks(values, begins[asked], ends[asked])
    found = _descended(ranks, _cursors(begins, ends, asked, even))
    low[asked] = high[asked] = found[: len(asked)]
    high[even] = found[len(asked) :]
    return low, high


def _cursors(begins: Integers, ends: Integers, asked: Integers, even: Integers) -> _Cursors:
    """For the lower middle value of each range that is asked, then for the upper of even ones."""
    rows = np.concatenate([asked, even])
    first, last = begins[rows].astype(np.int32), ends[rows].astype(np.int32)
    places = (last - first - 1) >> np.int32(1)
    places[len(asked) :] += 1
    return _Cursors(first, last, places)


def _descended(ranks: Integers, cursors: _Cursors) -> Integers:
    """Where each cursor's value stands. Overwrites both."""
    levels, position_bits = int(ranks.max()).bit_length(), (len(ranks) - 1).bit_length()
    cells = ranks
    cells <<= position_bits
    cells |= np.arange(len(cells))
    for level in reversed(range(levels)):
        is_zero = (cells & (1 << (position_bits + level))) == 0
        zeros = np.zeros(len(cells) + 1, dtype=np.int32)
        np.cumsum(is_zero, out=zeros[1:])
        for start in range(0, len(cursors.begins), BLOCK):
            _descend(cursors, slice(start, start + BLOCK), zeros)
        cells = np.concatenate([cells.compress(is_zero), cells.compress(~is_zero)])
    cells &= (1 << position_bits) - 1
    found: Integers = cells.take(cursors.begins + cursors.places)
    return found


def _descend(cursors: _Cursors, part: slice, zeros: Numbers) -> None:
    """To the values whose bit is 0, which come first in the next level, or to the others."""
    begins, ends, places = cursors.begins[part], cursors.ends[part], cursors.places[part]
    zeros_begin, zeros_end = zeros.take(begins), zeros.take(ends)
    count = zeros_end - zeros_begin
    # All bits where the value's bit is 1: three times as fast as `where`.
    ones = -(places >= count).astype(np.int32)
    places -= count & ones
    begins += zeros[-1] - zeros_begin
    begins[:] = zeros_begin ^ ((begins ^ zeros_begin) & ones)
    ends += zeros[-1] - zeros_end
    ends[:] = zeros_end ^ ((ends ^ zeros_end) & ones)


def _ranks(values: Numbers | Words, begins: Integers, ends: Integers) -> Integers:
    """From 0 upwards within each group of overlapping ranges, equal for equal values.

    Ranks within a group are short, and each bit of them is a level.
    """
    groups = _groups(len(values), begins, ends)
    order = _order(values)
    if groups[-1]:
        order = order[np.argsort(groups[order], kind="stable")]
    is_first = np.diff(groups, prepend=-1) != 0
    is_next = _differs(values, order) | is_first
    steps = np.cumsum(is_next)
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = steps - steps[is_first].take(groups)
    return ranks


def _groups(size: int, begins: Integers, ends: Integers) -> Numbers:
    """Numbers of the groups of positions that no range crosses the borders of, from 0 upwards."""
    begun = np.bincount(begins, minlength=size)
    is_within = np.cumsum(begun - np.bincount(ends, minlength=size + 1)[:size]) > begun
    is_within[0] = True
    groups = np.cumsum(~is_within, dtype=np.int32)
    # numpy sorts numbers of 16 bits by counting.
    return groups.astype(np.uint16) if groups[-1] < 1 << 16 else groups


def _order(values: Numbers | Words) -> Integers:
    if isinstance(values, Words):
        return np.lexsort((values.low, values.high))
    return np.argsort(values)


def _differs(values: Numbers | Words, order: Integers) -> Flags:
    """Whether each value differs from the one before it in this order."""
    differs = np.zeros(len(order), dtype=np.bool_)
    for part in (values.low, values.high) if isinstance(values, Words) else (values,):
        ordered = part[order]
        differs[1:] |= ordered[1:] != ordered[:-1]
    return differs


def middles(low: Numbers, high: Numbers) -> Floats:
    """The nearest float64 of each (low + high) / 2, never -0.0; NaN between two infinities.

    Floats, integers of any width, or booleans.
    """
    if np.issubdtype(low.dtype, np.floating):
        return _middles_of_floats(low.astype(np.float64), high.astype(np.float64))
    if low.dtype.itemsize < 8:
        return (low.astype(np.float64) + high.astype(np.float64)) / 2
    one = low.dtype.type(1)
    half = ((low ^ high) & one).astype(np.float64) / 2
    whole = (low >> one) + (high >> one) + (low & high & one)
    # Both parts are exact, so their one addition is the one rounding.
    upper = (whole >> low.dtype.type(32)).astype(np.float64) * 2.0**32
    middle: Floats = upper + ((whole & low.dtype.type((1 << 32) - 1)).astype(np.float64) + half)
    return middle


def _middles_of_floats(low: Floats, high: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        total = low + high
        # Whatever is so large can be halved without error.
        is_beyond = np.isinf(total) & np.isfinite(low) & np.isfinite(high)
        return np.where(is_beyond, low / 2 + high / 2, total / 2) + 0.0


def decimal_middles(low: Words, high: Words, scale: int) -> Floats:
    """The nearest float64 of each (low + high) / (2 * 10**scale)."""
    divisor = 2 * 10**scale
    total = low.low.view(np.int64) + high.low.view(np.int64)
    is_exact = _is_short(low) & _is_short(high) & (abs(total) <= _EXACT_FLOAT)
    result = total.astype(np.float64) / float(divisor)
    for row in np.flatnonzero(~is_exact | (scale > _EXACT_SCALE)):
        result[row] = (_integer(low, row) + _integer(high, row)) / divisor
    return result


def _is_short(words: Words) -> Flags:
    unscaled = words.low.view(np.int64)
    is_short: Flags = words.high == unscaled >> np.int64(63)
    return is_short & (unscaled >= -_EXACT_FLOAT) & (unscaled <= _EXACT_FLOAT)


def _integer(words: Words, row: np.intp) -> int:
    return (int(words.high[row]) << 64) + int(words.low[row])
