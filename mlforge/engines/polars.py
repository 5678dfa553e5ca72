"""Polars: the default engine; the function's frame is collected once, the rest is shared code."""

from __future__ import annotations

import numpy as np
import polars as pl
import polars.selectors as cs
import pyarrow as pa

from mlforge.arrow import arrow_schema, canonical_table
from mlforge.definitions.feature import Feature
from mlforge.definitions.rolling import Aggregation
from mlforge.engines.aggregates import arrow_array
from mlforge.engines.base import Computed, Failure, SourceFiles
from mlforge.engines.calendar import calendar_of
from mlforge.engines.columns import entity_codes, input_of
from mlforge.engines.function import collected, output_of, schema_of
from mlforge.engines.instants import check_type, instants, time_type
from mlforge.engines.metrics import Input, metric_rows
from mlforge.engines.rows import unique_rows
from mlforge.engines.tiles import sorted_events
from mlforge.engines.told import told
from mlforge.engines.validation import check, failed
from mlforge.errors import InvalidName, UnsupportedType
from mlforge.ids import parse_name
from mlforge.schema import Column, Schema
from mlforge.times import Duration
from mlforge.types import int64
from mlforge.types.polars import from_polars, to_polars


class PolarsEngine:
    """Runs functions in Polars; rows, sums and order do not depend on its threads."""

    @property
    def name(self) -> str:
        return "polars"

    def schema(self, feature: Feature, files: SourceFiles) -> Schema:
        """The schema of the rows; only an eager function is computed for it."""
        output = output_of(feature, files)
        with told(feature, output):
            return _schema(feature, schema_of(feature, files, output))

    def validate(self, feature: Feature, files: SourceFiles) -> tuple[Failure, ...]:
        """Every validator that the function's output fails; empty when all hold."""
        columns = (*feature.keys, *(column for column, _ in feature.validators))
        output = output_of(feature, files)
        return failed(feature, collected(feature, files, output, dict.fromkeys(columns)))

    def run(self, feature: Feature, files: SourceFiles) -> Computed:
        """The rows. Raises ValidationFailed before anything else is computed."""
        output = output_of(feature, files)
        with told(feature, output):
            return self._computed(feature, files, output)

    def _computed(self, feature: Feature, files: SourceFiles, output: pl.LazyFrame) -> Computed:
        schema = _schema(feature, schema_of(feature, files, output))
        frame = collected(feature, files, output, _needed(feature, schema))
        check(feature, frame)
        # Categories are a way to store strings: they sort and group as the strings do.
        texts = frame.with_columns(cs.categorical().cast(pl.String), cs.enum().cast(pl.String))
        complete = texts.drop_nulls(feature.order)
        rows, horizon = _computed(feature, schema, complete)
        return Computed(schema, rows, len(frame) - len(complete), horizon)


def _needed(feature: Feature, schema: Schema) -> list[str]:
    """The columns of the function's output that anything is done with."""
    validated = [column for column, _ in feature.validators]
    if not feature.metrics:
        return list(dict.fromkeys([*schema.names, *validated]))
    measured = [metric.column for metric in feature.metrics]
    return list(dict.fromkeys([*feature.order, *measured, *validated]))


def _schema(feature: Feature, output: pl.Schema) -> Schema:
    keys = [Column(key, from_polars(output[key], key)) for key in feature.keys]
    for key in keys:
        if not key.type.is_key:
            error = UnsupportedType(
                f"the key {key.name} is {key.type}, which has no exact equality",
                hint=f"cast {key.name} in the function to an integer or a string",
            )
            error.column = key.name
            raise error
    times = list[Column]()
    if feature.timestamp is not None:
        check_type(feature, output[feature.timestamp])
        times = [Column(feature.timestamp, time_type(feature, output[feature.timestamp]))]
    values = _metric_columns(feature, output) if feature.metrics else _own_columns(feature, output)
    schema = Schema(feature.keys, feature.timestamp, (*keys, *times, *values))
    _check_names(feature, schema)
    return schema


def _own_columns(feature: Feature, output: pl.Schema) -> list[Column]:
    # A surrogate key stands for the columns that it is made of.
    keyed = {*feature.order, *(column for made in feature.surrogates for column in made.columns)}
    names = [name for name in output if name not in keyed]
    return [Column(name, from_polars(output[name], name)) for name in names]


def _metric_columns(feature: Feature, output: pl.Schema) -> list[Column]:
    assert feature.interval is not None
    columns = []
    for metric in feature.metrics:
        if metric.aggregation is Aggregation.COUNT:
            type = int64()
        else:
            column = from_polars(output[metric.column], metric.column)
            if not metric.accepts(column):
                raise UnsupportedType(
                    f"{feature.name}: {metric.aggregation} of {metric.column}, which is {column}",
                    hint=f"cast {metric.column} in the function to a number",
                )
            type = metric.output_type(column)
        columns.append(Column(metric.output_name(feature.name, feature.interval), type))
    return columns


def _check_names(feature: Feature, schema: Schema) -> None:
    taken = dict[str, str]()
    for name in schema.names:
        parse_name(name, f"name of a column of {feature.name}")
        other = taken.setdefault(name.lower(), name)
        if other != name:
            raise InvalidName(
                f"{feature.name}: the columns {other} and {name} differ only in case",
                hint="rename one of them in the function",
            )


def _computed(feature: Feature, schema: Schema, frame: pl.DataFrame) -> tuple[pa.Table, int | None]:
    if feature.interval is not None and feature.metrics and len(frame):
        return _rolled(feature, feature.interval, schema, frame)
    if feature.metrics:
        return arrow_schema(schema).empty_table(), None
    if feature.timestamp is not None:
        times = instants(feature, frame[feature.timestamp])
        dtype = to_polars(schema.type_of(feature.timestamp))
        frame = frame.with_columns(times.cast(dtype).alias(feature.timestamp))
    rows = unique_rows(feature, frame.select(schema.names))
    # Before 2.0 Polars cannot hand out structs in several chunks.
    return canonical_table(rows.rechunk().to_arrow()).cast(arrow_schema(schema)), None


def _rolled(
    feature: Feature, interval: Duration, schema: Schema, frame: pl.DataFrame
) -> tuple[pa.Table, int]:
    assert feature.timestamp is not None
    times = instants(feature, frame[feature.timestamp]).to_numpy()
    calendar = calendar_of(interval, feature.timezone, int(times.min()), int(times.max()))
    buckets = calendar.buckets(times)
    horizon = int(buckets.max()) + 1
    events = sorted_events(entity_codes([frame[key] for key in feature.keys]), buckets)
    inputs = _inputs(feature, frame)
    owners = canonical_table(frame.select(feature.keys)[events.firsts].to_arrow())
    batches = []
    for rows in metric_rows(feature, events, inputs, horizon):
        keys = [owners[key].combine_chunks().take(pa.array(rows.entities)) for key in feature.keys]
        ends = arrow_array(calendar.starts(rows.ends), None, schema.type_of(feature.timestamp))
        batches.append(pa.record_batch([*keys, ends, *rows.metrics], schema=arrow_schema(schema)))
    return pa.Table.from_batches(batches), int(calendar.starts(np.array([horizon]))[0])


def _inputs(feature: Feature, frame: pl.DataFrame) -> dict[str, Input]:
    wanted = dict[str, set[Aggregation]]()
    for metric in feature.metrics:
        wanted.setdefault(metric.column, set()).add(metric.aggregation)
    return {name: input_of(frame[name], aggregations) for name, aggregations in wanted.items()}
