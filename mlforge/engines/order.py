"""Order: rows by (entity, bucket), cut into ranges that divide no entity."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import polars as pl

from mlforge.engines.columns import Codes
from mlforge.engines.exact import BLOCK, Integers
from mlforge.engines.tiles import Events, numbered


class Order:
    """The order of at least one row, given by its entity's code and its bucket.

    `buckets`: those of some of the rows, of which `low` is the lowest and `high` the highest.
    """

    def __init__(
        self, codes: Codes, rows: int, buckets: Callable[[slice], Integers], low: int, high: int
    ) -> None:
        self._base = low
        self._bucket_bits = (high - low).bit_length()
        self._row_bits = (rows - 1).bit_length()
        self._wide: tuple[Integers, Integers, Integers] | None = None
        if (codes.size - 1).bit_length() + self._bucket_bits + self._row_bits > 63:
            whole = codes.part(slice(None)), buckets(slice(None))
            frame = pl.DataFrame(dict(zip(("code", "bucket"), whole, strict=True)))
            positions = frame.select(pl.arg_sort_by("code", "bucket")).to_series().to_numpy()
            self._wide = whole[0][positions], whole[1], positions
            return
        # One integer holds entity, bucket and row: Polars sorts it ten times as fast as columns.
        packed = np.empty(rows, dtype=np.int64)

        def pack(start: int) -> None:
            part = slice(start, min(start + BLOCK, rows))
            cells = codes.part(part) << self._bucket_bits
            cells |= buckets(part) - low
            cells <<= self._row_bits
            np.bitwise_or(cells, np.arange(part.start, part.stop), out=packed[part])

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(pack, range(0, rows, BLOCK)))
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
