"""Profiles: a table's statistics, exact and shared by all engines."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mlforge.engines.exact import (
    BLOCK,
    Flags,
    Grid,
    Integers,
    Numbers,
    Words,
    grid_of_floats,
    rounded,
    split_floats,
    split_integers,
    split_wide,
)
from mlforge.engines.tiles import span_of
from mlforge.ids import ContentHash
from mlforge.profile import ColumnProfile, Profile, shortened
from mlforge.schema import Column, Schema
from mlforge.times import iso
from mlforge.types import DataType, TypeKind

# Texts that are looked at to say whether few differ, and how many times each must then occur.
_SAMPLE = 1 << 12
_RARE = 8
# Up to so many possible integers a row, marking those that occur beats sorting.
_SPARSE = 8
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class _Values:
    """What is said of values that are neither null nor NaN."""

    distinct: int | None = 0
    least: str | None = None
    greatest: str | None = None
    mean: str | None = None
    nans: int | None = None


Columns: TypeAlias = Callable[[str], pa.ChunkedArray]


def profile_of(
    columns: Columns, rows: int, schema: Schema, content_hash: ContentHash, *, at_once: int = 4
) -> Profile:
    """The profile of a table in canonical types and canonical row order.

    `columns`: gives one by its name; `at_once`: so many of them are in memory, with a few copies.
    Rule: docs/formats.md#profile.
    """
    with ThreadPoolExecutor(min(at_once, os.cpu_count() or 1)) as pool:
        keys = pool.submit(_distinct_keys, columns, rows, schema) if len(schema.keys) > 1 else None
        profiles = tuple(pool.map(lambda c: _column(columns(c.name), c, schema), schema.columns))
        times = pool.submit(_time_range, columns, rows, schema)
    only_key = next(column for column in profiles if column.name == schema.keys[0]).distinct or 0
    first, last = times.result()
    return Profile(
        content_hash=content_hash,
        rows=rows,
        distinct_keys=keys.result() if keys else only_key,
        first_time=first,
        last_time=last,
        columns=profiles,
    )


def _column(column: pa.ChunkedArray, declared: Column, schema: Schema) -> ColumnProfile:
    known = (pc.drop_null(column) if column.null_count else column).combine_chunks()
    array = known if isinstance(known, pa.Array) else pa.concat_arrays(known.chunks)
    if declared.type.is_nested:
        values = _Values(distinct=None)
    elif len(array):
        values = _values(array, declared.type, is_sorted=declared.name == schema.keys[0])
    else:
        values = _Values(nans=0 if declared.type.is_float else None)
    return ColumnProfile(
        name=declared.name,
        nulls=column.null_count,
        nans=values.nans,
        distinct=values.distinct,
        min=values.least,
        max=values.greatest,
        mean=values.mean,
    )


def _values(array: pa.Array, type: DataType, *, is_sorted: bool) -> _Values:
    if type.is_float:
        return _floats(array.to_numpy())
    if type.kind in (TypeKind.STRING, TypeKind.BINARY):
        return _texts(array, is_sorted=is_sorted)
    if type.kind is TypeKind.DECIMAL:
        return _decimals(array, type)
    return _integers(_physical(array, type), type, is_sorted=is_sorted)


def _floats(values: Numbers) -> _Values:
    # Adding 0.0 makes -0.0 0.0. NaN sorts behind everything.
    ordered = values + values.dtype.type(0)
    ordered.sort()
    nans = int(np.count_nonzero(np.isnan(ordered)))
    ordered = ordered[: len(ordered) - nans]
    if not len(ordered):
        return _Values(nans=nans)
    return _Values(
        distinct=_runs(ordered),
        least=repr(float(ordered[0])),
        greatest=repr(float(ordered[-1])),
        mean=_mean_of_floats(ordered),
        nans=nans,
    )


def _mean_of_floats(ordered: Numbers) -> str | None:
    """The exact sum rounded, over the count, rounded; infinities as in a window."""
    negative = int(np.searchsorted(ordered, -np.inf, side="right"))
    positive = len(ordered) - int(np.searchsorted(ordered, np.inf, side="left"))
    if negative or positive:
        return None if negative and positive else ("inf" if positive else "-inf")
    grid = _grid_of_sorted(ordered)
    limbs = tuple(np.array([limb], dtype=np.int64) for limb in _sums(ordered, grid))
    return repr(float(rounded(limbs, grid)[0]) / len(ordered))


def _grid_of_sorted(ordered: Numbers) -> Grid:
    """A grid on which sorted finite floats and all their sums are exact.

    Found without a look at each: none uses a bit below the mantissa of the one nearest to zero.
    """
    below, above = (int(np.searchsorted(ordered, 0, side=side)) for side in ("left", "right"))
    nearest, furthest = (max(below - 1, 0), min(above, len(ordered) - 1)), (0, -1)
    extremes = ordered[[*nearest, *furthest]].astype(np.float64)
    # The last bit of a mantissa, as if it were in use.
    full = (extremes[extremes != 0].view(np.int64) | 1).view(np.float64)
    return grid_of_floats(full, count=len(ordered))


def _sums(values: Numbers | Words, grid: Grid) -> list[int]:
    """The limbs of the sum of values."""
    totals = [0] * grid.size
    for start in range(0, len(values), BLOCK):
        if isinstance(values, Words):
            part = slice(start, start + BLOCK)
            limbs = split_wide(Words(values.low[part], values.high[part]), grid)
        elif np.issubdtype(values.dtype, np.floating):
            limbs = split_floats(values[start : start + BLOCK], grid)
        else:
            limbs = split_integers(values[start : start + BLOCK], grid)
        totals = [total + int(limb.sum()) for total, limb in zip(totals, limbs, strict=True)]
    return totals


def _sum(values: Numbers | Words) -> int:
    grid = Grid.spanning(*span_of(values), len(values))
    return sum(limb << grid.width * place for place, limb in enumerate(_sums(values, grid)))


def _integers(values: Numbers, type: DataType, *, is_sorted: bool) -> _Values:
    least, greatest = int(values.min()), int(values.max())
    return _Values(
        distinct=_runs(values) if is_sorted else _distinct(values, greatest - least),
        least=_text(least, type),
        greatest=_text(greatest, type),
        mean=repr(float(_sum(values)) / len(values)) if type.is_summable else None,
    )


def _distinct(values: Numbers, span: int) -> int:
    if span >= _SPARSE * len(values) + 1024:
        return _runs(np.sort(values))
    # 64 bits wrap alike whatever the sign, and the differences are small.
    offsets: Integers = values.astype(np.int64) - values.min().astype(np.int64)
    occurs = np.zeros(span + 1, dtype=np.bool_)
    occurs[offsets] = True
    return int(np.count_nonzero(occurs))


def _runs(ordered: Numbers) -> int:
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + 1


def _decimals(array: pa.Array, type: DataType) -> _Values:
    words = _words(array)
    if bool((words.high == words.low.view(np.int64) >> 63).all()):
        narrow = words.low.view(np.int64)
        distinct, total = _distinct(narrow, int(narrow.max()) - int(narrow.min())), _sum(narrow)
    else:
        distinct, total = pc.count_distinct(array).as_py(), _sum(words)
    extremes: dict[str, Decimal] = pc.min_max(array).as_py()
    return _Values(
        distinct=distinct,
        least=f"{extremes['min']:f}",
        greatest=f"{extremes['max']:f}",
        mean=repr(total / 10**type.scale / len(array)),
    )


def _words(array: pa.Array) -> Words:
    pairs = np.frombuffer(array.buffers()[1], dtype=np.int64).reshape(-1, 2)
    pairs = pairs[array.offset : array.offset + len(array)]
    low, high = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    return Words(low.view(np.uint64), high)


def _texts(array: pa.Array, *, is_sorted: bool) -> _Values:
    if is_sorted:
        distinct = int(np.count_nonzero(_differs(pa.chunked_array([array])))) + 1
        return _Values(distinct, _shown(array[0].as_py()), _shown(array[-1].as_py()))
    if _is_repetitive(array):
        array = pc.unique(array)
        distinct = len(array)
    else:
        # Arrow's own count takes ten times as long where most values differ.
        distinct = pl.DataFrame({"text": array})["text"].n_unique()
    extremes: dict[str, str | bytes] = pc.min_max(array).as_py()
    return _Values(distinct, _shown(extremes["min"]), _shown(extremes["max"]))


def _is_repetitive(array: pa.Array) -> bool:
    """Whether a sample over all rows says that few values differ: what is quicker, not what is."""
    sample = array.take(pa.array(np.arange(0, len(array), max(1, len(array) // _SAMPLE))))
    return len(pc.unique(sample)) * _RARE <= len(sample)


def _shown(value: str | bytes) -> str:
    return shortened(value if isinstance(value, str) else value[:64].hex())


def _physical(array: pa.Array, type: DataType) -> Numbers:
    """The integers that a column is stored as."""
    if type.kind is TypeKind.BOOL:
        array = pc.cast(array, pa.uint8())
    elif not type.is_integer:
        array = array.view(pa.int32() if type.kind is TypeKind.DATE else pa.int64())
    numbers: Numbers = array.to_numpy()
    return numbers


def _text(value: int, type: DataType) -> str:
    match type.kind:
        case TypeKind.BOOL:
            return "true" if value else "false"
        case TypeKind.DATE:
            return _date(value)
        case TypeKind.TIME:
            return iso(value).removeprefix("1970-01-01T").removesuffix("Z")
        case TypeKind.DATETIME:
            return iso(value) if type.is_utc else iso(value).removesuffix("Z")
        case _:
            return str(value)


def _date(days: int) -> str:
    try:
        return (_EPOCH + timedelta(days=days)).isoformat()
    except OverflowError:
        return f"{days} d"


def _time_range(columns: Columns, rows: int, schema: Schema) -> tuple[int | None, int | None]:
    if schema.timestamp is None or not rows:
        return None, None
    extremes = pc.min_max(pc.cast(columns(schema.timestamp), pa.int64()))
    return extremes["min"].as_py(), extremes["max"].as_py()


def _distinct_keys(columns: Columns, rows: int, schema: Schema) -> int:
    """Rows are sorted by keys: a new one begins wherever a key differs from the row before."""
    if not rows:
        return 0
    begins = np.zeros(rows - 1, dtype=np.bool_)
    for key in schema.keys:
        begins |= _differs(columns(key))
    return int(np.count_nonzero(begins)) + 1


def _differs(column: pa.ChunkedArray) -> Flags:
    """Whether each value but the first differs from the one before."""
    flags: Flags = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)).to_numpy()
    return flags
