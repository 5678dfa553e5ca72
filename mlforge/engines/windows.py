"""Windows: at which bucket ends an entity's values change, and what lies in each window there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlforge.engines.exact import Integers, Numbers
from mlforge.engines.tiles import Tiles


@dataclass(frozen=True, slots=True)
class ChangePoints:
    """The rows that are emitted, sorted by (entity, end); a window's tiles are [since, upto).

    `ends`: bucket numbers, exclusive; T is the beginning of that bucket. `since` maps the number
    of buckets in a window to the first tile in it.
    """

    entities: Integers
    ends: Integers
    upto: Integers
    since: Mapping[int, Integers]


def change_points(tiles: Tiles, windows: Sequence[int], horizon: int) -> ChangePoints:
    """Where a tile enters, at its bucket's end, or leaves a window, up to the horizon's bucket.

    Everything is one merge: each tile enters at bucket + 1 and leaves a window of k buckets at
    bucket + 1 + k; counting both along the merged order gives the look-ups.
    """
    base = int(tiles.buckets.min())
    entered, last = tiles.buckets - base + 1, horizon - base
    # What leaves after the horizon leaves just after it, so that every count stays an index.
    beyond = last + 1
    moments = [entered] + [np.minimum(entered + min(k, beyond), beyond) for k in windows]
    owners = tiles.entities - tiles.entities[0]
    merged, bits, levels = _merged(owners, moments, beyond)
    source_bits = len(windows).bit_length()
    cells, sources = merged >> source_bits, merged & ((1 << source_bits) - 1)
    moment = cells & ((1 << bits) - 1)
    is_row = moment < (beyond if levels is None else np.searchsorted(levels, beyond))
    is_row[:-1] &= cells[1:] != cells[:-1]
    rows = np.flatnonzero(is_row)
    upto, *since = (np.cumsum(sources == source)[rows] for source in range(len(moments)))
    ends = moment[rows] if levels is None else levels[moment[rows]]
    return ChangePoints(
        tiles.entities[upto - 1], ends + base, upto, dict(zip(windows, since, strict=True))
    )


def _merged(
    owners: Integers, moments: Sequence[Integers], beyond: int
) -> tuple[Integers, int, Integers | None]:
    """Sorted (entity, moment, source) in one integer each, with the bits of a moment.

    Moments become their ranks, the third value, where they would not fit.
    """
    source_bits, levels = (len(moments) - 1).bit_length(), None
    if int(owners[-1] + 1).bit_length() + beyond.bit_length() + source_bits > 63:
        levels = np.unique(np.concatenate([*moments, [beyond]]))
        moments = [np.searchsorted(levels, moment) for moment in moments]
    bits = (beyond if levels is None else len(levels)).bit_length()
    merged = np.concatenate(
        [
            ((owners << bits | moment) << source_bits) | source
            for source, moment in enumerate(moments)
        ]
    )
    merged.sort()
    return merged, bits, levels


def window_sums(tile_values: Integers, since: Integers, upto: Integers) -> Integers:
    """The sum over each window: two look-ups in the prefix sums."""
    prefix = np.zeros(len(tile_values) + 1, dtype=np.int64)
    np.cumsum(tile_values, out=prefix[1:])
    return prefix[upto] - prefix[since]


def window_extremes(
    tile_values: Numbers, since: Integers, upto: Integers, pick: np.ufunc
) -> Numbers:
    """The least (`np.minimum`) or greatest in each window; anything where a window is empty.

    Level j holds the extremes of 2**j tiles: two of them, overlapping, cover a window.
    """
    levels = np.frexp(upto - since)[1] - 1
    result = np.empty(len(since), dtype=tile_values.dtype)
    result[levels < 0] = tile_values[:1]
    table = tile_values
    for level in range(int(levels.max(initial=-1)) + 1):
        rows = np.flatnonzero(levels == level)
        result[rows] = pick(table[since[rows]], table[upto[rows] - (1 << level)])
        table = pick(table[: -(1 << level) or None], table[1 << level :])
    return result
