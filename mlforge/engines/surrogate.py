"""Surrogate keys: one text for the values of several columns, the same on every engine.

A value is written as its kind, its length and its bytes, so neither separators nor types nor
nulls make two rows collide. A key is BLAKE3 of a row's values: 64 hex digits. The width of an
integer and the scale of a decimal are not part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import polars as pl

from mlforge.errors import InvalidTimes, InvalidUsage, UnsupportedType
from mlforge.ids import Hasher
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
    written = [
        _written(distinct[name], type, column)
        for name, type, column in zip(names, types, rows.struct.fields, strict=True)
    ]
    keys = pl.Series("key", [_hash(row) for row in zip(*written, strict=True)], pl.String())
    found = numbered.join(
        distinct.with_columns(keys), on=names, how="left", nulls_equal=True, maintain_order="left"
    )
    return found["key"].alias(rows.name)


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


def _hash(row: tuple[bytes, ...]) -> str:
    return Hasher().update(b"".join(row)).hexdigest()


def _written(values: pl.Series, type: DataType, column: str) -> list[bytes]:
    """Each value as its kind, its length and its bytes."""
    kind, data = _form(type, column)
    physical = values.to_physical() if type.is_time else values
    null = b"n" + bytes(8)
    return [null if v is None else _framed(kind, data(v)) for v in physical.to_list()]


def _framed(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(8, "little") + data


def _form(type: DataType, column: str) -> tuple[bytes, Callable[..., bytes]]:
    """The letter of a type, and how its values become bytes."""
    if type.is_integer:
        return b"i", lambda value: int(value).to_bytes(16, "little", signed=True)
    match type.kind:
        case TypeKind.BOOL:
            return b"b", lambda value: bytes([value])
        case TypeKind.STRING:
            return b"s", str.encode
        case TypeKind.BINARY:
            return b"x", bytes
        case TypeKind.DATE:
            return b"d", _days
        case TypeKind.DATETIME:
            return b"u" if type.is_utc else b"t", _days
        case TypeKind.DECIMAL:
            return b"m", _plain_digits
        case _:
            raise UnsupportedType(
                f"column {column} is {type}, which has no exact equality to make a key of",
                hint=f"cast {column} to an integer or a string",
            )


def _days(ticks: int) -> bytes:
    return ticks.to_bytes(8, "little", signed=True)


def _plain_digits(value: Decimal) -> bytes:
    """Without zeros at the end, so that the scale does not count."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return (text if text.strip("-0.") else "0").encode()
