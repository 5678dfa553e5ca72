"""Decoding: keys packed and values unpacked one by one. Bytes: docs/formats.md#packed-rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from functools import lru_cache, partial
from operator import index
from struct import Struct
from struct import error as StructError
from typing import NamedTuple, TypeAlias, cast

from mlforge.errors import KeyTypeMismatch, OnlineStoreCorrupt
from mlforge.online.board import Layout
from mlforge.online.encoding import HAS_NULLS, HAS_STATES, WIDTHS
from mlforge.types import DataType, TypeKind

# A value as Python has it.
Value: TypeAlias = object
Convert: TypeAlias = Callable[[Value], Value]

_CODES = {
    TypeKind.BOOL: "?",
    TypeKind.INT8: "b",
    TypeKind.INT16: "h",
    TypeKind.INT32: "i",
    TypeKind.INT64: "q",
    TypeKind.UINT8: "B",
    TypeKind.UINT16: "H",
    TypeKind.UINT32: "I",
    TypeKind.UINT64: "Q",
    TypeKind.FLOAT32: "f",
    TypeKind.FLOAT64: "d",
    TypeKind.DECIMAL: "16s",
    TypeKind.DATE: "i",
    TypeKind.TIME: "q",
    TypeKind.DATETIME: "q",
    TypeKind.DURATION: "q",
}
_LENGTH = Struct("<I")
_TIME = Struct("<q")
_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EXACT = Context(prec=60)


class Row(NamedTuple):
    """What is seen of an entity. `values`: as stored, in the layout's order; times are integers.

    `event_time`: UTC, microseconds; None for static features.
    """

    event_time: int | None
    values: Sequence[Value]


class Reader:
    """Reads packed values of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        values = layout.values
        fixed = [n for n, column in enumerate(values) if column.type.kind in WIDTHS]
        others = [n for n, column in enumerate(values) if column.type.kind not in WIDTHS]
        self._is_timed = layout.timestamp is not None
        time_code = "q" if self._is_timed else ""
        codes = "".join(_CODES[values[n].type.kind] for n in fixed)
        self._fixed = Struct(f"<{time_code}{codes}")
        self._bitmap = -(-len(values) // 8)
        self._others = [(n, _decoder(values[n].type)) for n in others]
        # Where each column stands among the fixed and then the other ones.
        order = sorted(range(len(values)), key=[*fixed, *others].__getitem__)
        self._order = None if order == [*range(len(values))] else order
        names = [column.name for column in values]
        self._created = names.index(layout.created) if layout.created is not None else None
        self.converters = [converter(column.type) for column in values]

    def seen(self, value: bytes, now: int) -> Row | None:
        """The last row whose moment has come by `now`; None: none has.

        Raises OnlineStoreCorrupt.
        """
        try:
            if not value[0] & HAS_STATES:
                row = self._row(value)
                return row if self._moment(row) <= now else None
            found = None
            for state in _split(value, 1):
                row = self._row(state)
                if self._moment(row) > now:
                    break
                found = row
        except (StructError, IndexError, ValueError) as error:
            raise OnlineStoreCorrupt(
                "a row of the online store is not as it was written",
                cause=f"{len(value)} bytes that begin {value[:16].hex()}",
                hint="mlforge online verify",
            ) from error
        return found

    def _moment(self, row: Row) -> int:
        """From when on a row is seen: its time, and not before it was created."""
        if row.event_time is None:
            return -(1 << 63)
        if self._created is None:
            return row.event_time
        return max(row.event_time, cast("int", row.values[self._created]))

    def _row(self, state: bytes) -> Row:
        at, nulls = 1, 0
        if state[0] & HAS_NULLS:
            at += self._bitmap
            nulls = int.from_bytes(state[1:at], "little")
        values: Sequence[Value] = self._fixed.unpack_from(state, at)
        at += self._fixed.size
        event_time: int | None = None
        if self._is_timed:
            event_time, values = cast("int", values[0]), values[1:]
        if self._others:
            texts = _split(state, at)
            pairs = zip(self._others, texts, strict=True)
            others = [None if nulls >> n & 1 else decode(text) for (n, decode), text in pairs]
            values = (*values, *others)
        elif at != len(state):
            raise ValueError("other bytes follow")
        if self._order is not None:
            values = [values[n] for n in self._order]
        if nulls:
            values = [None if nulls >> n & 1 else value for n, value in enumerate(values)]
        return Row(event_time, values)


def _split(text: bytes, at: int) -> list[bytes]:
    """The parts that follow each other, each after its length."""
    parts = list[bytes]()
    while at < len(text):
        (length,) = _LENGTH.unpack_from(text, at)
        at += _LENGTH.size + length
        if at > len(text):
            raise ValueError("a part is longer than what is there")
        parts.append(text[at - length : at])
    return parts


# -- values -----------------------------------------------------------------------------------


def converter(type: DataType) -> Convert | None:
    """From what is stored to what Polars gives; None: they are the same."""
    match type.kind:
        case TypeKind.DECIMAL:
            return partial(_decimal, type.scale)
        case TypeKind.DATE:
            return _date
        case TypeKind.TIME:
            return _time
        case TypeKind.DATETIME:
            return partial(_after, _EPOCH_UTC if type.is_utc else _EPOCH)
        case TypeKind.DURATION:
            return _duration
        case TypeKind.LIST | TypeKind.FIXED_LIST:
            assert type.item is not None
            inner = converter(type.item)
            return None if inner is None else partial(_each, inner)
        case TypeKind.STRUCT:
            inners = {name: converter(kind) for name, kind in type.fields}
            known = {name: inner for name, inner in inners.items() if inner is not None}
            return partial(_fields, known) if known else None
        case _:
            return None


def _decimal(scale: int, value: Value) -> Decimal:
    assert isinstance(value, bytes)
    return Decimal(int.from_bytes(value, "little", signed=True)).scaleb(-scale, _EXACT)


def _date(value: Value) -> date:
    return date.fromordinal(_EPOCH_DAY + index(value))  # type: ignore[arg-type]


def _time(value: Value) -> time:
    return (_EPOCH + _duration(value)).time()


def _after(epoch: datetime, value: Value) -> datetime:
    return epoch + _duration(value)


def _duration(value: Value) -> timedelta:
    return timedelta(microseconds=index(value))  # type: ignore[arg-type]


def _each(convert: Convert, values: Value) -> list[Value]:
    assert isinstance(values, list)
    return [None if value is None else convert(value) for value in values]


def _fields(converts: Mapping[str, Convert], value: Value) -> dict[str, Value]:
    assert isinstance(value, dict)
    found = dict(value)
    for name, convert in converts.items():
        if found[name] is not None:
            found[name] = convert(found[name])
    return found


def _decoder(type: DataType) -> Callable[[bytes], Value]:
    """From the bytes of a value of any length to what is stored."""
    match type.kind:
        case TypeKind.STRING:
            return bytes.decode
        case TypeKind.LIST | TypeKind.FIXED_LIST:
            assert type.item is not None
            return partial(_list, type.item)
        case TypeKind.STRUCT:
            return partial(_struct, type.fields)
        case _:
            return bytes


def _list(item: DataType, text: bytes) -> list[Value]:
    (count,), at = _LENGTH.unpack_from(text), _LENGTH.size
    is_valid = None
    if text[at]:
        is_valid = text[at + 1 : at + 1 + count]
        at += count
    values: list[Value]
    if item.kind in WIDTHS:
        values = list(_struct_of(count, item.kind).unpack(text[at + 1 :]))
    else:
        decode = _decoder(item)
        texts = _split(text, at + 1)
        valid = is_valid or b"\1" * count
        values = [decode(part) if ok else None for part, ok in zip(texts, valid, strict=True)]
    if is_valid is None:
        return values
    return [value if ok else None for value, ok in zip(values, is_valid, strict=True)]


@lru_cache(maxsize=1024)
def _struct_of(count: int, kind: TypeKind) -> Struct:
    code = _CODES[kind]
    return Struct("<" + code * count if code[0].isdigit() else f"<{count}{code}")


def _struct(fields: Sequence[tuple[str, DataType]], text: bytes) -> dict[str, Value]:
    found, at = dict[str, Value](), 0
    for name, type in fields:
        is_valid, at = text[at], at + 1
        if type.kind in WIDTHS:
            one = _struct_of(1, type.kind)
            (value,) = one.unpack_from(text, at)
            at += one.size
        else:
            (length,) = _LENGTH.unpack_from(text, at)
            at += _LENGTH.size + length
            value = _decoder(type)(text[at - length : at]) if is_valid else None
        found[name] = value if is_valid else None
    if at != len(text):
        raise ValueError("other bytes follow")
    return found


# -- keys -------------------------------------------------------------------------------------


class KeyPacker:
    """Packs the keys of one layout from Python values."""

    def __init__(self, layout: Layout) -> None:
        types = {column.name: column.type for column in layout.columns}
        self._parts = [(key, _key_part(key, types[key])) for key in layout.keys]

    def pack(self, values: Sequence[Value]) -> bytes | None:
        """The packed key; None where a part is null, which no row has. Raises KeyTypeMismatch."""
        if None in values:
            return None
        return b"".join([part(value) for (_, part), value in zip(self._parts, values, strict=True)])


def _key_part(name: str, type: DataType) -> Callable[[Value], bytes]:
    def refuse(value: Value) -> KeyTypeMismatch:
        return KeyTypeMismatch(
            f"{name} is {value!r} ({value.__class__.__name__}), and {type} in the feature",
            hint=f"make {name} {type} first",
        )

    match type.kind:
        case TypeKind.STRING:
            return partial(_text_key, refuse)
        case TypeKind.BINARY:
            return partial(_binary_key, refuse)
        case _:
            store = _stored(type)
            return partial(_fixed_key, Struct("<" + _CODES[type.kind]), store, refuse)


Refuse: TypeAlias = Callable[[Value], KeyTypeMismatch]


def _text_key(refuse: Refuse, value: Value) -> bytes:
    if not isinstance(value, str):
        raise refuse(value)
    text = value.encode()
    return _LENGTH.pack(len(text)) + text


def _binary_key(refuse: Refuse, value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise refuse(value)
    return _LENGTH.pack(len(value)) + value


def _fixed_key(
    packer: Struct, store: Callable[[Value], Value], refuse: Refuse, value: Value
) -> bytes:
    try:
        return packer.pack(store(value))
    except (StructError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise refuse(value) from error


def _stored(type: DataType) -> Callable[[Value], Value]:
    """From what Python has to what is stored; raises where something would be lost."""
    match type.kind:
        case TypeKind.BOOL:
            return _only_bool
        case TypeKind.DATE:
            return _days
        case TypeKind.TIME:
            return _time_of_day
        case TypeKind.DATETIME:
            return partial(_microseconds, type.is_utc)
        case TypeKind.DURATION:
            return _microseconds_long
        case TypeKind.DECIMAL:
            return partial(_digits, type)
        case _:
            return _only_integer


def _only_integer(value: Value) -> int:
    if isinstance(value, bool):
        raise TypeError("a boolean is no integer")
    return index(value)  # type: ignore[arg-type]


def _only_bool(value: Value) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not a boolean")
    return value


def _days(value: Value) -> int:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError("not a date")
    return value.toordinal() - _EPOCH_DAY


def _time_of_day(value: Value) -> int:
    if not isinstance(value, time) or value.tzinfo is not None:
        raise TypeError("not a time of day")
    return _microseconds_long(datetime.combine(_EPOCH, value) - _EPOCH)


def _microseconds(is_utc: bool, value: Value) -> int:
    if not isinstance(value, datetime) or (value.tzinfo is not None) is not is_utc:
        raise TypeError("not such an instant")
    return _microseconds_long(value - (_EPOCH_UTC if is_utc else _EPOCH))


def _microseconds_long(value: Value) -> int:
    if not isinstance(value, timedelta):
        raise TypeError("not a duration")
    return value // timedelta(microseconds=1)


def _digits(type: DataType, value: Value) -> bytes:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError("not a decimal")
    scaled = Decimal(value).scaleb(type.scale, _EXACT)
    digits = int(scaled)
    if digits != scaled or abs(digits) >= 10**type.precision:
        raise ValueError("digits would be lost")
    return digits.to_bytes(16, "little", signed=True)
