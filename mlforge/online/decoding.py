"""Decoding: packed rows read as Python values. Bytes: docs/formats.md#packed-rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from functools import lru_cache, partial
from operator import index
from struct import Struct
from struct import error as StructError
from typing import TypeAlias, cast

from mlforge.errors import OnlineStoreCorrupt
from mlforge.online.board import Layout
from mlforge.online.encoding import HAS_NULLS, HAS_STATES, WIDTHS
from mlforge.types import DataType, TypeKind

# A value as Python has it.
Value: TypeAlias = object
Convert: TypeAlias = Callable[[Value], Value]

# How `struct` calls them.
CODES = {
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
LENGTH = Struct("<I")
EPOCH = datetime(1970, 1, 1)
EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = date(1970, 1, 1).toordinal()
_EXACT = Context(prec=60)


class RowReader:
    """Reads packed values of one layout; made once for each, by `reader_of`.

    A row is a tuple: the event time if there is one, then values as they are stored, those of fixed
    width first. `places`: where each of the layout's values stands in it. Times are integers.
    """

    def __init__(self, layout: Layout) -> None:
        values = layout.values
        fixed = [n for n, column in enumerate(values) if column.type.kind in WIDTHS]
        others = [n for n, column in enumerate(values) if column.type.kind not in WIDTHS]
        self.is_timed = layout.timestamp is not None
        order = [*fixed, *others]
        self.places = tuple(self.is_timed + order.index(n) for n in range(len(values)))
        self.width = self.is_timed + len(values)
        codes = "q" * self.is_timed + "".join(CODES[values[n].type.kind] for n in fixed)
        self._fixed = Struct(f"<{codes}")
        self._plain = Struct(f"<x{codes}")
        self._bitmap = -(-len(values) // 8)
        self._others = [(n, _decoder(values[n].type)) for n in others]
        names = [column.name for column in values]
        # Where the times stand that must have come before a row is seen.
        self._times = [0] * self.is_timed
        if layout.created is not None:
            self._times.append(self.places[names.index(layout.created)])

    def columns(self, values: Sequence[bytes | None], now: int) -> list[tuple[Value, ...]] | None:
        """By place, what is seen of rows that are all there, plain and seen; else None.

        Plain: of one state, without nulls, all of fixed width. Most are, and this is fast.
        """
        size = self._plain.size
        try:
            joined = b"".join(values)  # type: ignore[arg-type]
        except TypeError:
            return None
        if self._others or not values or [*map(len, values)].count(size) != len(values):  # type: ignore[arg-type]
            return None
        if joined[::size].count(0) != len(values):
            return None
        columns = [*zip(*self._plain.iter_unpack(joined))]  # noqa: B905
        for place in self._times:
            if max(columns[place]) > now:
                return None
        return columns

    def seen(self, value: bytes, now: int) -> tuple[Value, ...] | None:
        """The last row that is seen by `now`; None: none is. Raises OnlineStoreCorrupt."""
        try:
            if not value[0] & HAS_STATES:
                row = self._row(value)
                return row if self._is_seen(row, now) else None
            found = None
            for state in _split(value, 1):
                row = self._row(state)
                if not self._is_seen(row, now):
                    break
                found = row
        except (StructError, IndexError, ValueError, TypeError) as error:
            raise OnlineStoreCorrupt(
                "a row of the online store is not as it was written",
                cause=f"{len(value)} bytes that begin {value[:16].hex()}",
                hint="mlforge online verify",
            ) from error
        return found

    def _is_seen(self, row: tuple[Value, ...], now: int) -> bool:
        """Whether its time has come, and it was created."""
        return all(cast("int", row[place]) <= now for place in self._times)

    def _row(self, state: bytes) -> tuple[Value, ...]:
        at, nulls = 1, 0
        if state[0]:
            if state[0] != HAS_NULLS:
                raise ValueError("flags that are not known")
            at += self._bitmap
            nulls = int.from_bytes(state[1:at], "little")
        row = self._fixed.unpack_from(state, at)
        at += self._fixed.size
        if self._others:
            texts = _split(state, at)
            pairs = zip(self._others, texts, strict=True)
            row += tuple([None if nulls >> n & 1 else decode(text) for (n, decode), text in pairs])
        elif at != len(state):
            raise ValueError("other bytes follow")
        if nulls:
            values = [*row]
            for number, place in enumerate(self.places):
                if nulls >> number & 1:
                    values[place] = None
            return tuple(values)
        return row


@lru_cache(maxsize=1024)
def reader_of(layout: Layout) -> RowReader:
    return RowReader(layout)


def _split(text: bytes, at: int) -> list[bytes]:
    """The parts that follow each other, each after its length."""
    parts = list[bytes]()
    while at < len(text):
        (length,) = LENGTH.unpack_from(text, at)
        at += LENGTH.size + length
        if at > len(text):
            raise ValueError("a part is longer than what is there")
        parts.append(text[at - length : at])
    return parts


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
            return partial(_after, EPOCH_UTC if type.is_utc else EPOCH)
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
    return date.fromordinal(EPOCH_DAY + index(value))  # type: ignore[arg-type]


def _time(value: Value) -> time:
    return (EPOCH + _duration(value)).time()


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
    (count,), at = LENGTH.unpack_from(text), LENGTH.size
    is_valid = None
    if text[at]:
        is_valid = text[at + 1 : at + 1 + count]
        at += count
    values: list[Value]
    if item.kind in WIDTHS:
        if len(text) - at - 1 != count * WIDTHS[item.kind]:
            raise ValueError("a list is not as long as it says")
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
    code = CODES[kind]
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
            (length,) = LENGTH.unpack_from(text, at)
            at += LENGTH.size + length
            value = _decoder(type)(text[at - length : at]) if is_valid else None
        found[name] = value if is_valid else None
    if at != len(text):
        raise ValueError("other bytes follow")
    return found
