"""Order: rows by (entity, bucket), cut into ranges that divide no entity."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from mlforge.engines.exact import Integers
from mlforge.engines.tiles import Events, numbered


class Order:
    """The order of at least one row, given by its entity's code and its bucket.

    Codes are integers from 0 upwards, in the order of the keys.
    """

    def __init__(self, codes: Integers, buckets: Integers) -> None:
        base, rows = int(buckets.min()), len(codes)
        self._base = base
        self._bucket_bits = (int(buckets.max()) - base).bit_length()
        self._row_bits = (rows - 1).bit_length()
        self._wide: tuple[Integers, Integers, Integers] | None = None
        if int(codes.max()).bit_length() + self._bucket_bits + self._row_bits > 63:
            frame = pl.DataFrame({"code": codes, "bucket": buckets})
            positions = frame.select(pl.arg_sort_by("code", "bucket")).to_series().to_numpy()
            self._wide = codes[positions], buckets, positions
            return
        # One integer holds entity, bucket and row: Polars sorts it ten times as fast as columns.
        packed = codes << self._bucket_bits
        packed |= buckets - base
        packed <<= self._row_bits
        packed |= np.arange(rows)
        self._packed = pl.Series(packed).sort().to_numpy()

    def cuts(self, size: int) -> list[tuple[int, int]]:
        """Ranges of about so many rows.

        They depend on the rows alone, so chunks of results are the same on any number of cores.
        """
        ordered = self._packed if self._wide is None else self._wide[0]
        wanted = np.arange(size, max(len(ordered), size), size)
        lowest = self._row_bits + self._bucket_bits if self._wide is None else 0
        entities = ordered[wanted] >> lowest << lowest
        edges = np.unique(np.searchsorted(ordered, entities))
        return [
            (start, stop)
            for start, stop in pairwise([0, *map(int, edges), len(ordered)])
            if start < stop
        ]

    def part(self, start: int, stop: int) -> tuple[Events, Integers]:
        """The events of a range, and where each of them stands among the rows."""
        codes, buckets, positions = self._decoded(slice(start, stop))
        return Events(numbered(codes[1:] != codes[:-1]), buckets), positions

    def _decoded(self, part: slice) -> tuple[Integers, Integers, Integers]:
        if self._wide is not None:
            codes, buckets, positions = self._wide
            return codes[part], buckets[positions[part]], positions[part]
        packed = self._packed[part]
        positions = packed & ((1 << self._row_bits) - 1)
        cells = packed >> self._row_bits
        buckets = (cells & ((1 << self._bucket_bits) - 1)) + self._base
        return cells >> self._bucket_bits, buckets, positions
