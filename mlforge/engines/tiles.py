"""Tiles: what an entity's bucket holds of each column, in integers that merge and retract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from mlforge.engines.deviation import deviation_grid, squares
from mlforge.engines.exact import (
    Flags,
    Grid,
    Integers,
    Limbs,
    Numbers,
    Words,
    span_of_floats,
    span_of_integers,
    span_of_wide,
    split_floats,
    split_integers,
    split_wide,
)
from mlforge.types import DataType

Infinities: TypeAlias = tuple[Integers, Integers]


@dataclass(frozen=True, slots=True)
class State:
    """One column's state in each tile.

    `counts`: values that are neither null nor NaN. `limbs`: of their finite sum on `grid`;
    `squares`: of the sum of their squares. `ranked`: all these values, tile after tile.
    `infinities`: how many are positive and negative, None if none is. `lowest`, `highest`: any
    value where the count is 0.
    """

    counts: Integers
    grid: Grid | None = None
    limbs: Limbs = ()
    squares: Limbs = ()
    infinities: Infinities | None = None
    lowest: Numbers | None = None
    highest: Numbers | None = None
    ranked: Numbers | Words | None = None


@dataclass(frozen=True, slots=True)
class Tiles:
    """Entities in full, sorted by (entity, bucket); one array item a tile."""

    entities: Integers
    buckets: Integers
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Values:
    """A column's values in the events' order, as numbers that add and compare as the values do.

    `addends`: floats or integers, 0 for null and NaN; None if nothing is summed.
    `ordinals`: None if nothing is compared. `is_known`: neither null nor NaN; None if all are.
    `is_squared`: whether squares are summed, too. `ranked`: the known ones; None without a median.
    """

    is_known: Flags | None = None
    addends: Numbers | Words | None = None
    ordinals: Numbers | None = None
    is_squared: bool = False
    ranked: Numbers | Words | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """A column to aggregate: its numbers, its type, and what coded values stand for."""

    values: Values
    type: DataType
    dictionary: pa.Array | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """Events of whole entities, at least one, by (entity, bucket).

    Entities are numbered from 0 without gaps.
    """

    entities: Integers
    buckets: Integers

    @property
    def firsts(self) -> Integers:
        """Where each entity's events begin."""
        return np.flatnonzero(np.diff(self.entities, prepend=-1))


def span_of(addends: Numbers | Words) -> tuple[int, int]:
    """The lowest bit that these values use, and the one above the highest."""
    if isinstance(addends, Words):
        return span_of_wide(addends)
    is_float = np.issubdtype(addends.dtype, np.floating)
    return span_of_floats(addends) if is_float else span_of_integers(addends)


def numbered(is_other: Flags) -> Integers:
    """0, 1, 2 and so on, one more wherever a row is another one than the row before.

    `is_other`: of each row but the first.
    """
    numbers = np.zeros(len(is_other) + 1, dtype=np.int64)
    np.cumsum(is_other, out=numbers[1:])
    return numbers


def tiles_of(events: Events, columns: Mapping[str, Values]) -> Tiles:
    """The tiles of these events."""
    starts = _starts(events.entities, events.buckets)
    # No window holds more than an entity's events. Prefix sums over more of them may wrap: the
    # difference of two is right all the same.
    most = int(np.bincount(events.entities).max())
    rows = len(events.buckets)
    states = {name: _state(values, rows, starts, most) for name, values in columns.items()}
    return Tiles(events.entities[starts], events.buckets[starts], states)


def _starts(entities: Integers, buckets: Integers) -> Integers:
    is_start = np.ones(len(entities), dtype=np.bool_)
    is_start[1:] = (entities[1:] != entities[:-1]) | (buckets[1:] != buckets[:-1])
    return np.flatnonzero(is_start)


def _state(values: Values, rows: int, starts: Integers, most: int) -> State:
    grid, limbs, infinities = None, Limbs(), None
    if values.addends is not None:
        made = deviation_grid if values.is_squared else Grid.spanning
        grid = made(*span_of(values.addends), most)
        limbs, infinities = _limbs(values.addends, grid, starts)
    squared = squares(limbs) if values.is_squared else Limbs()
    return State(
        counts=_counts(values.is_known, starts, rows),
        grid=grid,
        limbs=tuple(np.add.reduceat(limb, starts) for limb in limbs),
        squares=tuple(np.add.reduceat(limb, starts) for limb in squared),
        infinities=infinities,
        ranked=values.ranked,
        lowest=_extreme(values, starts, np.minimum),
        highest=_extreme(values, starts, np.maximum),
    )


def _limbs(
    addends: Numbers | Words, grid: Grid, starts: Integers
) -> tuple[Limbs, Infinities | None]:
    if isinstance(addends, Words):
        return split_wide(addends, grid), None
    if not np.issubdtype(addends.dtype, np.floating):
        return split_integers(addends, grid), None
    finite, infinities = _finite(addends, starts)
    return split_floats(finite, grid), infinities


def _counts(known: Flags | None, starts: Integers, rows: int) -> Integers:
    if known is None:
        return np.diff(starts, append=rows)
    return np.add.reduceat(known, starts, dtype=np.int64)


def _finite(addends: Numbers, starts: Integers) -> tuple[Numbers, Infinities | None]:
    """The finite ones, others 0, and how many infinities of each sign there are a tile."""
    is_finite = np.isfinite(addends)
    if is_finite.all():
        return addends, None
    positive, negative = (
        np.add.reduceat(addends == value, starts, dtype=np.int64) for value in (np.inf, -np.inf)
    )
    return np.where(is_finite, addends, 0), (positive, negative)


def _extreme(values: Values, starts: Integers, pick: np.ufunc) -> Numbers | None:
    if values.ordinals is None:
        return None
    ordinals = values.ordinals
    if values.is_known is not None:
        ordinals = np.where(values.is_known, ordinals, _identity(ordinals.dtype, pick))
    reduced: Numbers = pick.reduceat(ordinals, starts)
    return reduced


def _identity(dtype: np.dtype[Any], pick: np.ufunc) -> Numbers:
    """The value that never wins."""
    if np.issubdtype(dtype, np.floating):
        return np.array(np.inf if pick is np.minimum else -np.inf, dtype=dtype)
    limits = np.iinfo(dtype)
    return np.array(limits.max if pick is np.minimum else limits.min, dtype=dtype)
