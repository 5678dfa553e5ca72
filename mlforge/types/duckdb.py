"""DuckDB types: canonical types to and from DuckDB's type strings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlforge.errors import UnsupportedType
from mlforge.types.datatype import MOST_DIGITS, MOST_LEVELS, DataType, TypeKind
from mlforge.types.unsupported import unsupported

_TO_DUCKDB = {
    TypeKind.BOOL: "BOOLEAN",
    TypeKind.INT8: "TINYINT",
    TypeKind.INT16: "SMALLINT",
    TypeKind.INT32: "INTEGER",
    TypeKind.INT64: "BIGINT",
    TypeKind.UINT8: "UTINYINT",
    TypeKind.UINT16: "USMALLINT",
    TypeKind.UINT32: "UINTEGER",
    TypeKind.UINT64: "UBIGINT",
    TypeKind.FLOAT32: "FLOAT",
    TypeKind.FLOAT64: "DOUBLE",
    TypeKind.STRING: "VARCHAR",
    TypeKind.BINARY: "BLOB",
    TypeKind.DATE: "DATE",
    TypeKind.TIME: "TIME",
}
_INSTANTS = {
    "TIMESTAMP": None,
    "TIMESTAMP_S": "s",
    "TIMESTAMP_MS": "ms",
    "TIMESTAMP_NS": "ns",
}
_FROM_DUCKDB = {text: DataType(kind) for kind, text in _TO_DUCKDB.items()} | {
    **{text: DataType(TypeKind.DATETIME, origin=unit) for text, unit in _INSTANTS.items()},
    "TIMESTAMP WITH TIME ZONE": DataType(TypeKind.DATETIME, is_utc=True),
    "TIMESTAMPTZ": DataType(TypeKind.DATETIME, is_utc=True),
    "TIME_NS": DataType(TypeKind.TIME, origin="ns"),
    "UUID": DataType(TypeKind.STRING, origin="uuid"),
    "JSON": DataType(TypeKind.STRING, origin="json"),
}
_DECIMAL = re.compile(r"DECIMAL\((\d{1,4}),\s*(\d{1,4})\)\Z")
_LIST = re.compile(r"(.*)\[(\d{0,9})\]\Z", re.DOTALL)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def to_duckdb(type: DataType) -> str:
    """DuckDB's type string. Raises UnsupportedType for a duration.

    DuckDB's INTERVAL has months and days beside microseconds: not every one is a duration.
    """
    match type.kind:
        case TypeKind.DECIMAL:
            return f"DECIMAL({type.precision},{type.scale})"
        case TypeKind.DATETIME:
            return "TIMESTAMP WITH TIME ZONE" if type.is_utc else "TIMESTAMP"
        case TypeKind.LIST:
            return f"{to_duckdb(type.inner[0])}[]"
        case TypeKind.FIXED_LIST:
            return f"{to_duckdb(type.inner[0])}[{type.size}]"
        case TypeKind.STRUCT:
            fields = (f"{_quoted(name)} {to_duckdb(inner)}" for name, inner in type.fields)
            return f"STRUCT({', '.join(fields)})"
        case TypeKind.DURATION:
            raise UnsupportedType(
                "DuckDB has no type for a duration: an INTERVAL counts months too",
                hint="keep the microseconds as int64",
            )
        case kind:
            return _TO_DUCKDB[kind]


def from_duckdb(type: object, column: str | None = None) -> DataType:
    """The canonical type of a DuckDB type or type string.

    Raises UnsupportedType, which names the column.
    """
    return _parsed(str(type).strip(), column, 0)


def _parsed(text: str, column: str | None, level: int) -> DataType:
    if level > MOST_LEVELS:
        raise unsupported(text[:80], column)
    if text in _FROM_DUCKDB:
        return _FROM_DUCKDB[text]
    if match := _DECIMAL.match(text):
        precision, scale = int(match[1]), int(match[2])
        if 1 <= precision <= MOST_DIGITS and scale <= precision:
            return DataType(TypeKind.DECIMAL, precision, scale)
    if match := _LIST.match(text):
        item = _parsed(match[1], column, level + 1)
        if not match[2]:
            return DataType(TypeKind.LIST, item=item)
        return DataType(TypeKind.FIXED_LIST, item=item, size=int(match[2]))
    if text.startswith("STRUCT(") and text.endswith(")"):
        fields = tuple(
            (name, _parsed(inner, column, level + 1)) for name, inner in _fields(text[7:-1], text)
        )
        if fields and len({name for name, _ in fields}) == len(fields):
            return DataType(TypeKind.STRUCT, fields=fields)
    if text.startswith("ENUM("):
        return DataType(TypeKind.STRING, origin="enum")
    raise unsupported(text[:80], column)


def _fields(text: str, whole: str) -> Iterator[tuple[str, str]]:
    """The fields of a struct's inside: `a INTEGER, "b c" VARCHAR[]`."""
    for part in _split(text):
        if part.startswith('"'):
            end = _closing(part, whole)
            yield part[1:end].replace('""', '"'), part[end + 1 :].strip()
        elif match := _PLAIN_NAME.match(part):
            yield match[0], part[match.end() :].strip()
        else:
            raise unsupported(whole[:80], None)


def _closing(part: str, whole: str) -> int:
    """Where the quoted name ends: a doubled quote is one of it."""
    at = 1
    while (at := part.find('"', at)) >= 0:
        if part[at : at + 2] != '""':
            return at
        at += 2
    raise unsupported(whole[:80], None)


def _split(text: str) -> Iterator[str]:
    """At the commas that are in no bracket and no quotes."""
    level, quote, start = 0, "", 0
    for at, mark in enumerate(text):
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "\"'":
            quote = mark
        elif mark in "([":
            level += 1
        elif mark in ")]":
            level -= 1
        elif mark == "," and level == 0:
            yield text[start:at].strip()
            start = at + 1
    yield text[start:].strip()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
