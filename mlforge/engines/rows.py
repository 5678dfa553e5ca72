"""Rows: a function's own rows in canonical order, unique in it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from mlforge.arrow import arrow_schema, canonical_table
from mlforge.definitions.feature import Feature
from mlforge.engines.told import told
from mlforge.errors import DuplicateKeys
from mlforge.schema import Schema
from mlforge.times import iso
from mlforge.types.polars import to_polars

_EXAMPLES = 3
# What repeats, by how many times there are.
_WHAT = ("keys", "keys and event time", "keys, event time and time of creation")


class UniqueRows:
    """Rows that come in parts: whole keys in each, and the parts in the order of the keys.

    Rule: docs/semantics.md#features-without-metrics.
    """

    def __init__(self, feature: Feature, schema: Schema) -> None:
        self._feature, self._schema = feature, schema
        self._repeats = 0
        self._examples: list[str] = []

    def take(self, frame: pl.DataFrame) -> list[pa.RecordBatch]:
        """By keys, times, and then tiebreak: the greatest wins, null and NaN are least.

        `frame`: as an `Intake` has made it ready.
        """
        order, tiebreak = self._feature.order, self._feature.tiebreak
        ranks = [_rank(frame.schema[name], name) for name in tiebreak]
        ordered = frame.sort([*map(pl.col, order), *ranks], nulls_last=False)
        repeats = _equals_previous(ordered, [pl.col(name) for name in order])
        if repeats.any():
            is_last = ~repeats.shift(-1, fill_value=False)
            ties = repeats
            if tiebreak:
                ties = is_last & repeats & _equals_previous(ordered, ranks)
            self._note(ordered.filter(ties))
            ordered = ordered.filter(is_last)
        return self._finished(ordered)

    def check(self) -> None:
        """Raise DuplicateKeys, with all that repeat, once every part was taken."""
        if not self._repeats:
            return
        what = _WHAT[len(self._feature.times)]
        count = "1 row repeats" if self._repeats == 1 else f"{self._repeats} rows repeat"
        ways = "aggregate in the function"
        if not self._feature.tiebreak:
            ways += ', or declare tiebreak=["column"]: the greatest wins'
        raise DuplicateKeys(
            f"{self._feature.name}: {count} the {what} of another",
            cause="; ".join(self._examples),
            hint=ways,
        )

    def _note(self, ties: pl.DataFrame) -> None:
        self._repeats += len(ties)
        wanted = _EXAMPLES - len(self._examples)
        order = self._feature.order
        for row in ties.unique(order, maintain_order=True).head(wanted).select(order).to_dicts():
            self._examples.append(", ".join(self._said(name, value) for name, value in row.items()))

    def _said(self, name: str, value: object) -> str:
        if name in self._feature.times and isinstance(value, int):
            return f"{name} = {iso(value)}"
        return f"{name} = {value if hasattr(value, 'isoformat') else repr(value)}"

    def _finished(self, ordered: pl.DataFrame) -> list[pa.RecordBatch]:
        ordered = ordered.with_columns(
            pl.col(name).cast(to_polars(self._schema.type_of(name))) for name in self._feature.times
        )
        # Before 2.0 Polars cannot hand out structs in several chunks.
        with told(self._feature):
            table = canonical_table(ordered.select(self._schema.names).rechunk().to_arrow())
        batches: list[pa.RecordBatch] = table.cast(arrow_schema(self._schema)).to_batches()
        return batches


def _rank(dtype: pl.DataType, name: str) -> pl.Expr:
    return pl.col(name).fill_nan(None) if dtype.is_float() else pl.col(name)


def _equals_previous(frame: pl.DataFrame, values: Sequence[pl.Expr]) -> pl.Series:
    same = pl.all_horizontal(value.eq_missing(value.shift(1)) for value in values)
    is_first = pl.int_range(pl.len()) == 0
    return frame.select(repeats=same & ~is_first)["repeats"]
