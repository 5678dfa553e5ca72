"""Polars: the default engine; the function's frame is collected once, the rest is shared code."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from mlforge.definitions.feature import Feature
from mlforge.engines.base import Computed, Failure, SourceFiles
from mlforge.engines.calendar import Calendar
from mlforge.engines.columns import entity_codes
from mlforge.engines.exact import Integers
from mlforge.engines.intake import Intake, failures_of, schema_for
from mlforge.engines.metrics import Block, block_events, block_of, metric_batches
from mlforge.engines.order import Order
from mlforge.engines.rows import UniqueRows
from mlforge.schema import Schema


class PolarsEngine:
    """Runs functions in Polars; rows, sums and order do not depend on its threads."""

    @property
    def name(self) -> str:
        return "polars"

    def schema(self, feature: Feature, files: SourceFiles) -> Schema:
        """The schema of the rows; only an eager function is computed for it."""
        return schema_for(feature, files)

    def validate(self, feature: Feature, files: SourceFiles, scratch: Path) -> tuple[Failure, ...]:
        """Every validator that the function's output fails; empty when all hold."""
        return failures_of(feature, files)

    @contextmanager
    def run(
        self, feature: Feature, files: SourceFiles, scratch: Path, as_of: int | None = None
    ) -> Iterator[Computed]:
        """The rows. Raises ValidationFailed before anything else is computed."""
        intake = Intake(feature, files, as_of)
        make = _rolled if feature.metrics else _own
        with closing(make(feature, intake, intake.whole())) as rows:
            yield Computed(intake.schema, rows, intake.excluded, intake.horizon)


def _own(feature: Feature, intake: Intake, frame: pl.DataFrame) -> Generator[pa.RecordBatch]:
    rows = UniqueRows(feature, intake.schema)
    batches = rows.take(frame)
    rows.check()
    yield from batches


def _rolled(feature: Feature, intake: Intake, frame: pl.DataFrame) -> Generator[pa.RecordBatch]:
    horizon = intake.horizon_bucket
    if horizon is None or not len(frame):
        return
    order = _ordered(feature, intake.calendar, frame)
    keys = [_Column(frame[key]) for key in feature.keys]
    measured = [_Column(frame[name]) for name in {m.column: None for m in feature.metrics}]
    del frame

    def block(cut: tuple[int, int]) -> Block:
        events, positions = order.part(*cut)
        owners = positions[events.firsts]
        columns = [column.gather(positions) for column in measured]
        return block_of(feature, events, pl.DataFrame([k.gather(owners) for k in keys]), columns)

    cuts = order.cuts(block_events(feature))
    yield from metric_batches(feature, intake.schema, cuts, block, intake.calendar, horizon)


def _ordered(feature: Feature, calendar: Calendar, frame: pl.DataFrame) -> Order:
    assert feature.timestamp is not None
    times = frame[feature.timestamp].to_numpy()
    low, high = calendar.buckets(np.array([times.min(), times.max()])).tolist()
    codes = entity_codes([frame[key] for key in feature.keys])
    return Order(codes, len(times), lambda rows: calendar.buckets(times[rows]), low, high)


class _Column:
    """A column from which rows are gathered, in many threads."""

    def __init__(self, column: pl.Series) -> None:
        self._column = column.rechunk()
        is_plain = column.dtype.is_float() or column.dtype.is_integer()
        # Without a look at nulls and bounds: five times as fast as in Polars.
        self._numbers = None if column.null_count() or not is_plain else self._column.to_numpy()

    def gather(self, positions: Integers) -> pl.Series:
        if self._numbers is None:
            return self._column.gather(positions)
        return pl.Series(self._column.name, np.take(self._numbers, positions, mode="clip"))
