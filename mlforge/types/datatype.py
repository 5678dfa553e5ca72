"""Data type: a canonical column type, a normalised subset of Arrow, without importing Arrow."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Self, TypeVar

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
    LIST = "list"
    FIXED_LIST = "fixed_list"
    STRUCT = "struct"


SIGNED = (TypeKind.INT8, TypeKind.INT16, TypeKind.INT32, TypeKind.INT64)
UNSIGNED = (TypeKind.UINT8, TypeKind.UINT16, TypeKind.UINT32, TypeKind.UINT64)
FLOATS = (TypeKind.FLOAT32, TypeKind.FLOAT64)
LISTS = (TypeKind.LIST, TypeKind.FIXED_LIST)
NESTED = (*LISTS, TypeKind.STRUCT)
_WIDTHS = {kind: int(kind.value.lstrip("uintfloa")) for kind in (*SIGNED, *UNSIGNED, *FLOATS)}
MOST_DIGITS = 38
# Deeper ones are nobody's features, and a parser's recursion has an end.
MOST_LEVELS = 32
_MOST_TEXT = 1 << 16
_WORD = re.compile(r"[a-z0-9_]+")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WITH_PARAMETERS = (TypeKind.DECIMAL, *NESTED)
_SIMPLE = {kind.value: kind for kind in TypeKind if kind not in _WITH_PARAMETERS}
_PLAIN_TEXTS: dict[TypeKind, str] = {
    kind: text for text, kind in _SIMPLE.items() if kind is not TypeKind.DATETIME
}


T = TypeVar("T", bound="DataType")


@dataclass(frozen=True, slots=True)
class DataType:
    """A kind with its parameters.

    Decimals have precision and scale, instants may be UTC, lists have an item, fixed lists a size
    too, structs have named fields in order. `origin` is what the type was before it was made
    canonical (a time zone, a unit, categories): it is told and never compared.
    """

    kind: TypeKind
    precision: int = 0
    scale: int = 0
    is_utc: bool = False
    item: DataType | None = None
    size: int = 0
    fields: tuple[tuple[str, DataType], ...] = ()
    origin: str | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the canonical string: `int64`, `decimal[38,10]`, `list[struct[a:date]]`.

        Raises UnsupportedType.
        """
        if text in _SIMPLE:
            return cls(_SIMPLE[text])
        try:
            if len(text) > _MOST_TEXT:
                raise _NotCanonical
            reader = _Reader(text, cls)
            found = reader.type(0)
            # One type, one text: what reads the same and is written otherwise is not canonical.
            if reader.at != len(text) or str(found) != text:
                raise _NotCanonical
        except (_NotCanonical, json.JSONDecodeError) as error:
            raise UnsupportedType(f"{text[:80]!r} is not a canonical type") from error
        return found

    @property
    def is_integer(self) -> bool:
        return self.kind in SIGNED or self.kind in UNSIGNED

    @property
    def is_float(self) -> bool:
        return self.kind in FLOATS

    @property
    def is_nested(self) -> bool:
        return self.kind in NESTED

    @property
    def is_key(self) -> bool:
        """Whether a join key may have this type: equality must be exact and portable."""
        return self.is_integer or self.kind in _KEY_KINDS

    @property
    def is_summable(self) -> bool:
        return self.is_integer or self.is_float or self.kind in (TypeKind.BOOL, TypeKind.DECIMAL)

    @property
    def is_ordered(self) -> bool:
        """Whether it has a least and a greatest value."""
        return not self.is_nested

    @property
    def is_time(self) -> bool:
        """Whether it can be an event time."""
        return self.kind in (TypeKind.DATETIME, TypeKind.DATE)

    @property
    def inner(self) -> tuple[DataType, ...]:
        """The types that a nested type is made of."""
        return (self.item,) if self.item else tuple(type for _, type in self.fields)

    def widens_to(self, other: DataType) -> bool:
        """Whether every value of this type is also one of the other, with nothing lost."""
        if self.kind is TypeKind.DECIMAL and other.kind is TypeKind.DECIMAL:
            digits = other.precision - other.scale
            return other.scale >= self.scale and digits >= self.precision - self.scale
        if self.kind in _WIDTHS and other.kind in _WIDTHS:
            return _widens(self.kind, other.kind)
        if not self.is_nested or self == other:
            return False
        if (self.kind, self.size) != (other.kind, other.size):
            return False
        if [name for name, _ in self.fields] != [name for name, _ in other.fields]:
            return False
        pairs = zip(self.inner, other.inner, strict=True)
        return all(mine == theirs or mine.widens_to(theirs) for mine, theirs in pairs)

    def __str__(self) -> str:
        # Manifests ask often: `match` looks each member up.
        plain = _PLAIN_TEXTS.get(self.kind)
        if plain is not None:
            return plain
        match self.kind:
            case TypeKind.DECIMAL:
                return f"decimal[{self.precision},{self.scale}]"
            case TypeKind.DATETIME:
                return "datetime[UTC]" if self.is_utc else "datetime"
            case TypeKind.LIST:
                return f"list[{self.item}]"
            case TypeKind.FIXED_LIST:
                return f"fixed_list[{self.item},{self.size}]"
            case TypeKind.STRUCT:
                fields = ",".join(f"{_field_name(name)}:{type}" for name, type in self.fields)
                return f"struct[{fields}]"
            case kind:
                return kind.value


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


def _field_name(name: str) -> str:
    """A struct field's name: bare, or quoted as JSON quotes."""
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


class _NotCanonical(ValueError):
    """The text ends or goes on where it may not."""


class _Reader(Generic[T]):
    """Reads the grammar of canonical strings; `at` is how far it is."""

    def __init__(self, text: str, form: type[T]) -> None:
        self.at = 0
        self._text = text
        self._form = form

    def type(self, level: int) -> T:
        if level > MOST_LEVELS:
            raise _NotCanonical
        word = self._match(_WORD)
        if word in _SIMPLE:
            is_utc = word == "datetime" and self._text.startswith("[UTC]", self.at)
            self.at += 5 * is_utc
            return self._form(_SIMPLE[word], is_utc=is_utc)
        self._skip("[")
        made = self._nested(word, level)
        self._skip("]")
        return made

    def _nested(self, word: str, level: int) -> T:
        match word:
            case "decimal":
                precision, scale = self._number(), self._second()
                if not 1 <= precision <= MOST_DIGITS or scale > precision:
                    raise _NotCanonical
                return self._form(TypeKind.DECIMAL, precision, scale)
            case "list":
                return self._form(TypeKind.LIST, item=self.type(level + 1))
            case "fixed_list":
                item = self.type(level + 1)
                return self._form(TypeKind.FIXED_LIST, item=item, size=self._second())
            case "struct":
                return self._form(TypeKind.STRUCT, fields=tuple(self._fields(level)))
            case _:
                raise _NotCanonical

    def _fields(self, level: int) -> list[tuple[str, DataType]]:
        fields: list[tuple[str, DataType]] = []
        while not fields or self._text.startswith(",", self.at):
            self.at += bool(fields)
            name = self._name()
            self._skip(":")
            fields.append((name, self.type(level + 1)))
        if len({name for name, _ in fields}) < len(fields):
            raise _NotCanonical
        return fields

    def _name(self) -> str:
        if self._text.startswith('"', self.at):
            name, self.at = json.JSONDecoder().raw_decode(self._text, self.at)
            return str(name)
        return self._match(_BARE)

    def _second(self) -> int:
        self._skip(",")
        return self._number()

    def _number(self) -> int:
        return int(self._match(_NUMBER))

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self.at)
        if found is None:
            raise _NotCanonical
        self.at = found.end()
        return found[0]

    def _skip(self, mark: str) -> None:
        if not self._text.startswith(mark, self.at):
            raise _NotCanonical
        self.at += 1
