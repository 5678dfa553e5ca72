"""Packed rows: every type there and back, and keys packed by Arrow and by Python alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.errors import KeyTypeMismatch, OnlineStoreCorrupt
from mlforge.online.board import Layout
from mlforge.online.decoding import converter, reader_of
from mlforge.online.encoding import WIDTHS, pack, packed_keys
from mlforge.online.keys import packer_of
from mlforge.schema import Column
from mlforge.testing.types import data_types, plain_types, present, values
from mlforge.types import DataType, TypeKind, int64, to_arrow

_KINDS = """bool int8 int32 int64 uint64 string binary date datetime datetime[UTC] decimal[38,2]
decimal[5,0]"""
_KEYS = st.sampled_from(_KINDS.split()).map(DataType.parse)


def same(left: object, right: object) -> bool:
    """Equal to the last bit, and of one type."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left):
            return math.isnan(right)
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, Decimal):
        return str(left) == str(right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[n], right[n]) for n in left)
    return left == right


def array(items: list[object], type: DataType) -> pa.Array:
    return pa.array(items, to_arrow(type))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_every_value_of_every_type_comes_back(data: st.DataObject) -> None:
    types = data.draw(st.lists(data_types(), max_size=10))
    rows = data.draw(st.lists(st.tuples(*map(values, types)), max_size=5))
    names = [f"c{n}" for n in range(len(types))]
    columns = (Column("k", int64()), *map(Column, names, types))
    cells = [[row[n] for row in rows] for n in range(len(types))]
    arrays = [array(column, type) for column, type in zip(cells, types, strict=True)]
    table = pa.table([pa.array(range(len(rows)), pa.int64()), *arrays], ["k", *names])
    layout = Layout(("k",), None, None, columns)
    # A slice, whose arrays begin in the middle of their buffers.
    start = data.draw(st.integers(0, len(rows)))
    packed = pack(table.slice(start), pa.array(range(len(rows) - start), pa.int64()), layout)
    reader = reader_of(layout)
    converts = [converter(type) for type in types]
    for value, row in zip(packed.values.to_pylist(), rows[start:], strict=True):
        found = reader.seen(value, 0)
        assert found is not None
        for place, convert, item in zip(reader.places, converts, row, strict=True):
            stored = found[place]
            assert same(convert(stored) if convert and stored is not None else stored, item)


def plain(type: DataType, value: object) -> bytes:
    """The bytes of one value, as docs/formats.md has them."""
    if type.kind in WIDTHS:
        if value is None or type.kind is TypeKind.BOOL:
            return int(value or 0).to_bytes(WIDTHS[type.kind], "little")
        return array([value], type).buffers()[1].to_pybytes()[: WIDTHS[type.kind]]
    text = value.encode() if isinstance(value, str) else value or b""
    return len(text).to_bytes(4, "little") + text


def plain_row(types: list[DataType], row: Sequence[object]) -> bytes:
    nulls = sum((value is None) << place for place, value in enumerate(row))
    flags = b"\1" + nulls.to_bytes(-(-len(row) // 8), "little") if nulls else b"\0"
    cells = sorted(zip(types, row, strict=True), key=lambda cell: cell[0].kind not in WIDTHS)
    return flags + b"".join(plain(*cell) for cell in cells)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_values_are_packed_as_they_are_specified(data: st.DataObject) -> None:
    # No lists: whether one has marks of nulls depends on those that are packed with it.
    types = data.draw(st.lists(plain_types(), max_size=18))
    draw = data.draw(st.sampled_from([values, present]))
    rows = data.draw(st.lists(st.tuples(*map(draw, types)), min_size=1, max_size=5))
    # Where each entity begins: some have several rows.
    is_first = [True, *(data.draw(st.booleans()) for _ in rows[1:])]
    firsts = [place for place, first in enumerate(is_first) if first]
    names = [f"c{n}" for n in range(len(types))]
    cells = [array([row[n] for row in rows], type) for n, type in enumerate(types)]
    table = pa.table([pa.array(range(len(rows)), pa.int64()), *cells], ["k", *names])
    layout = Layout(("k",), None, None, (Column("k", int64()), *map(Column, names, types)))
    expected = []
    for begin, end in zip(firsts, [*firsts[1:], len(rows)], strict=True):
        states = [plain_row(types, row) for row in rows[begin:end]]
        several = b"".join(len(state).to_bytes(4, "little") + state for state in states)
        expected.append(states[0] if len(states) == 1 else b"\2" + several)
    packed = pack(table, pa.array(firsts, pa.int64()), layout)
    assert packed.values.to_pylist() == expected
    assert packed.keys.to_pylist() == [first.to_bytes(8, "little") for first in firsts]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_keys_are_packed_alike_by_arrow_and_by_python(data: st.DataObject) -> None:
    types = data.draw(st.lists(_KEYS, min_size=1, max_size=3))
    rows = data.draw(st.lists(st.tuples(*map(values, types)), max_size=5))
    names = [f"k{n}" for n in range(len(types))]
    layout = Layout(tuple(names), None, None, tuple(map(Column, names, types)))
    cells = [[row[n] for row in rows] for n in range(len(types))]
    table = pa.table([array(c, t) for c, t in zip(cells, types, strict=True)], names)
    assert packed_keys(table, layout).to_pylist() == packer_of(layout).pack(cells)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_two_keys_are_packed_alike(data: st.DataObject) -> None:
    types = data.draw(st.lists(_KEYS, min_size=1, max_size=3))
    rows = data.draw(st.lists(st.tuples(*map(present, types)), unique=True, max_size=6))
    names = [f"k{n}" for n in range(len(types))]
    layout = Layout(tuple(names), None, None, tuple(map(Column, names, types)))
    packed = packer_of(layout).pack([[row[n] for row in rows] for n in range(len(types))])
    assert len({*packed}) == len(rows)


def packed_key(text: str, value: object) -> bytes | None:
    layout = Layout(("k",), None, None, (Column("k", DataType.parse(text)),))
    return packer_of(layout).pack([[value]])[0]


@pytest.mark.parametrize(
    ("type", "value", "said"),
    [
        ("int64", "7", "k of entity 0 is '7' (str), and int64 in the feature"),
        ("int64", True, "True (bool)"),
        ("int64", 7.0, "7.0 (float)"),
        ("int8", 128, "128 (int), and int8"),
        ("uint8", -1, "-1 (int), and uint8"),
        ("string", 7, "7 (int), and string"),
        ("string", "\ud800", "string"),
        ("binary", "a", "'a' (str), and binary"),
        ("bool", 1, "1 (int), and bool"),
        ("decimal[5,2]", 1, "1 (int)"),
        ("decimal[5,2]", Decimal("1.005"), "Decimal('1.005')"),
        ("decimal[5,2]", Decimal("1" + "0" * 70 + ".1"), "decimal[5,2]"),
        ("decimal[5,2]", Decimal("1000"), "Decimal('1000')"),
        ("decimal[5,2]", Decimal("NaN"), "Decimal('NaN')"),
        ("decimal[38,0]", Decimal("1e40"), "Decimal('1E+40')"),
    ],
)
def test_a_key_of_another_type_is_refused(type: str, value: object, said: str) -> None:
    with pytest.raises(KeyTypeMismatch) as refused:
        packed_key(type, value)
    assert said in str(refused.value)


def test_decimals_of_another_scale_are_the_same_key() -> None:
    assert packed_key("decimal[9,3]", Decimal("1.5")) == packed_key(
        "decimal[9,3]", Decimal("1.500")
    )


def test_a_row_that_was_cut_is_not_read() -> None:
    types = ["float64", "string", "list[int64]", "struct[a:string,b:list[float32]]"]
    columns = tuple(Column(f"c{n}", DataType.parse(text)) for n, text in enumerate(types))
    layout = Layout(("k",), None, None, (Column("k", int64()), *columns))
    row = [1.5, "abc", [1, 2, None], {"a": None, "b": [0.5]}]
    arrays = [array([item], c.type) for item, c in zip(row, columns, strict=True)]
    table = pa.table([pa.array([1], pa.int64()), *arrays], [c.name for c in layout.columns])
    (value,) = pack(table, pa.array([0], pa.int64()), layout).values.to_pylist()
    reader = reader_of(layout)
    assert reader.seen(value, 0) == (1.5, "abc", [1, 2, None], {"a": None, "b": [0.5]})
    for wrong in [*(value[:n] for n in range(len(value))), value + b"\0", b"\xff" + value[1:]]:
        with pytest.raises(OnlineStoreCorrupt):
            reader.seen(wrong, 0)
