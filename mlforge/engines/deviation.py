"""Deviation: the sample standard deviation from exact integer sums of numbers and of squares.

Within 1 ulp of the correctly rounded value (all but always that value itself), and the same bits
whatever the grid, the block and the processor: all is integers up to the leading bits of
n * S2 - S1**2, which depend on its value alone.
Rule: docs/semantics.md#rolling-windows, 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mlforge.engines.exact import Floats, Grid, Integers, Limbs

# Arrays below 128 KiB: larger ones the C library may give back at once, for page faults later.
_ROWS = 1 << 13
_WORD = 62
_WORD_MASK = (1 << _WORD) - 1
# A float's upper 26 bits: products of two halves are exact, or err by the last bit of the lowest.
_HALF_BITS = 26
_UPPER_HALF = np.int64(-1 << 27)


def deviation_grid(lowest: int, highest: int, count: int) -> Grid:
    """For numbers below 2**highest that are multiples of 2**lowest, at most `count` in a window.

    Limbs are so short that sums of products of two of them fit: 2 * width + the bits of
    count * size are at most 62.
    """
    bits, size = max(1, highest - lowest), 1
    while size * _widest(count * size) < bits:
        size += 1
    # No wider than needed: short digits mostly spare `_spread` its carries.
    width = -(-bits // size)
    return Grid(lowest, width, -(-bits // width))


def _widest(products: int) -> int:
    return (62 - products.bit_length()) // 2


def squares(limbs: Limbs) -> Limbs:
    """The limbs of each number's square, twice as many less one, from 2**(2 * unit) upwards."""
    rows = len(limbs[0])
    result = tuple(np.empty(rows, dtype=np.int64) for _ in range(2 * len(limbs) - 1))
    for start in range(0, rows, _ROWS):
        part = slice(start, start + _ROWS)
        for whole, square in zip(result, _squared([limb[part] for limb in limbs]), strict=True):
            whole[part] = square
    return result


def deviation(counts: Integers, sums: Limbs, squares: Limbs, grid: Grid, scale: int = 0) -> Floats:
    """The sample deviation of each row's numbers, divided by 10**scale; 0 below two numbers.

    Of huge numbers it can be beyond float64: then it is an infinity.
    `sums`, `squares`: of the limbs on `grid` and of their `squares`. `counts`: of how many numbers,
    below 2**31 and at most what the grid is for. `scale`: 0 to 38.
    """
    result = np.empty(len(counts), dtype=np.float64)
    for start in range(0, len(result), _ROWS):
        part = slice(start, start + _ROWS)
        block = (counts[part], [limb[part] for limb in sums], [limb[part] for limb in squares])
        result[part] = _deviation(*block, grid, scale)
    return result


def _deviation(
    counts: Integers, sums: Sequence[Integers], squares: Sequence[Integers], grid: Grid, scale: int
) -> Floats:
    words = _words(_spread(counts, sums, squares, grid), grid.width)
    top, below, exponent = _leading_bits(words)
    root, rest = _root(*_pair(top, below), np.maximum(counts * (counts - 1), 1))
    if scale:
        root, rest = _divided(root, rest, 10**scale)
    with np.errstate(over="ignore", under="ignore"):
        result: Floats = np.ldexp(root + rest, (exponent + grid.unit).astype(np.int32))
    return result


def _spread(
    counts: Integers, sums: Sequence[Integers], squares: Sequence[Integers], grid: Grid
) -> list[Integers]:
    """n * S2 - S1**2 in limbs below 2**63, with room for a carry."""
    most = int(counts.max()).bit_length()
    if 2 * (grid.width + most) + grid.size.bit_length() > 61:
        sums = _digits(sums, grid.width, most + 1)
        squares = _digits(squares, grid.width, most + 1 + grid.width)
    spread = [counts * square for square in squares]
    for index, square in enumerate(_squared(sums)):
        if index < len(spread):
            spread[index] -= square
        else:
            spread.append(-square)
    return spread


def _squared(limbs: Sequence[Integers]) -> Iterator[Integers]:
    doubled = [limb + limb for limb in limbs[:-1]]
    for index in range(2 * len(limbs) - 1):
        first, middle = max(0, index - len(limbs) + 1), (index + 1) // 2
        pairs = [(doubled[low], limbs[index - low]) for low in range(first, middle)]
        if index % 2 == 0:
            pairs.append((limbs[middle], limbs[middle]))
        total = pairs[0][0] * pairs[0][1]
        for left, right in pairs[1:]:
            total += left * right
        yield total


def _digits(limbs: Sequence[Integers], width: int, excess: int) -> list[Integers]:
    """The same numbers in digits of `width` bits, the last one signed.

    `excess`: how many bits longer than `width` the last limb may be.
    """
    mask, digits, rest = np.int64((1 << width) - 1), list[Integers](), limbs[0]
    for limb in limbs[1:]:
        digits.append(rest & mask)
        rest = limb + (rest >> np.int64(width))
    for _ in range(-(-excess // width)):
        digits.append(rest & mask)
        rest = rest >> np.int64(width)
    return [*digits, rest]


def _words(limbs: Sequence[Integers], width: int) -> list[Integers]:
    """The same numbers, none negative, in words of 62 bits, lowest first; no zeros on top."""
    mask, words, filled = np.int64((1 << width) - 1), list[Integers](), 0
    word, rest = np.zeros_like(limbs[0]), limbs[0]
    for limb in limbs[1:]:
        digit = rest & mask
        word |= digit << np.int64(filled)
        rest = limb + (rest >> np.int64(width))
        filled += width
        if filled >= _WORD:
            filled -= _WORD
            words.append(word & np.int64(_WORD_MASK))
            word = digit >> np.int64(width - filled)
    words.append((word | rest << np.int64(filled)) & np.int64(_WORD_MASK))
    words.append(rest >> np.int64(_WORD - filled))
    while len(words) > 1 and not words[-1].max():
        words.pop()
    return words


def _leading_bits(words: Sequence[Integers]) -> tuple[Integers, Integers | None, Integers]:
    """The 61 or 62 leading bits, the 62 below them, and half the exponent of the first ones.

    Bits are left out two at a time, so that another unit, which moves all of them by an even
    number, gives the same ones.
    """
    if len(words) == 1:
        return words[0], None, np.zeros(len(words[0]), dtype=np.int64)
    lower, middle, upper, position = _leading_words(words)
    # Without the bit below the leading one the conversion cannot round up to a power of two.
    leading = (upper & ~(upper >> np.int64(1))).astype(np.float64).view(np.int64)
    half = np.maximum(((leading >> np.int64(52)) - np.int64(1021)) >> np.int64(1), np.int64(0))
    right = half << np.int64(1)
    left = np.int64(_WORD) - right
    top = (upper << left) | (middle >> right)
    below = (middle << left) & np.int64(_WORD_MASK) | (lower >> right)
    return top, below, half + position


def _leading_words(
    words: Sequence[Integers],
) -> tuple[Integers, Integers, Integers, Integers]:
    """The three words up to the leading one, and half the position of the middle one."""
    middle, upper = words[:2]
    lower = position = np.zeros(len(middle), dtype=np.int64)
    for index, word in enumerate(words[2:], start=1):
        is_higher = word != 0
        lower = np.where(is_higher, words[index - 1], lower)
        middle = np.where(is_higher, words[index], middle)
        upper = np.where(is_higher, word, upper)
        position = np.where(is_higher, np.int64(_WORD // 2 * index), position)
    return lower, middle, upper, position


def _pair(top: Integers, below: Integers | None) -> tuple[Floats, Floats]:
    """As the nearest float and what is missing."""
    high = top.astype(np.float64)
    low = (top - high.astype(np.int64)).astype(np.float64)
    if below is not None:
        low += below.astype(np.float64) * 2.0**-_WORD
    return high, low


def _root(high: Floats, low: Floats, divisor: Integers) -> tuple[Floats, Floats]:
    """The square root of (high + low) / divisor as a float and what is missing, of about 75 bits.

    One step of Newton: what `high` exceeds divisor * root**2 by is exact but for its last bits.
    """
    whole = divisor.astype(np.float64)
    root = np.sqrt(high / whole)
    upper, lower = _halves(root)
    square_upper, square_lower = _halves(upper * upper)
    excess = high
    for half in (square_upper, square_lower):
        for part in _parts(divisor, whole):
            excess = excess - part * half
    excess += low
    excess -= whole * ((root + upper) * lower)
    # Only where the root is 0 is it below 1.
    return root, excess / (2.0 * np.maximum(whole * root, 1.0))


def _parts(divisor: Integers, whole: Floats) -> list[Floats]:
    """In parts of 26 bits, highest first. A part that is 0 changes no bit of what is computed."""
    highest = (int(divisor.max()).bit_length() - 1) // _HALF_BITS
    if highest == 0:
        return [whole]
    mask, parts = np.int64((1 << _HALF_BITS) - 1), list[Floats]()
    for index in reversed(range(highest + 1)):
        position = _HALF_BITS * index
        part = (divisor >> np.int64(position)) & mask
        parts.append(part.astype(np.float64) * float(1 << position))
    return parts


def _divided(root: Floats, rest: Floats, divisor: int) -> tuple[Floats, Floats]:
    """(root + rest) / divisor, likewise."""
    high = float(divisor)
    low, wide = float(divisor - int(high)), np.full(1, high)
    quotient = root / high
    excess = root
    for half in _halves(quotient):
        for part in _halves(wide):
            excess = excess - half * part
    excess += rest
    excess -= quotient * low
    return quotient, excess / high


def _halves(values: Floats) -> tuple[Floats, Floats]:
    upper = (values.view(np.int64) & _UPPER_HALF).view(np.float64)
    return upper, values - upper
