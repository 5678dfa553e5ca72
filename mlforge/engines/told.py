"""Told: errors about a column's type or times, with the feature's name and a value of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import polars as pl

from mlforge.definitions.feature import Feature
from mlforge.errors import InvalidTimes, UnsupportedType

_LONGEST = 60


@contextmanager
def told(feature: Feature, output: pl.LazyFrame | None = None) -> Iterator[None]:
    """Name the feature, and the first value of the column that an error names."""
    try:
        yield
    except (InvalidTimes, UnsupportedType) as error:
        prefix = "" if error.message.startswith(f"{feature.name}: ") else f"{feature.name}: "
        sample = _sample(output, error.column) if output is not None and error.column else None
        found = [text for text in (error.cause, sample) if text]
        raise type(error)(
            f"{prefix}{error.message}", cause="; ".join(found) or None, hint=error.hint
        ) from error


def _sample(output: pl.LazyFrame, column: str) -> str | None:
    # The error stands without a value, too.
    with suppress(pl.exceptions.PolarsError, pl.exceptions.PanicException):
        values = output.select(column).head(1).collect()[column].to_list()
        if values and values[0] is not None:
            return f"such as {column} = {str(values[0])[:_LONGEST]}"
    return None
