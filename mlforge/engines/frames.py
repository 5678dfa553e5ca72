"""Frames: whatever speaks Arrow, as a Polars frame."""

from __future__ import annotations

from typing import TypeGuard

import polars as pl
import pyarrow as pa

from mlforge.arrow import ArrowFrame
from mlforge.types.arrow import from_arrow, to_arrow

# A relation of DuckDB 1.1 does not speak Arrow yet, and is asked for a table.
_OLD_DUCKDB = "to_arrow_table"


def speaks_arrow(value: object) -> TypeGuard[ArrowFrame]:
    """Whether a value is a frame of any library; a column, a dict or a list is none."""
    speaks = hasattr(value, "__arrow_c_stream__") or hasattr(value, _OLD_DUCKDB)
    return speaks and not isinstance(value, pl.Series)


def collected(frame: ArrowFrame | pl.LazyFrame) -> pl.DataFrame:
    """Any frame as a Polars DataFrame; an index of pandas is left out.

    Raises UnsupportedType for a column that no type stands for; TypeError, ValueError or a
    PolarsError, if it holds what else Polars cannot.
    """
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return pl.DataFrame(frame)
    return pl.DataFrame(_without_wide(_speaking(frame)))


def _speaking(frame: ArrowFrame) -> ArrowFrame:
    if hasattr(frame, "__arrow_c_stream__"):
        return frame
    table: ArrowFrame = getattr(frame, _OLD_DUCKDB)()
    return table


def _without_wide(frame: ArrowFrame) -> ArrowFrame:
    """The frame with decimals of 256 bits in 128: Polars panics at them."""
    if not hasattr(frame, "schema") or "decimal256" not in str(frame.schema):
        return frame
    table = pa.table(frame)
    for at, field in enumerate(table.schema):
        if pa.types.is_decimal256(field.type):
            narrow = to_arrow(from_arrow(field.type, field.name))
            table = table.set_column(at, field.name, table[at].cast(narrow))
    narrowed: ArrowFrame = table
    return narrowed
