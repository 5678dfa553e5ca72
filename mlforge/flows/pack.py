"""Pack: a version's rows as an online store takes them, of each entity what can still be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from mlforge.arrow import canonical_table
from mlforge.engines.latest import Latest, latest
from mlforge.online.base import Rows
from mlforge.online.board import Layout
from mlforge.online.encoding import pack
from mlforge.pit import PitRule

_BLOCK_ROWS = 1 << 17
_BLOCK_BYTES = 64 << 20
# Arrow's binary arrays end at 2 GB, and packing adds to what values take.
_MOST_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """What a load gets. `parts`: made as they are taken, once; each entity is in one of them."""

    entities: int
    rows: int
    parts: Iterator[Rows]


def packed(table: pl.DataFrame, rule: PitRule, layout: Layout, since: int) -> Packed:
    """The rows of a version that answer from `since` on, in microseconds UTC.

    `table`: the layout's columns, sorted by (keys, timestamp, created) and unique in them.
    """
    times = [name for name in (rule.timestamp, rule.created) if name is not None]
    kept = latest(table.select({*rule.keys, *times}), rule, since)
    return Packed(kept.entities, len(kept.rows), _parts(table, kept, layout))


def _parts(table: pl.DataFrame, kept: Latest, layout: Layout) -> Iterator[Rows]:
    wide = int(table.estimated_size()) // max(table.height, 1)
    step = max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // max(wide, 1)))
    rows = table.select(column.name for column in layout.columns)
    if len(kept.rows) < table.height or not kept.rows.is_sorted():
        rows = rows[kept.rows]
    for first in range(0, kept.entities, step):
        yield from _part(rows, kept, layout, first, min(first + step, kept.entities))


def _part(
    table: pl.DataFrame, kept: Latest, layout: Layout, first: int, last: int
) -> Iterator[Rows]:
    """The entities from one to another, halved while they are too large; `table`: rows kept."""
    begin = kept.firsts[first]
    end = kept.firsts[last] if last < kept.entities else len(kept.rows)
    block = table.slice(begin, end - begin)
    if block.estimated_size() > _MOST_BYTES and last - first > 1:
        middle = (first + last) // 2
        yield from _part(table, kept, layout, first, middle)
        yield from _part(table, kept, layout, middle, last)
        return
    firsts = (kept.firsts[first:last] - begin).to_arrow()
    yield pack(canonical_table(block.to_arrow()), firsts, layout)
