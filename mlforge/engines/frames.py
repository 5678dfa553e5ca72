"""Frames: whatever speaks Arrow, as a Polars frame."""

from __future__ import annotations

from typing import TypeGuard

import polars as pl

from mlforge.arrow import ArrowFrame


def speaks_arrow(value: object) -> TypeGuard[ArrowFrame]:
    """Whether a value is a frame of any library; a column, a dict or a list is none."""
    return hasattr(value, "__arrow_c_stream__") and not isinstance(value, pl.Series)


def collected(frame: ArrowFrame | pl.LazyFrame) -> pl.DataFrame:
    """Any frame as a Polars DataFrame; an index of pandas is left out.

    Raises TypeError, ValueError or a PolarsError, if it holds what Polars cannot.
    """
    return frame.collect() if isinstance(frame, pl.LazyFrame) else pl.DataFrame(frame)
