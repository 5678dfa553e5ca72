"""Intake: what a function returns, made ready for an engine: checked, complete, in instants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import polars.selectors as cs

from mlforge.definitions.feature import Feature
from mlforge.definitions.rolling import Aggregation
from mlforge.engines.base import Failure, SourceFiles
from mlforge.engines.calendar import Calendar, calendar_of
from mlforge.engines.function import batches_of, collected, output_of, schema_of
from mlforge.engines.instants import instants
from mlforge.engines.schema import needed_columns, row_schema
from mlforge.engines.told import told
from mlforge.engines.validation import Validation
from mlforge.schema import Schema


def schema_for(feature: Feature, files: SourceFiles) -> Schema:
    """The schema of the rows; only an eager function is computed for it."""
    output = output_of(feature, files)
    with told(feature, output):
        return row_schema(feature, schema_of(feature, files, output))


def failures_of(feature: Feature, files: SourceFiles) -> tuple[Failure, ...]:
    """Every validator that the function's output fails, all of it in memory."""
    output = output_of(feature, files)
    validation = Validation(feature, schema_of(feature, files, output))
    frame = collected(feature, files, output, validation.columns)
    validation.take(frame, is_all=True)
    return validation.failures


class Intake:
    """A feature's input on its way into an engine; it knows what was left out, and the times.

    Rows that are ready have keys, their times as microseconds UTC in int64 without nulls, and the
    columns that anything is made of: with metrics the measured ones, else the schema's.
    """

    def __init__(self, feature: Feature, files: SourceFiles, as_of: int | None = None) -> None:
        self._feature, self._files, self._as_of = feature, files, as_of
        self._output = output_of(feature, files)
        with told(feature, self._output):
            dtypes = schema_of(feature, files, self._output)
            self.schema = row_schema(feature, dtypes)
        self.columns = needed_columns(feature, self.schema)
        self.validation = Validation(feature, dtypes)
        self.excluded = 0
        self._times: tuple[int, int] | None = None

    def whole(self) -> pl.DataFrame:
        """All rows that are ready. Raises ValidationFailed."""
        frame = collected(self._feature, self._files, self._output, self.columns)
        self.validation.take(frame, is_all=True)
        self.validation.check()
        return self.ready(frame)

    def batches(self) -> Iterator[pl.DataFrame]:
        """All rows in their order, asked of every validator that a batch can answer."""
        for batch in batches_of(self._feature, self._files, self._output, self.columns):
            self.validation.take(batch, is_all=False)
            yield batch

    def ready(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Those of the next rows that have keys and a time which `as_of` knows."""
        feature = self._feature
        # Categories are a way to store strings: they sort and group as the strings do.
        texts = frame.with_columns(cs.categorical().cast(pl.String), cs.enum().cast(pl.String))
        complete = texts.drop_nulls(feature.order)
        self.excluded += len(frame) - len(complete)
        if feature.timestamp is not None:
            complete = self._timed(complete, feature.timestamp)
        return complete.select(_kept(feature, self.schema, complete.schema))

    def _timed(self, frame: pl.DataFrame, timestamp: str) -> pl.DataFrame:
        with told(self._feature, self._output):
            times = [instants(self._feature, frame[n]).rename(n) for n in self._feature.times]
        frame = frame.with_columns(times)
        if self._as_of is not None:
            end = self.horizon if self._feature.metrics else self._as_of + 1
            frame = frame.filter(pl.all_horizontal(pl.col(n) < end for n in self._feature.times))
        least, greatest = frame[timestamp].min(), frame[timestamp].max()
        if isinstance(least, int) and isinstance(greatest, int):
            first, last = self._times or (least, greatest)
            self._times = min(first, least), max(last, greatest)
        return frame

    @property
    def calendar(self) -> Calendar:
        """The buckets of the rows that are ready, up to the horizon."""
        moments = [*(self._times or (0,)), *([] if self._as_of is None else [self._as_of])]
        return self._calendar(min(moments), max(moments))

    def _calendar(self, first: int, last: int) -> Calendar:
        assert self._feature.interval is not None
        with told(self._feature):
            return calendar_of(self._feature.interval, self._feature.timezone, first, last)

    @property
    def horizon_bucket(self) -> int | None:
        """The bucket that begins at the horizon; None if there is no row."""
        last = self._last
        if last is None:
            return None
        bucket = int(self._calendar(last, last).buckets(np.array([last]))[0])
        return bucket + (self._as_of is None)

    @property
    def horizon(self) -> int | None:
        """Up to when the rows tell, in microseconds."""
        if not self._feature.metrics:
            return self._as_of if self._feature.timestamp else None
        bucket, last = self.horizon_bucket, self._last
        if bucket is None or last is None:
            return None
        return int(self._calendar(last, last).starts(np.array([bucket]))[0])

    @property
    def _last(self) -> int | None:
        """The last moment of which the rows may tell."""
        return self._as_of if self._as_of is not None or self._times is None else self._times[1]


def _kept(feature: Feature, schema: Schema, dtypes: pl.Schema) -> list[pl.Expr]:
    if not feature.metrics:
        return [pl.col(name) for name in dict.fromkeys([*schema.names, *feature.tiebreak])]
    asked = dict[str, set[Aggregation]]()
    for metric in feature.metrics:
        asked.setdefault(metric.column, set()).add(metric.aggregation)
    measured = [
        _presence(name, dtypes[name]) if aggregations == {Aggregation.COUNT} else pl.col(name)
        for name, aggregations in asked.items()
    ]
    return [*map(pl.col, feature.order), *measured]


def _presence(name: str, dtype: pl.DataType) -> pl.Expr:
    """All that a count needs, also of what has no canonical type: true, or null if missing."""
    is_known = pl.col(name).is_not_null()
    if dtype.is_float():
        is_known &= pl.col(name).is_not_nan()
    return pl.when(is_known).then(pl.lit(True)).alias(name)
