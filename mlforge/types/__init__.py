"""Types: the canonical column types, and their forms in Arrow, Polars and DuckDB.

The conversions are loaded with the library that they are about.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlforge.types.datatype import (
    FLOATS,
    LISTS,
    MOST_DIGITS,
    NESTED,
    SIGNED,
    UNSIGNED,
    DataType,
    TypeKind,
)
from mlforge.types.text import (
    from_canonical_string,
    from_json,
    to_canonical_string,
    to_json,
)

if TYPE_CHECKING:
    from mlforge.types.arrow import from_arrow, to_arrow
    from mlforge.types.duckdb import from_duckdb, to_duckdb
    from mlforge.types.polars import from_polars, to_polars

_LATE = {
    f"{way}_{library}": library
    for library in ("arrow", "duckdb", "polars")
    for way in ("from", "to")
}

__all__ = [
    "FLOATS",
    "LISTS",
    "MOST_DIGITS",
    "NESTED",
    "SIGNED",
    "UNSIGNED",
    "DataType",
    "TypeKind",
    "binary",
    "boolean",
    "categorical",
    "date",
    "datetime",
    "decimal",
    "duration",
    "enum",
    "fixed_list",
    "float32",
    "float64",
    "from_arrow",
    "from_canonical_string",
    "from_duckdb",
    "from_json",
    "from_polars",
    "int8",
    "int16",
    "int32",
    "int64",
    "list_",
    "string",
    "struct",
    "time",
    "to_arrow",
    "to_canonical_string",
    "to_duckdb",
    "to_json",
    "to_polars",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    return found


def boolean() -> DataType:
    """True and false."""
    return DataType(TypeKind.BOOL)


def int8() -> DataType:
    """8-bit integers, signed."""
    return DataType(TypeKind.INT8)


def int16() -> DataType:
    """16-bit integers, signed."""
    return DataType(TypeKind.INT16)


def int32() -> DataType:
    """32-bit integers, signed."""
    return DataType(TypeKind.INT32)


def int64() -> DataType:
    """64-bit integers, signed."""
    return DataType(TypeKind.INT64)


def uint8() -> DataType:
    """8-bit integers from 0."""
    return DataType(TypeKind.UINT8)


def uint16() -> DataType:
    """16-bit integers from 0."""
    return DataType(TypeKind.UINT16)


def uint32() -> DataType:
    """32-bit integers from 0."""
    return DataType(TypeKind.UINT32)


def uint64() -> DataType:
    """64-bit integers from 0."""
    return DataType(TypeKind.UINT64)


def float32() -> DataType:
    """32-bit floats, IEEE 754."""
    return DataType(TypeKind.FLOAT32)


def float64() -> DataType:
    """64-bit floats, IEEE 754."""
    return DataType(TypeKind.FLOAT64)


def decimal(precision: int, scale: int) -> DataType:
    """At most 38 digits, `scale` of them after the point. Raises UnsupportedType."""
    return DataType.parse(f"decimal[{precision},{scale}]")


def string() -> DataType:
    """Text, UTF-8."""
    return DataType(TypeKind.STRING)


def binary() -> DataType:
    """Bytes."""
    return DataType(TypeKind.BINARY)


def date() -> DataType:
    """Days."""
    return DataType(TypeKind.DATE)


def time() -> DataType:
    """A time of day in microseconds."""
    return DataType(TypeKind.TIME)


def datetime(*, timezone: str | None = None) -> DataType:
    """Microseconds since 1970: UTC when a time zone is given, else naive."""
    origin = None if timezone == "UTC" else timezone
    return DataType(TypeKind.DATETIME, is_utc=timezone is not None, origin=origin)


def duration() -> DataType:
    """Microseconds."""
    return DataType(TypeKind.DURATION)


def categorical() -> DataType:
    """Stored as its strings."""
    return DataType(TypeKind.STRING, origin="categorical")


def enum() -> DataType:
    """Stored as its strings."""
    return DataType(TypeKind.STRING, origin="enum")


def list_(item: DataType) -> DataType:
    """Lists of any length."""
    return DataType(TypeKind.LIST, item=item)


def fixed_list(item: DataType, size: int) -> DataType:
    """Lists of one size: embeddings."""
    return DataType(TypeKind.FIXED_LIST, item=item, size=size)


def struct(fields: Mapping[str, DataType]) -> DataType:
    """Named fields in this order."""
    return DataType(TypeKind.STRUCT, fields=tuple(fields.items()))
