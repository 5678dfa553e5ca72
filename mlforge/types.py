"""Types: the canonical column types, a normalised subset of Arrow, without importing Arrow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from mlforge.errors import UnsupportedType


class TypeKind(StrEnum):
    """What a value is."""

    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DECIMAL = "decimal"
    STRING = "string"
    BINARY = "binary"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    DURATION = "duration"


SIGNED = (TypeKind.INT8, TypeKind.INT16, TypeKind.INT32, TypeKind.INT64)
UNSIGNED = (TypeKind.UINT8, TypeKind.UINT16, TypeKind.UINT32, TypeKind.UINT64)
FLOATS = (TypeKind.FLOAT32, TypeKind.FLOAT64)
_WIDTHS = {kind: int(kind.value.lstrip("uintfloa")) for kind in (*SIGNED, *UNSIGNED, *FLOATS)}
_DECIMAL = re.compile(r"decimal\[([1-9][0-9]?),(0|[1-9][0-9]?)\]\Z")


@dataclass(frozen=True, slots=True)
class DataType:
    """A kind with its parameters: decimals have precision and scale, instants may be UTC."""

    kind: TypeKind
    precision: int = 0
    scale: int = 0
    is_utc: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the canonical string: `int64`, `decimal[38,10]`, `datetime[UTC]`, `datetime`."""
        if match := _DECIMAL.match(text):
            precision, scale = int(match[1]), int(match[2])
            if scale <= precision <= 38:
                return cls(TypeKind.DECIMAL, precision, scale)
        elif text == "datetime[UTC]":
            return cls(TypeKind.DATETIME, is_utc=True)
        elif text in TypeKind.__members__.values() and text != TypeKind.DECIMAL:
            return cls(TypeKind(text))
        raise UnsupportedType(f"{text[:80]!r} is not a canonical type")

    @property
    def is_integer(self) -> bool:
        return self.kind in SIGNED or self.kind in UNSIGNED

    @property
    def is_float(self) -> bool:
        return self.kind in FLOATS

    @property
    def is_key(self) -> bool:
        """Whether a join key may have this type: equality must be exact and portable."""
        return self.is_integer or self.kind in _KEY_KINDS

    @property
    def is_summable(self) -> bool:
        return self.is_integer or self.is_float or self.kind in (TypeKind.BOOL, TypeKind.DECIMAL)

    @property
    def is_time(self) -> bool:
        """Whether it can be an event time."""
        return self.kind in (TypeKind.DATETIME, TypeKind.DATE)

    def widens_to(self, other: DataType) -> bool:
        """Whether every value of this type is also one of the other, with nothing lost."""
        if self.kind is TypeKind.DECIMAL and other.kind is TypeKind.DECIMAL:
            digits = other.precision - other.scale
            return other.scale >= self.scale and digits >= self.precision - self.scale
        if self.kind in _WIDTHS and other.kind in _WIDTHS:
            return _widens(self.kind, other.kind)
        return False

    def __str__(self) -> str:
        if self.kind is TypeKind.DECIMAL:
            return f"decimal[{self.precision},{self.scale}]"
        return "datetime[UTC]" if self.is_utc else self.kind.value


_KEY_KINDS = (
    TypeKind.BOOL,
    TypeKind.STRING,
    TypeKind.BINARY,
    TypeKind.DATE,
    TypeKind.DATETIME,
    TypeKind.DECIMAL,
)

# The whole integers that a float of this width holds exactly: its mantissa.
_MANTISSA = {TypeKind.FLOAT32: 24, TypeKind.FLOAT64: 53}


def _widens(narrow: TypeKind, wide: TypeKind) -> bool:
    if narrow == wide:
        return False
    if narrow in FLOATS:
        return wide in FLOATS and _WIDTHS[wide] > _WIDTHS[narrow]
    if wide in FLOATS:
        return _WIDTHS[narrow] - (narrow in SIGNED) <= _MANTISSA[wide]
    if narrow in SIGNED and wide in UNSIGNED:
        return False
    return _WIDTHS[wide] > _WIDTHS[narrow]


def int64() -> DataType:
    """64-bit integers, signed."""
    return DataType(TypeKind.INT64)


def float64() -> DataType:
    """64-bit floats, IEEE 754."""
    return DataType(TypeKind.FLOAT64)


def string() -> DataType:
    """Text, UTF-8."""
    return DataType(TypeKind.STRING)


def boolean() -> DataType:
    """True and false."""
    return DataType(TypeKind.BOOL)


def decimal(precision: int, scale: int) -> DataType:
    """Decimals of at most 38 digits, `scale` of them after the point."""
    return DataType(TypeKind.DECIMAL, precision, scale)
