"""Keys: packed from Python values, without loss. Bytes: docs/formats.md#packed-rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache, partial
from operator import index
from struct import Struct
from struct import error as StructError
from typing import TypeAlias, cast

from mlforge.errors import KeyTypeMismatch
from mlforge.online.board import Layout
from mlforge.online.decoding import CODES, EPOCH, EPOCH_DAY, EPOCH_UTC, LENGTH, Value
from mlforge.types import DataType, TypeKind

Pack: TypeAlias = Callable[[Value], bytes]
PackAll: TypeAlias = Callable[[Sequence[Value]], list[bytes | None]]

_MICROSECOND = timedelta(microseconds=1)
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])


class KeyPacker:
    """Packs the keys of one layout; made once for each, by `packer_of`."""

    def __init__(self, layout: Layout) -> None:
        types = {column.name: column.type for column in layout.columns}
        self._parts = [_part(key, types[key]) for key in layout.keys]

    def pack(self, columns: Sequence[Sequence[Value]]) -> list[bytes | None]:
        """Packed keys, from the values of each key column; None where one of them is null.

        Raises KeyTypeMismatch, which names the first value that is none of the column's type.
        """
        parts = [part(values) for part, values in zip(self._parts, columns, strict=True)]
        if len(parts) == 1:
            return parts[0]
        return [_joined(row) for row in zip(*parts, strict=True)]


@lru_cache(maxsize=1024)
def packer_of(layout: Layout) -> KeyPacker:
    return KeyPacker(layout)


def _joined(parts: tuple[bytes | None, ...]) -> bytes | None:
    return None if None in parts else b"".join(cast("tuple[bytes, ...]", parts))


def _part(name: str, kind: DataType) -> PackAll:
    """How a column's values are packed: all at once where they are what they mostly are."""
    pack = _packer(kind)

    def each(values: Sequence[Value]) -> list[bytes | None]:
        found = list[bytes | None]()
        for number, value in enumerate(values):
            try:
                found.append(None if value is None else pack(value))
            except (StructError, TypeError, ValueError, ArithmeticError) as error:
                raise KeyTypeMismatch(
                    f"{name} of entity {number} is {value!r} ({type(value).__name__}), and {kind} "
                    "in the feature",
                    hint=f"make {name} {kind} first",
                ) from error
        return found

    if not kind.is_integer and kind.kind is not TypeKind.STRING:
        return each
    expected = {int if kind.is_integer else str}
    plain = Struct(f"<{CODES[kind.kind]}").pack if kind.is_integer else _text

    def all_at_once(values: Sequence[Value]) -> list[bytes | None]:
        if {*map(type, values)} == expected:
            try:
                return [*map(plain, values)]
            except (StructError, ValueError):
                # One is out of range: which, is said below.
                pass
        return each(values)

    return all_at_once


def _packer(type: DataType) -> Pack:
    match type.kind:
        case TypeKind.STRING:
            return _text
        case TypeKind.BINARY:
            return _bytes
        case kind:
            return partial(_fixed, Struct(f"<{CODES[kind]}"), _stored(type))


def _text(value: Value) -> bytes:
    if not isinstance(value, str):
        raise TypeError
    return _bytes(value.encode())


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return LENGTH.pack(len(value)) + value


def _fixed(form: Struct, stored: Callable[[Value], Value], value: Value) -> bytes:
    return form.pack(stored(value))


def _stored(type: DataType) -> Callable[[Value], Value]:
    """From what Python has to what is stored; raises where something would be lost."""
    match type.kind:
        case TypeKind.BOOL:
            return _boolean
        case TypeKind.DATE:
            return _days
        case TypeKind.DATETIME:
            return partial(_microseconds, type.is_utc)
        case TypeKind.DECIMAL:
            return partial(_digits, type)
        case _:
            return _integer


def _integer(value: Value) -> int:
    if isinstance(value, bool):
        raise TypeError
    return index(value)  # type: ignore[arg-type]


def _boolean(value: Value) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _days(value: Value) -> int:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError
    return value.toordinal() - EPOCH_DAY


def _microseconds(is_utc: bool, value: Value) -> int:
    if not isinstance(value, datetime) or (value.tzinfo is not None) is not is_utc:
        raise TypeError
    # What pandas makes is a datetime, and finer.
    if getattr(value, "nanosecond", 0):
        raise ValueError
    return (value - (EPOCH_UTC if is_utc else EPOCH)) // _MICROSECOND


def _digits(type: DataType, value: Value) -> bytes:
    if not isinstance(value, Decimal):
        raise TypeError
    scaled = value.scaleb(type.scale, _EXACT)
    digits = int(scaled)
    if digits != scaled or abs(digits) >= 10**type.precision:
        raise ValueError
    return digits.to_bytes(16, "little", signed=True)
