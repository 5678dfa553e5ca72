"""Surrogate keys: one text for the values of several columns, the same on every engine.

A value is written as its kind, its length and its bytes, so neither separators nor types nor
nulls make two rows collide. A key is BLAKE3 of a row's values: 64 hex digits. The width of an
integer and the scale of a decimal are not part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import polars as pl

from mlforge.errors import InvalidTimes, InvalidUsage, UnsupportedType
from mlforge.ids import hash_each
from mlforge.types import DataType, TypeKind
from mlforge.types.polars import from_polars


def surrogate_key(*columns: str) -> pl.Expr:
    """A key made of these columns, in this order, as 64 hex digits; a null is a value too.

    Raises UnsupportedType, when it is run, for columns without exact equality: floats, lists.
    """
    if not columns or not all(isinstance(column, str) for column in columns):
        raise InvalidUsage(
            "a surrogate key is made of columns by name", hint='surrogate_key("first", "last")'
        )
    return pl.struct(*columns).map_batches(_keys, return_dtype=pl.String(), is_elementwise=True)


def _keys(rows: pl.Series) -> pl.Series:
    """Hashed once for each distinct row."""
    frame = rows.struct.unnest().select(_canonical(column) for column in rows.struct.unnest())
    types = [from_polars(dtype, name) for name, dtype in frame.schema.items()]
    names = [str(at) for at in range(len(types))]
    numbered = frame.rename(dict(zip(frame.columns, names, strict=True)))
    distinct = numbered.unique()
    if distinct.height == numbered.height:
        return _hashes(numbered, types, rows.struct.fields).alias(rows.name)
    keys = _hashes(distinct, types, rows.struct.fields).alias("key")
    found = numbered.join(
        distinct.with_columns(keys), on=names, how="left", nulls_equal=True, maintain_order="left"
    )
    return found["key"].alias(rows.name)


def _hashes(frame: pl.DataFrame, types: Sequence[DataType], columns: Sequence[str]) -> pl.Series:
    written = [
        _written(values, type, column)
        for values, type, column in zip(frame.get_columns(), types, columns, strict=True)
    ]
    keys = hash_each(map(b"".join, zip(*written, strict=True)))
    return pl.Series(keys, dtype=pl.String())


def _canonical(column: pl.Series) -> pl.Series:
    """Texts as strings, instants in microseconds; a column of nulls alone as any type."""
    if column.dtype in (pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String)
    if not isinstance(column.dtype, pl.Datetime):
        return column
    micros = column.dt.cast_time_unit("us")
    if column.dtype.time_unit == "ns" and not (micros.dt.cast_time_unit("ns") == column).all():
        raise InvalidTimes(
            f"column {column.name} has digits below a microsecond",
            hint=f'cast it: pl.col("{column.name}").dt.cast_time_unit("us")',
        )
    return micros


def _written(values: pl.Series, type: DataType, column: str) -> list[bytes]:
    """Each value as its kind, its length and its bytes. Whole columns at once: rows are many."""
    kind = _kind(type, column)
    known = values.drop_nulls()
    written = _ticks(kind, known, type) if type.is_integer or type.is_time else None
    if written is None:
        data = _data(known, type)
        heads = {size: kind + size.to_bytes(8, "little") for size in {*map(len, data)}}
        written = [heads[len(each)] + each for each in data]
    if len(written) == len(values):
        return written
    null, left = b"n" + bytes(8), iter(written)
    return [next(left) if is_known else null for is_known in values.is_not_null().to_list()]


def _kind(type: DataType, column: str) -> bytes:
    """The letter of a type."""
    if type.is_integer:
        return b"i"
    match type.kind:
        case TypeKind.BOOL:
            return b"b"
        case TypeKind.STRING:
            return b"s"
        case TypeKind.BINARY:
            return b"x"
        case TypeKind.DATE:
            return b"d"
        case TypeKind.DATETIME:
            return b"u" if type.is_utc else b"t"
        case TypeKind.DECIMAL:
            return b"m"
        case _:
            raise UnsupportedType(
                f"column {column} is {type}, which has no exact equality to make a key of",
                hint=f"cast {column} to an integer or a string",
            )


def _ticks(kind: bytes, values: pl.Series, type: DataType) -> list[bytes]:
    """Integers in 16 bytes, days and microseconds in 8, both signed and little-endian."""
    numbers = values.to_physical().to_numpy()
    size = 16 if type.is_integer else 8
    form = np.dtype([("kind", "V1"), ("size", "<u8"), ("low", "<u8"), ("high", "<u8")])
    rows = np.zeros(len(numbers), form)
    rows["kind"], rows["size"] = np.void(kind), size
    rows["low"] = numbers.astype(np.int64 if numbers.dtype.kind == "i" else np.uint64)
    rows["high"] = np.where(numbers < 0, np.uint64(2**64 - 1), np.uint64(0))
    found: list[bytes] = rows.view(np.dtype("V25")).tolist()
    return found if type.is_integer else [each[:17] for each in found]


def _data(values: pl.Series, type: DataType) -> list[bytes]:
    match type.kind:
        case TypeKind.BOOL:
            return [bytes([value]) for value in values.to_list()]
        case TypeKind.DECIMAL:
            return [_plain_digits(value) for value in values.to_list()]
        case _:
            return values.cast(pl.Binary).to_list()


def _plain_digits(value: Decimal) -> bytes:
    """Without zeros at the end, so that the scale does not count."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return (text if text.strip("-0.") else "0").encode()
