"""Metrics: events made into a feature's rows, in blocks of whole entities on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from mlforge.arrow import arrow_schema, canonical_table
from mlforge.definitions.feature import Feature
from mlforge.definitions.rolling import Aggregation, Metric
from mlforge.engines.aggregates import Window, arrow_array, finished
from mlforge.engines.calendar import Calendar
from mlforge.engines.columns import input_of
from mlforge.engines.exact import Integers
from mlforge.engines.keyed import differs
from mlforge.engines.medians import range_medians
from mlforge.engines.tiles import Events, Input, State, Tiles, numbered, tiles_of
from mlforge.engines.windows import ChangePoints, change_points
from mlforge.errors import SumOverflow
from mlforge.parallel import in_order
from mlforge.schema import Schema

# Events of which all temporaries of a column fit the cache of a core.
_BLOCK_EVENTS = 1 << 16
# Values of all columns together, made and given, so that wide features stay small in memory.
_BLOCK_VALUES = 1 << 21

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Block:
    """Events of whole entities, their values in the same order, and each entity's keys."""

    events: Events
    inputs: Mapping[str, Input]
    keys: pl.DataFrame


def block_of(
    feature: Feature, events: Events, keys: pl.DataFrame, columns: Iterable[pl.Series]
) -> Block:
    """A block of columns whose values are in the events' order."""
    wanted = dict[str, set[Aggregation]]()
    for metric in feature.metrics:
        wanted.setdefault(metric.column, set()).add(metric.aggregation)
    return Block(events, {c.name: input_of(c, wanted[c.name]) for c in columns}, keys)


def block_events(feature: Feature) -> int:
    """About how many events are made into rows at a time."""
    return min(_BLOCK_EVENTS, max(1 << 10, _BLOCK_VALUES // max(1, len(feature.metrics))))


def sorted_block(feature: Feature, frame: pl.DataFrame, calendar: Calendar) -> Block:
    """The block of a frame of whole keys that is sorted by keys and event time.

    `frame`: rows as an `Intake` has made them ready.
    """
    assert feature.timestamp is not None
    buckets = calendar.buckets(frame[feature.timestamp].to_numpy())
    events = Events(numbered(differs(frame, feature.keys)), buckets)
    measured = dict.fromkeys(metric.column for metric in feature.metrics)
    keys = frame.select(feature.keys)[events.firsts]
    return block_of(feature, events, keys, [frame[name] for name in measured])


def lengths_of(feature: Feature) -> Mapping[Metric, int]:
    """How many buckets each metric's window has."""
    assert feature.interval is not None
    return {metric: metric.window.intervals(feature.interval) for metric in feature.metrics}


@dataclass(frozen=True, slots=True)
class MetricRows:
    """Rows in order: which entity, at which bucket's end, and the metrics' values."""

    entities: Integers
    ends: Integers
    metrics: tuple[pa.Array, ...]


def metric_batches(
    feature: Feature,
    schema: Schema,
    parts: Iterable[Part],
    block: Callable[[Part], Block],
    calendar: Calendar,
    horizon: int,
) -> Iterator[pa.RecordBatch]:
    """The rows of all entities up to the horizon's bucket, in the order of the parts.

    `parts` are asked for in this thread; `block` and all that follows run in others, a few parts
    ahead of whoever takes the rows.
    """
    target, lengths = arrow_schema(schema), lengths_of(feature)

    def compute(part: Part) -> pa.RecordBatch:
        made = block(part)
        tiles = tiles_of(made.events, {name: i.values for name, i in made.inputs.items()})
        rows = rows_of(feature, tiles, made.inputs, lengths, horizon)
        keys = canonical_table(made.keys.to_arrow()).take(pa.array(rows.entities)).combine_chunks()
        ends = arrow_array(calendar.starts(rows.ends), None, schema.type_of(schema.order[-1]))
        owners = [keys[key].chunk(0) for key in schema.keys]
        return pa.record_batch([*owners, ends, *rows.metrics], schema=target)

    return in_order(compute, parts, os.cpu_count() or 1)


def rows_of(
    feature: Feature,
    tiles: Tiles,
    inputs: Mapping[str, Input],
    lengths: Mapping[Metric, int],
    horizon: int,
) -> MetricRows:
    """The rows of these tiles, which hold at least one entity in full.

    `lengths`: the number of buckets in each metric's window.
    Raises SumOverflow. Rule: docs/semantics.md#rolling-windows.
    """
    points = change_points(tiles, sorted(set(lengths.values())), horizon)
    windows = dict[tuple[str, int], Window]()
    for name, column in inputs.items():
        own = sorted({length for metric, length in lengths.items() if metric.column == name})
        middles = _middles(tiles.states[name], points, own)
        for length in own:
            since, middle = points.since[length], middles.get(length)
            windows[name, length] = Window(
                tiles.states[name], column.type, column.dictionary, since, points.upto, middle
            )
    arrays = [
        _finished(feature, metric, windows[metric.column, length])
        for metric, length in lengths.items()
    ]
    return MetricRows(points.entities, points.ends, tuple(arrays))


def _middles(
    state: State, points: ChangePoints, lengths: Sequence[int]
) -> Mapping[int, tuple[Integers, Integers]]:
    """By window, where the two values in the middle stand; of all windows at once."""
    if state.ranked is None:
        return {}
    before = np.concatenate([[0], np.cumsum(state.counts)])
    begins = np.concatenate([before[points.since[length]] for length in lengths])
    low, high = range_medians(state.ranked, begins, np.tile(before[points.upto], len(lengths)))
    parts = zip(np.split(low, len(lengths)), np.split(high, len(lengths)), strict=True)
    return dict(zip(lengths, parts, strict=True))


def _finished(feature: Feature, metric: Metric, window: Window) -> pa.Array:
    try:
        return finished(window, metric.aggregation)
    except SumOverflow as error:
        raise SumOverflow(
            f"{feature.name}: the sum of {metric.column} over {metric.window} {error.message}",
            cause=error.cause,
            hint=error.hint,
        ) from error
