"""Frames: whatever speaks Arrow, as a Polars frame."""

from __future__ import annotations

from typing import TypeGuard

import polars as pl
import pyarrow as pa

from mlforge.arrow import ArrowFrame
from mlforge.types.arrow import from_arrow, to_arrow


def speaks_arrow(value: object) -> TypeGuard[ArrowFrame]:
    """Whether a value is a frame of any library; a column, a dict or a list is none."""
    return hasattr(value, "__arrow_c_stream__") and not isinstance(value, pl.Series)


def collected(frame: ArrowFrame | pl.LazyFrame) -> pl.DataFrame:
    """Any frame as a Polars DataFrame; an index of pandas is left out.

    Raises UnsupportedType for a column that no type stands for; TypeError, ValueError or a
    PolarsError, if it holds what else Polars cannot.
    """
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    return pl.DataFrame(frame if isinstance(frame, pl.DataFrame) else _without_wide(frame))


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
