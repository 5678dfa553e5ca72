"""Key text: a packed key in words, for people who look at rows."""

from __future__ import annotations

from struct import Struct

from mlforge.online.board import Layout
from mlforge.online.decoding import Value, converter
from mlforge.online.encoding import WIDTHS
from mlforge.types import DataType, TypeKind

_LENGTH = Struct("<I")
_UNSIGNED = (TypeKind.UINT8, TypeKind.UINT16, TypeKind.UINT32, TypeKind.UINT64)


def key_text(layout: Layout, packed: bytes) -> str:
    """`user_id=7, day=2024-01-01`; of bytes that are no such key, the bytes."""
    types = {column.name: column.type for column in layout.columns}
    told, rest = list[str](), packed
    try:
        for name in layout.keys:
            value, rest = _first(types[name], rest)
            told.append(f"{name}={value}")
    except (ValueError, ArithmeticError):
        return packed.hex()
    return packed.hex() if rest else ", ".join(told)


def _first(type: DataType, packed: bytes) -> tuple[Value, bytes]:
    """The first value, and what follows it. Raises ValueError."""
    start, width = 0, WIDTHS.get(type.kind)
    if width is None:
        start = _LENGTH.size
        width = int.from_bytes(packed[:start], "little")
    if len(packed) < start + width:
        raise ValueError("it ends too early")
    text, rest = packed[start : start + width], packed[start + width :]
    return _value(type, text), rest


def _value(type: DataType, text: bytes) -> Value:
    match type.kind:
        case TypeKind.STRING:
            return text.decode()
        case TypeKind.BINARY:
            return text.hex()
        case TypeKind.BOOL:
            return text != b"\0"
        case TypeKind.DECIMAL:
            stored: Value = text
        case _:
            stored = int.from_bytes(text, "little", signed=type.kind not in _UNSIGNED)
    convert = converter(type)
    return stored if convert is None else convert(stored)
