"""Schema: of the rows that a feature makes of its function's output."""

from __future__ import annotations

import polars as pl

from mlforge.definitions.feature import Feature
from mlforge.definitions.rolling import Aggregation
from mlforge.engines.instants import check_type, time_type
from mlforge.errors import InvalidName, UnsupportedType
from mlforge.ids import parse_name
from mlforge.schema import Column, Schema
from mlforge.types import int64
from mlforge.types.polars import from_polars


def row_schema(feature: Feature, output: pl.Schema) -> Schema:
    """Raises UnsupportedType, InvalidTimes, InvalidName."""
    keys = [Column(key, from_polars(output[key], key)) for key in feature.keys]
    for key in keys:
        if not key.type.is_key:
            error = UnsupportedType(
                f"the key {key.name} is {key.type}, which has no exact equality",
                hint=f"cast {key.name} in the function to an integer or a string",
            )
            error.column = key.name
            raise error
    for name in feature.times:
        check_type(feature, name, output[name])
    times = [_time(feature, output, name) for name in feature.times[:1]]
    values = _metric_columns(feature, output) if feature.metrics else _own_columns(feature, output)
    schema = Schema(feature.keys, feature.timestamp, (*keys, *times, *values))
    _check_names(feature, schema)
    return schema


def needed_columns(feature: Feature, schema: Schema) -> list[str]:
    """The columns of the function's output that anything is done with."""
    validated = [column for column, _ in feature.validators]
    if not feature.metrics:
        return list(dict.fromkeys([*schema.names, *feature.tiebreak, *validated]))
    measured = [metric.column for metric in feature.metrics]
    return list(dict.fromkeys([*feature.order, *measured, *validated]))


def _time(feature: Feature, output: pl.Schema, name: str) -> Column:
    return Column(name, time_type(feature, output[name]))


def _own_columns(feature: Feature, output: pl.Schema) -> list[Column]:
    # A surrogate key stands for the columns that it is made of.
    made = (column for surrogate in feature.surrogates for column in surrogate.columns)
    taken = {*feature.keys, feature.timestamp, *made} - {feature.created}
    return [
        _time(feature, output, name)
        if name == feature.created
        else Column(name, from_polars(output[name], name))
        for name in output
        if name not in taken
    ]


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
