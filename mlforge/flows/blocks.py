"""Blocks: a spine's columns, and its rows in parts that fit the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from mlforge.batches import batches

# What a block may become with all columns of the features, at eight bytes a value.
_BYTES = 128 << 20
_LEAST_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Blocks:
    """A spine that is read as often as it is asked for, each time in the same order.

    `columns`: a frame of no rows. `rows`: None where only reading all of them tells.
    `parts`: the rows in parts of about so many.
    """

    columns: pl.DataFrame
    rows: int | None
    parts: Callable[[int], Iterator[pl.DataFrame]]

    @classmethod
    def whole(cls, frame: pl.DataFrame) -> Blocks:
        """One that is in memory, as the output is to be: in one block."""
        return cls(frame.clear(), frame.height, lambda rows: iter([frame]))

    @classmethod
    def sliced(cls, frame: pl.DataFrame) -> Blocks:
        """One that is in memory."""
        return cls(frame.clear(), frame.height, frame.iter_slices)

    @classmethod
    def scanned(cls, frame: pl.LazyFrame, rows: int | None) -> Blocks:
        """One that is computed anew for each reading."""
        columns = pl.DataFrame(schema=frame.collect_schema())
        return cls(columns, rows, lambda rows: batches(frame, rows))

    def blocks(self, width: int) -> Iterator[tuple[pl.DataFrame, bool]]:
        """The rows, and whether they are the last; at least one block, which may be empty.

        `width`: columns of the output, of which a block has as many rows as the memory should hold.
        """
        waiting: pl.DataFrame | None = None
        for part in self.parts(max(_BYTES // (8 * max(width, 1)), _LEAST_ROWS)):
            if not part.height:
                continue
            if waiting is not None:
                yield waiting, False
            waiting = part
        yield self.columns if waiting is None else waiting, True
