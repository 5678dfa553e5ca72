"""Packed: a version's rows on their way to an online store, so many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from mlforge.engines.latest import latest
from mlforge.flows.joining import pit_rule
from mlforge.flows.pack import packed
from mlforge.flows.read import read_blocks
from mlforge.flows.workspace import Workspace
from mlforge.manifest import Manifest
from mlforge.online.base import Rows
from mlforge.online.board import Layout
from mlforge.pit import PitRule

# Of the bytes of packed rows; docs/formats.md#packed-rows.
PACKING = 1
# Rows that are read, and packed, at a time.
BLOCK_ROWS = 1 << 18


@dataclass(frozen=True, slots=True)
class PackedRows:
    """How many entities there are; and their rows in parts, each with how many it has."""

    entities: int
    parts: Iterator[tuple[Rows, int]]


def layout_of(manifest: Manifest) -> Layout:
    """What readers of packed rows need to know of a version."""
    schema = manifest.schema
    types = {column.name: column for column in schema.columns}
    order = (*schema.order, *(column.name for column in schema.values))
    columns = tuple(types[name] for name in order)
    return Layout(schema.keys, schema.timestamp, manifest.created, columns)


def packed_rows(workspace: Workspace, manifest: Manifest, since: int) -> PackedRows:
    """Of each entity the row that is seen at `since`, and those that will be seen later.

    Entities come in canonical order, each once. `since`: UTC, microseconds. Equal versions and
    moments give equal bytes. Rows are verified when this is called, and read part by part.
    Raises ObjectNotFound, ObjectCorrupt, ContentDiffers.
    """
    keys = list(manifest.schema.keys)
    columns = [column.name for column in layout_of(manifest).columns]
    blocks = read_blocks(workspace, manifest, columns, BLOCK_ROWS)
    counted = read_blocks(workspace, manifest, keys, BLOCK_ROWS, is_verified=True)
    return PackedRows(_entities(counted), _packed(blocks, manifest, since))


def _entities(blocks: Iterable[pl.DataFrame]) -> int:
    """How many entities there are in sorted rows."""
    count, last = 0, None
    for block in blocks:
        if block.is_empty():
            continue
        differs = pl.any_horizontal(pl.all().ne_missing(pl.all().shift())).sum()
        changes = block.select(differs).item()
        # The first row of a block differs from nothing.
        count += changes - (last is not None and block.row(0) == last)
        last = block.row(-1)
    return count


def _packed(
    blocks: Iterable[pl.DataFrame], manifest: Manifest, since: int
) -> Iterator[tuple[Rows, int]]:
    layout, rule = layout_of(manifest), pit_rule(manifest, True)
    for whole in _whole(blocks, rule, since):
        found = packed(whole, rule, layout, since)
        rows = found.rows
        for part in found.parts:
            yield part, rows
            # All rows of a block are told with its first part.
            rows = 0


def _whole(blocks: Iterable[pl.DataFrame], rule: PitRule, since: int) -> Iterator[pl.DataFrame]:
    """The same rows, cut where an entity ends; of a long entity only what can count."""
    keys, waiting = list(rule.keys), None
    for block in blocks:
        rows = block if waiting is None else pl.concat([waiting, block])
        if rows.is_empty():
            continue
        is_last = pl.all_horizontal(pl.col(key).eq_missing(pl.col(key).last()) for key in keys)
        cut = rows.height - rows.select(is_last.sum()).item()
        if cut:
            yield rows.slice(0, cut)
        waiting = rows.slice(cut)
        if waiting.height > BLOCK_ROWS:
            waiting = waiting[latest(waiting, rule, since).rows.sort()]
    if waiting is not None:
        yield waiting
