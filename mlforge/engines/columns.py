"""Columns: a Polars frame's columns as the numbers that exact arithmetic takes."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from mlforge.arrow import canonical_array
from mlforge.definitions.rolling import Aggregation
from mlforge.engines.exact import Flags, Integers, Numbers, Words
from mlforge.engines.tiles import Input, Values
from mlforge.types import DataType, TypeKind, int64
from mlforge.types.polars import from_polars

# Above this many codes a row, numbering what occurs is worth its time.
_SPARSE = 4
_SUMMED = frozenset({Aggregation.SUM, Aggregation.MEAN, Aggregation.STD})
_COMPARED = frozenset({Aggregation.MIN, Aggregation.MAX})
_RANKED = frozenset({Aggregation.MEDIAN})


@dataclass(frozen=True, slots=True)
class Codes:
    """Integers of rows, from 0 up to below `size`, in the order of their keys."""

    columns: tuple[tuple[Numbers, int, int], ...]
    size: int

    def part(self, rows: slice) -> Integers:
        """The codes of some of the rows."""
        codes = np.zeros(0, dtype=np.int64)
        for place, (numbers, least, size) in enumerate(self.columns):
            own = _above(numbers[rows], least)
            codes = codes * size + own if place else own
        return codes


def _above(numbers: Numbers, least: int) -> Integers:
    """How far numbers are above the least of them: less than 2**62."""
    if numbers.dtype.itemsize < 8:
        # In their own type the differences would wrap.
        numbers = numbers.astype(np.int64)
    above: Integers = (numbers - numbers.dtype.type(least)).astype(np.int64, copy=False)
    return above


def entity_codes(keys: Sequence[pl.Series]) -> Codes:
    """The codes of keys of which none is null."""
    columns = [_key_codes(key) for key in keys]
    size = math.prod(column[2] for column in columns)
    if size < 1 << 62:
        return Codes(tuple(columns), size)
    # The first keys together, as numbers of what occurs.
    first = entity_codes(keys[:-1])
    occurring, numbers = np.unique(first.part(slice(None)), return_inverse=True)
    joined = (numbers, 0, len(occurring))
    return Codes((joined, columns[-1]), len(occurring) * columns[-1][2])


def input_of(column: pl.Series, aggregations: Set[Aggregation]) -> Input:
    """What the aggregations need of a column."""
    if aggregations == {Aggregation.COUNT} and not column.dtype.is_float():
        # Anything can be counted, also what has no canonical type.
        return Input(Values(_known(column)), int64())
    type = from_polars(column.dtype, column.name)
    if type.is_float:
        return Input(_float_values(column, aggregations), type)
    is_known = _known(column)
    addends = _addends(column, type) if aggregations & (_SUMMED | _RANKED) else None
    values = _values(is_known, addends, aggregations)
    if not aggregations & _COMPARED:
        return Input(values, type)
    physical = _physical(column)
    if physical is not None:
        return Input(replace(values, ordinals=physical.fill_null(0).to_numpy()), type)
    codes, occurring = _numbered(column)
    dictionary = canonical_array(occurring.to_frame().to_arrow()[column.name], column.name)
    return Input(replace(values, ordinals=codes.fill_null(0).to_numpy()), type, dictionary)


def _known(column: pl.Series) -> Flags | None:
    return column.is_not_null().to_numpy() if column.null_count() else None


def _float_values(column: pl.Series, aggregations: Set[Aggregation]) -> Values:
    # Adding 0.0 makes -0.0 0.0; nulls come as NaN.
    numbers = column.to_numpy() + 0.0
    is_missing = np.isnan(numbers)
    is_known = None
    if is_missing.any():
        is_known, numbers = ~is_missing, np.where(is_missing, 0, numbers)
    values = _values(is_known, numbers, aggregations)
    return replace(values, ordinals=numbers) if aggregations & _COMPARED else values


def _values(
    is_known: Flags | None, numbers: Numbers | Words | None, aggregations: Set[Aggregation]
) -> Values:
    ranked = numbers if aggregations & _RANKED else None
    if ranked is not None and is_known is not None:
        ranked = ranked[np.flatnonzero(is_known)]
    return Values(
        is_known,
        addends=numbers if aggregations & _SUMMED else None,
        is_squared=Aggregation.STD in aggregations,
        ranked=ranked,
    )


def _addends(column: pl.Series, type: DataType) -> Integers | Words:
    if type.kind is not TypeKind.DECIMAL:
        return (
            column.cast(pl.UInt8).fill_null(0).to_numpy()
            if type.kind is TypeKind.BOOL
            else (column.fill_null(0).to_numpy())
        )
    array = canonical_array(column.fill_null(0).to_frame().to_arrow()[column.name], column.name)
    pairs = np.frombuffer(array.buffers()[1], dtype=np.int64).reshape(-1, 2)
    pairs = pairs[array.offset : array.offset + len(array)]
    low, high = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    is_narrow = bool((high == low >> 63).all())
    return low if is_narrow else Words(low.view(np.uint64), high)


def _key_codes(key: pl.Series) -> tuple[Numbers, int, int]:
    """Numbers in the order of a key's values, the least of them, and how many there may be."""
    physical = _physical(key)
    if physical is not None and len(physical):
        numbers = physical.to_numpy()
        least, greatest = int(numbers.min()), int(numbers.max())
        if greatest - least < _SPARSE * len(numbers) + 1024:
            return numbers, least, greatest - least + 1
    codes, occurring = _numbered(key)
    return codes.to_numpy(), 0, len(occurring)


def _physical(column: pl.Series) -> pl.Series | None:
    """The integers that order a column, in the unit that mlforge stores; None if there are none."""
    if column.dtype == pl.Boolean:
        return column.cast(pl.UInt8)
    is_stored = column.dtype.is_integer() or column.dtype == pl.Date
    if is_stored or getattr(column.dtype, "time_unit", None) == "us":
        return column.to_physical()
    return None


def _numbered(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Each value's number among the sorted values that occur, and those; null stays null."""
    values = column.rename("value").to_frame()
    occurring = values.drop_nulls().unique().sort("value").with_row_index("code")
    joined = values.lazy().join(occurring.lazy(), on="value", how="left", maintain_order="left")
    return joined.collect()["code"], occurring["value"].rename(column.name)
