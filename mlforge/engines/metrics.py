"""Metrics: a feature's events made into its rows, in blocks of whole entities on all cores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from mlforge.definitions.feature import Feature
from mlforge.definitions.rolling import Metric
from mlforge.engines.aggregates import Window, finished
from mlforge.engines.exact import Integers
from mlforge.engines.tiles import Events, Tiles, Values, tiles_of
from mlforge.engines.windows import change_points
from mlforge.errors import SumOverflow
from mlforge.types import DataType

# Events of which all temporaries fit the cache of a core.
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Input:
    """A column to aggregate: its numbers, its type, and what coded values stand for."""

    values: Values
    type: DataType
    dictionary: pa.Array | None = None


@dataclass(frozen=True, slots=True)
class MetricRows:
    """Rows in order: which entity, at which bucket's end, and the metrics' values."""

    entities: Integers
    ends: Integers
    metrics: tuple[pa.Array, ...]


def metric_rows(
    feature: Feature, events: Events, inputs: Mapping[str, Input], horizon: int
) -> list[MetricRows]:
    """The rows of all entities up to the horizon's bucket, block by block.

    Blocks depend on the events alone, so rows and chunks are the same on any number of cores.
    """
    values = {name: column.values for name, column in inputs.items()}

    def compute(block: tuple[int, int]) -> MetricRows:
        tiles = tiles_of(events.part(*block), values)
        return rows_of(feature, tiles, inputs, horizon)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(compute, _blocks(events.entities)))


def rows_of(
    feature: Feature, tiles: Tiles, inputs: Mapping[str, Input], horizon: int
) -> MetricRows:
    """The rows of these tiles, which hold at least one entity in full.

    Raises SumOverflow. Rule: docs/semantics.md#rolling-windows.
    """
    assert feature.interval is not None
    lengths = {metric: metric.window.intervals(feature.interval) for metric in feature.metrics}
    points = change_points(tiles, sorted(set(lengths.values())), horizon)
    windows = dict[tuple[str, int], Window]()
    arrays = []
    for metric, length in lengths.items():
        column, group = inputs[metric.column], (metric.column, length)
        if group not in windows:
            state, since = tiles.states[metric.column], points.since[length]
            windows[group] = Window(state, column.type, column.dictionary, since, points.upto)
        arrays.append(_finished(feature, metric, windows[group]))
    return MetricRows(points.entities, points.ends, tuple(arrays))


def _finished(feature: Feature, metric: Metric, window: Window) -> pa.Array:
    try:
        return finished(window, metric.aggregation)
    except SumOverflow as error:
        raise SumOverflow(
            f"{feature.name}: the sum of {metric.column} over {metric.window} {error.message}",
            cause=error.cause,
            hint=error.hint,
        ) from error


def _blocks(entities: Integers) -> list[tuple[int, int]]:
    """Ranges of about the same number of events that divide no entity."""
    wanted = np.arange(_BLOCK, max(len(entities), _BLOCK), _BLOCK)
    cuts = np.unique(np.searchsorted(entities, entities[wanted]) if len(wanted) else wanted)
    edges = [0, *(int(cut) for cut in cuts if cut), len(entities)]
    return [(start, stop) for start, stop in pairwise(edges) if start < stop]
