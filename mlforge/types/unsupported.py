"""Unsupported: the error for a type that no canonical type stands for, with the way out."""

from __future__ import annotations

from mlforge.errors import UnsupportedType

# What to make of it, by the start of its name in Arrow, Polars or DuckDB.
_WAYS_OUT = {
    "null": "has no value: give it a type with .cast(...)",
    "int128": "has more than 64 bits: cast it to pl.Decimal(38, 0), or to an integer",
    "uint128": "has more than 64 bits: cast it to pl.Decimal(38, 0), or to an integer",
    "hugeint": "has more than 64 bits: CAST it AS DECIMAL(38, 0) or BIGINT",
    "uhugeint": "has more than 64 bits: CAST it AS DECIMAL(38, 0) or UBIGINT",
    "decimal": "has more than 38 digits, or a scale outside them: cast it to fewer",
    "map": "has keys of its own: make it a list of structs of key and value",
    "interval": "has months, which have no length: cast it to microseconds",
    "month_day_nano": "has months, which have no length: cast it to microseconds",
    "object": "holds Python objects: make it columns of plain types",
}


def unsupported(name: str, column: str | None) -> UnsupportedType:
    """The error for a type by its foreign name."""
    what = f"column {column} has the type {name}" if column else f"the type {name}"
    lower = name.lower().strip('"')
    way = next((way for start, way in _WAYS_OUT.items() if lower.startswith(start)), None)
    subject = column or "it"
    error = UnsupportedType(
        f"{what}, which mlforge does not store" if column else f"mlforge does not store {what}",
        cause=f"{name} {way.partition(':')[0]}" if way else None,
        hint=(way.partition(": ")[2] if way else f"cast {subject} in the function, or drop it"),
    )
    error.column = column
    return error
