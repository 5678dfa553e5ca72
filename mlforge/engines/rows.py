"""Rows: a function's own rows in canonical order, unique in keys and event time."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mlforge.definitions.feature import Feature
from mlforge.errors import DuplicateKeys

_EXAMPLES = 3


def unique_rows(feature: Feature, frame: pl.DataFrame) -> pl.DataFrame:
    """Sorted by keys, then event time, then tiebreak: the greatest wins, null and NaN are least.

    Raises DuplicateKeys. Rule: docs/semantics.md#features-without-metrics.
    """
    order, tiebreak = feature.order, feature.tiebreak
    ranks = [_rank(frame.schema[name], name) for name in tiebreak]
    ordered = frame.sort([*map(pl.col, order), *ranks], nulls_last=False)
    repeats = _equals_previous(ordered, [pl.col(name) for name in order])
    if not repeats.any():
        return ordered
    is_last = ~repeats.shift(-1, fill_value=False)
    ties = is_last & repeats & _equals_previous(ordered, ranks) if tiebreak else repeats
    if ties.any():
        raise _duplicates(feature, ordered.filter(ties))
    return ordered.filter(is_last)


def _rank(dtype: pl.DataType, name: str) -> pl.Expr:
    return pl.col(name).fill_nan(None) if dtype.is_float() else pl.col(name)


def _equals_previous(frame: pl.DataFrame, values: Sequence[pl.Expr]) -> pl.Series:
    same = pl.all_horizontal(value.eq_missing(value.shift(1)) for value in values)
    is_first = pl.int_range(pl.len()) == 0
    return frame.select(repeats=same & ~is_first)["repeats"]


def _duplicates(feature: Feature, rows: pl.DataFrame) -> DuplicateKeys:
    what = "keys and event time" if feature.timestamp else "keys"
    examples = [
        ", ".join(f"{name} = {_text(value)}" for name, value in row.items())
        for row in rows.select(feature.order).unique(maintain_order=True).head(_EXAMPLES).to_dicts()
    ]
    count = "1 row repeats" if len(rows) == 1 else f"{len(rows)} rows repeat"
    ways = "aggregate in the function"
    if not feature.tiebreak:
        ways += ', or declare tiebreak=["column"]: the greatest wins'
    return DuplicateKeys(
        f"{feature.name}: {count} the {what} of another", cause="; ".join(examples), hint=ways
    )


def _text(value: object) -> str:
    return str(value) if hasattr(value, "isoformat") else repr(value)
