"""Content: a hash of values alone, equal to a plain restatement and to vectors kept for ever."""

from __future__ import annotations

import json
import math
import random
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from mlforge.arrow import canonical_table, columns_of
from mlforge.content import changed_columns, hash_content
from mlforge.schema import Schema
from mlforge.testing.types import data_types, present
from mlforge.testing.types import values as values_of
from mlforge.types import DataType, TypeKind
from mlforge.types.arrow import to_arrow
from tests.vectors import Value, generated

GOLDEN = Path(__file__).parent / "golden" / "content.json"
NAN = float("nan")
EPOCH = datetime(1970, 1, 1)
MIDNIGHT = datetime.combine(date.min, time())
CONTEXT = Context(prec=60)


def content(table: pa.Table) -> str:
    """The content hash of a table as it is, in canonical types."""
    whole = canonical_table(table)
    return str(hash_content(whole, Schema((), None, columns_of(whole.schema))).hash)


def raw(table: pa.Table) -> str:
    """The content hash of a table that is canonical in all but chunks and offsets."""
    return str(hash_content(table, Schema((), None, columns_of(table.schema))).hash)


def column(type: str, values: Sequence[Value]) -> pa.Array:
    return pa.array(values, to_arrow(DataType.parse(type)))


def one(type: str, values: Sequence[Value], name: str = "a") -> str:
    return content(pa.table({name: column(type, values)}))


# -- the rule, restated without Arrow ----------------------------------------------------------

FORMS = {"int8": "b", "int16": "h", "int32": "i", "int64": "q"}
FORMS |= {"u" + name: form.upper() for name, form in FORMS.items()}


def fixed(type: str, value: Value) -> bytes:
    """A value's canonical bytes, little-endian."""
    if type in FORMS:
        return struct.pack("<" + FORMS[type], value or 0)
    if type in ("float32", "float64"):
        return canonical_float(float(value or 0.0), "<f" if type == "float32" else "<d")
    if type == "bool":
        return bytes([bool(value)])
    if type.startswith("decimal"):
        scale = int(type.rstrip("]").split(",")[1])
        count = int(Decimal(str(value or 0)).scaleb(scale, CONTEXT))
        return count.to_bytes(16, "little", signed=True)
    if type == "date":
        return struct.pack("<i", 0 if value is None else (value - EPOCH.date()).days)
    return struct.pack("<q", microseconds(value))


def canonical_float(value: float, form: str) -> bytes:
    if math.isnan(value):
        return bytes.fromhex("0000c07f" if form == "<f" else "000000000000f87f")
    return struct.pack(form, 0.0 if value == 0 else value)


def microseconds(value: Value) -> int:
    if isinstance(value, datetime):
        value = value.replace(tzinfo=None) - EPOCH
    if isinstance(value, time):
        value = datetime.combine(date.min, value) - MIDNIGHT
    return value // timedelta(microseconds=1) if isinstance(value, timedelta) else 0


def restated(columns: Mapping[str, tuple[str, Sequence[Value]]], rows: int) -> str:
    fields = sorted([name, type, digest(type, values)] for name, (type, values) in columns.items())
    text = json.dumps({"columns": fields, "rows": rows}, separators=(",", ":"), ensure_ascii=False)
    return "b3:" + blake3(text.encode()).hexdigest()


def digest(type: str, values: Sequence[Value]) -> str:
    return parts(DataType.parse(type), values).hex()


def parts(type: DataType, values: Sequence[Value]) -> bytes:
    """The digest of a column: validity and lengths, and its values or those they are made of."""
    validity = bytes(value is not None for value in values) if None in values else b""
    lengths, data = b"", b""
    inner: list[bytes] = []
    if type.kind in (TypeKind.STRING, TypeKind.BINARY):
        texts = [v.encode() if isinstance(v, str) else v or b"" for v in values]
        lengths = b"".join(struct.pack("<q", len(text)) for text in texts)
        data = b"".join(texts)
    elif type.item is not None:
        lists = [value or [] for value in values]
        if type.kind is TypeKind.LIST:
            lengths = b"".join(struct.pack("<q", len(items)) for items in lists)
        inner = [parts(type.item, [item for items in lists for item in items])]
    elif type.fields:
        rows = [value or {} for value in values]
        inner = [parts(field, [row.get(name) for row in rows]) for name, field in type.fields]
    else:
        data = b"".join(fixed(str(type), value) for value in values)
    whole = [blake3(validity).digest(), blake3(lengths).digest()]
    return blake3(b"".join([*whole, *(inner or [blake3(data).digest()])])).digest()


# -- golden vectors ----------------------------------------------------------------------------

NOON = datetime(2024, 2, 29, 12, 0, 0, 1)
VECTORS: dict[str, tuple[str, Sequence[Value]]] = {
    "bool": ("bool", [True, False, None]),
    "bool without null": ("bool", [True, False, True, True, False, False, True, False, True]),
    "int8": ("int8", [-128, 0, 127, None]),
    "int16": ("int16", [-(2**15), 0, 2**15 - 1, None]),
    "int32": ("int32", [-(2**31), 0, 2**31 - 1, None]),
    "int64": ("int64", [-(2**63), 0, 2**63 - 1, None]),
    "int64 without null": ("int64", [1, 2, 3]),
    "int64 nulls only": ("int64", [None, None]),
    "int64 empty": ("int64", []),
    "uint8": ("uint8", [0, 255, None]),
    "uint16": ("uint16", [0, 2**16 - 1, None]),
    "uint32": ("uint32", [0, 2**32 - 1, None]),
    "uint64": ("uint64", [0, 2**64 - 1, None]),
    "float32": ("float32", [0.5, -1.25, 2.0**-149, 3.4028234663852886e38, None]),
    "float32 specials": ("float32", [0.0, -0.0, NAN, math.inf, -math.inf]),
    "float64": ("float64", [0.1, -1e308, 5e-324, 1.7976931348623157e308, None]),
    "float64 specials": ("float64", [0.0, -0.0, NAN, math.inf, -math.inf]),
    "float64 nulls only": ("float64", [None]),
    "float64 empty": ("float64", []),
    "decimal[9,2]": ("decimal[9,2]", [Decimal("-0.01"), Decimal("1234567.89"), None]),
    "decimal[38,0]": ("decimal[38,0]", [Decimal(10**38 - 1), Decimal(1 - 10**38), None]),
    "decimal[38,38]": ("decimal[38,38]", [Decimal(1).scaleb(-38), Decimal(0)]),
    "decimal[1,0]": ("decimal[1,0]", [Decimal(9), Decimal(-9)]),
    "string": ("string", ["", "a", "é", "\U0001f600", "\0", "a\n", None]),
    "string without null": ("string", ["user_1", "user_2"]),
    "string nulls only": ("string", [None, None]),
    "string of nothing": ("string", ["", ""]),
    "string empty": ("string", []),
    "binary": ("binary", [b"", b"\0", b"\xff\xfe", None]),
    "binary empty": ("binary", []),
    "date": ("date", [date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31), None]),
    "time": ("time", [time(), time(23, 59, 59, 999_999), None]),
    "datetime": ("datetime", [NOON, datetime(1969, 12, 31, 23, 59, 59, 999_999), None]),
    "datetime[UTC]": ("datetime[UTC]", [NOON.replace(tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)]),
    "datetime empty": ("datetime", []),
    "duration": ("duration", [timedelta(-1), timedelta(microseconds=1), None]),
    "list": ("list[int64]", [[1, None], [], None, [2]]),
    "list without null": ("list[float64]", [[0.1, -0.0], [NAN]]),
    "list nulls only": ("list[string]", [None, None]),
    "list empty": ("list[int8]", []),
    "list of lists": ("list[list[string]]", [[["a", None], None], [], None]),
    "fixed_list": ("fixed_list[float32,2]", [[0.5, -0.0], None, [None, 1.0]]),
    "fixed_list without null": ("fixed_list[int16,3]", [[1, 2, 3], [4, 5, 6]]),
    "struct": ("struct[a:int64,b:string]", [{"a": 1, "b": None}, None, {"a": None, "b": ""}]),
    "struct of nulls": ("struct[a:int64]", [{"a": None}, {"a": None}]),
    "struct of lists": ("struct[x:list[bool]]", [{"x": [True]}, {"x": None}, None]),
    "list of structs": ("list[struct[a:date]]", [[{"a": date(2024, 1, 1)}, None], None]),
}
TABLES: dict[str, tuple[Mapping[str, tuple[str, Sequence[Value]]], int]] = {
    "no columns and no rows": ({}, 0),
    "keys, time and value": (
        {
            "user": ("int64", [1, 1, 2]),
            "at": ("datetime[UTC]", [NOON.replace(tzinfo=UTC)] * 3),
            "spent": ("float64", [0.1, None, -0.0]),
        },
        3,
    ),
    "columns named to be sorted": ({n: ("int8", [1]) for n in ("b", "B", "_", "a1", "a")}, 1),
    "all types": (
        {
            f"c{i}": (type, values[:2])
            for i, (type, values) in enumerate(VECTORS.values())
            if len(values) >= 2
        },
        2,
    ),
}
# Added after the tables, whose hashes are older.
VECTORS |= generated()


def golden() -> dict[str, str]:
    return {
        **{name: one(type, values) for name, (type, values) in VECTORS.items()},
        **{name: table_hash(columns) for name, (columns, _) in TABLES.items()},
    }


def table_hash(columns: Mapping[str, tuple[str, Sequence[Value]]]) -> str:
    return content(pa.table({name: column(*made) for name, made in columns.items()}))


def test_the_vectors_never_change() -> None:
    assert golden() == json.loads(GOLDEN.read_text())


def test_each_canonical_type_has_several_vectors() -> None:
    told = Counter(DataType.parse(type).kind for type, _ in VECTORS.values())
    assert min(told[kind] for kind in TypeKind) >= 6
    assert len(VECTORS) >= 200


def test_no_two_vectors_have_one_hash() -> None:
    """But those that are the same facts, told twice."""
    told = defaultdict(set)
    for type, values in VECTORS.values():
        told[one(type, values)].add((type, str([plain(DataType.parse(type), v) for v in values])))
    assert [facts for facts in told.values() if len(facts) > 1] == []


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_is_what_the_rule_says(name: str) -> None:
    type, values = VECTORS[name]
    assert one(type, values) == restated({"a": (type, values)}, len(values))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_the_rule_says(name: str) -> None:
    columns, rows = TABLES[name]
    assert table_hash(columns) == restated(columns, rows)


# -- what it does not depend on ----------------------------------------------------------------


@st.composite
def columns(draw: st.DrawFn) -> tuple[str, list[Value]]:
    type = draw(data_types())
    cells = values_of(type) if draw(st.booleans()) else present(type)
    return str(type), draw(st.lists(cells, max_size=20))


@given(columns(), st.text(max_size=3).filter(str.isidentifier))
def test_any_column_is_what_the_rule_says(made: tuple[str, list[Value]], name: str) -> None:
    assert one(*made, name) == restated({name: made}, len(made[1]))


@given(columns(), st.lists(st.integers(0, 20), max_size=4), st.integers(1, 9))
def test_chunks_and_offsets_change_nothing(
    made: tuple[str, list[Value]], cuts: list[int], offset: int
) -> None:
    type, values = made
    # Rows before and after that do not belong to it: offsets within buffers, and within bits.
    padding = (values or [None])[:1]
    long = column(type, [*padding * offset, *values, *padding])
    whole = long.slice(offset, len(values))
    edges = sorted({0, len(values), *(cut for cut in cuts if cut <= len(values))})
    chunks = [whole.slice(a, b - a) for a, b in pairwise(edges)]
    chunked = pa.chunked_array(chunks, whole.type)
    assert raw(pa.table({"a": whole})) == raw(pa.table({"a": chunked})) == one(type, values)


@given(st.lists(st.none() | st.booleans(), max_size=70), st.integers(0, 17), st.integers(0, 70))
def test_booleans_may_begin_at_any_bit(values: list[bool | None], start: int, count: int) -> None:
    part = column("bool", values).slice(start, count)
    assert raw(pa.table({"a": part})) == one("bool", values[start:][:count])


@pytest.mark.parametrize("arrow", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_the_width_of_texts_changes_nothing(arrow: pa.DataType) -> None:
    values = ["é", None, "", "a longer text than fits a view"]
    assert content(pa.table({"a": pa.array(values, arrow)})) == one("string", values)


def test_categories_their_order_and_unused_ones_change_nothing() -> None:
    orders = [["a", "b"], ["b", "x", "a"]]
    made = [
        pa.DictionaryArray.from_arrays(
            pa.array([order.index("b"), None, order.index("a")]), pa.array(order)
        )
        for order in orders
    ]
    assert {content(pa.table({"a": each})) for each in made} == {one("string", ["b", None, "a"])}


def test_the_order_of_columns_changes_nothing() -> None:
    table = pa.table({"b": [1, 2], "a": ["x", "y"], "c": [0.5, None]})
    assert content(table) == content(table.select(["c", "a", "b"]))


def test_metadata_and_nullability_change_nothing() -> None:
    field = pa.field("a", pa.int64(), nullable=False, metadata={"unit": "EUR"})
    told = pa.table([column("int64", [1])], schema=pa.schema([field], metadata={"by": "pandas"}))
    assert content(told) == one("int64", [1])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu", "UTC", "-09:30"])
def test_the_zone_of_an_instant_changes_nothing(zone: str) -> None:
    times = column("datetime[UTC]", [NOON.replace(tzinfo=UTC), None])
    assert content(pa.table({"a": times.cast(pa.timestamp("us", zone))})) == one(
        "datetime[UTC]", [NOON.replace(tzinfo=UTC), None]
    )


def with_payload(type: str, payload: bytes, validity: int, rows: int) -> pa.Array:
    """An array whose null rows have bytes behind them."""
    buffers = [pa.py_buffer(bytes([validity])), pa.py_buffer(payload)]
    return pa.Array.from_buffers(to_arrow(DataType.parse(type)), rows, buffers)


@pytest.mark.parametrize(
    ("type", "size"),
    [
        *[
            ("int8", 1),
            ("int64", 8),
            ("float64", 8),
            ("float32", 4),
            ("decimal[9,2]", 16),
            ("date", 4),
        ],
        *[("decimal[9,2]", 16), ("datetime", 8), ("time", 8), ("duration", 8)],
    ],
)
def test_what_lies_behind_a_null_changes_nothing(type: str, size: int) -> None:
    zeros, rubbish = bytes(3 * size), bytes(size) + b"\x7f" * size + bytes(size)
    hashes = {raw(pa.table({"a": with_payload(type, p, 0b101, 3)})) for p in (zeros, rubbish)}
    assert len(hashes) == 1


def test_what_lies_behind_a_null_bit_changes_nothing() -> None:
    hashes = {raw(pa.table({"a": with_payload("bool", bytes([p]), 0b101, 3)})) for p in range(8)}
    assert len(hashes) == 4


def test_text_behind_a_null_changes_nothing() -> None:
    ends = pa.py_buffer(struct.pack("<4q", 0, 1, 4, 5))
    buffers = [pa.py_buffer(b"\x05"), ends, pa.py_buffer(b"axxxb")]
    array = pa.Array.from_buffers(pa.large_string(), 3, buffers)
    assert raw(pa.table({"a": array})) == one("string", ["a", None, "b"])


def test_a_bitmap_without_any_null_changes_nothing() -> None:
    array = with_payload("int8", b"\x01\x02", 0b11, 2)
    assert raw(pa.table({"a": array})) == one("int8", [1, 2])


@pytest.mark.parametrize("type", ["float32", "float64"])
def test_zero_has_no_sign(type: str) -> None:
    assert one(type, [0.0, 1.0]) == one(type, [-0.0, 1.0])


@pytest.mark.parametrize(
    ("type", "form", "quiet"), [("float32", "<I", 0x7FC00000), ("float64", "<Q", 0x7FF8 << 48)]
)
@pytest.mark.parametrize("value", [1.5, math.inf, -math.inf])
def test_all_nans_are_one(type: str, form: str, quiet: int, value: float) -> None:
    sign = 1 << (31 if type == "float32" else 63)
    payloads = [quiet, quiet | 1, quiet | sign, quiet | 0x1234, quiet ^ (quiet & -quiet) | 1]
    bits = [struct.pack(form, payload) for payload in payloads]
    arrays = [with_payload(type, fixed(type, value) + each, 0b11, 2) for each in bits]
    assert {raw(pa.table({"a": array})) for array in arrays} == {one(type, [value, NAN])}


def test_infinities_of_both_signs_are_not_nan() -> None:
    assert one("float64", [math.inf, -math.inf]) != one("float64", [NAN, NAN])
    assert one("float64", [math.inf, -math.inf]) != one("float64", [-math.inf, math.inf])


# -- what it depends on ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "empty"),
    [
        *[("string", ""), ("binary", b""), ("int64", 0), ("float64", 0.0), ("bool", False)],
        *[("date", date(1970, 1, 1)), ("decimal[9,2]", Decimal(0)), ("duration", timedelta())],
    ],
)
def test_null_is_not_zero_and_not_empty(type: str, empty: Value) -> None:
    assert one(type, [empty]) != one(type, [None])
    assert one(type, [empty, None]) != one(type, [None, empty])


def test_text_is_not_cut_elsewhere() -> None:
    assert one("string", ["a", "bc"]) != one("string", ["ab", "c"])
    assert one("string", ["", "a"]) != one("string", ["a", ""])


def test_the_same_bytes_of_another_type_are_another_content() -> None:
    made = {
        "int64": [1], "uint64": [1], "duration": [timedelta(microseconds=1)],
        "datetime": [datetime(1970, 1, 1, 0, 0, 0, 1)], "time": [time(0, 0, 0, 1)],
        "datetime[UTC]": [datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)],
        "float64": [5e-324], "int8": [1], "bool": [True], "uint8": [1],
        "decimal[9,0]": [Decimal(1)], "decimal[9,2]": [Decimal("0.01")],
        "decimal[8,0]": [Decimal(1)],
        "string": ["\x01"], "binary": [b"\x01"],
    }  # fmt: skip
    assert len({one(type, values) for type, values in made.items()}) == len(made)


def test_the_name_and_the_number_of_rows_count() -> None:
    assert one("int64", [1], "a") != one("int64", [1], "b")
    assert one("int64", [0]) != one("int64", [0, 0]) != one("int64", [])
    assert one("string", []) != one("string", [""])


def test_columns_do_not_change_places_unseen() -> None:
    assert content(pa.table({"a": [1], "b": [2]})) != content(pa.table({"a": [2], "b": [1]}))


@given(columns().filter(lambda made: len(made[1]) > 0), st.data())
def test_any_other_value_is_another_content(
    made: tuple[str, list[Value]], data: st.DataObject
) -> None:
    type, values = made
    place = data.draw(st.integers(0, len(values) - 1))
    other = [*values[:place], data.draw(values_of(DataType.parse(type))), *values[place + 1 :]]
    whole = DataType.parse(type)
    is_same = plain(whole, values[place]) == plain(whole, other[place])
    assert (one(type, values) == one(type, other)) is is_same


def plain(type: DataType, value: Value) -> Value:
    """What of a value counts."""
    if value is None or type.kind in (TypeKind.STRING, TypeKind.BINARY):
        return value
    if type.item is not None:
        return [plain(type.item, item) for item in value]
    if type.fields:
        return {name: plain(field, value[name]) for name, field in type.fields}
    return fixed(str(type), value)


# -- blocks ------------------------------------------------------------------------------------

BLOCK = 1 << 16


@pytest.mark.parametrize("rows", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
@pytest.mark.parametrize("type", ["int64", "float64", "bool", "string", "decimal[9,2]"])
def test_rows_beyond_a_block_are_hashed_like_all_others(type: str, rows: int) -> None:
    makers: dict[str, Callable[[int], Value]] = {
        "float64": lambda n: [0.5, NAN, -0.0, None][n % 4],
        "bool": lambda n: [True, None, False][n % 3],
        "string": lambda n: [None, "", "é", "user"][n % 4],
        "decimal[9,2]": lambda n: Decimal(n % 7),
        "int64": lambda n: n,
    }
    values = [makers[type](n) for n in range(rows)]
    # Chunks that end neither where blocks do nor where bytes do.
    whole = column(type, values)
    cut = random.Random(rows).randrange(rows)
    table = pa.table({"a": pa.chunked_array([whole.slice(0, cut), whole.slice(cut)])})
    assert raw(table) == raw(pa.table({"a": whole}))
    if rows == BLOCK + 1:
        assert raw(table) == restated({"a": (type, values)}, rows)


@pytest.mark.parametrize("place", [0, BLOCK - 1, BLOCK, 2 * BLOCK])
def test_a_null_in_any_block_counts(place: int) -> None:
    values: list[int | None] = [0] * (2 * BLOCK + 1)
    hashes = {one("int64", values)}
    values[place] = None
    assert one("int64", values) not in hashes


def test_columns_that_changed_are_named_in_file_order() -> None:
    before = canonical_table(pa.table({"b": [1, 2], "k": [1, 2], "a": [0.5, None]}))
    after = canonical_table(pa.table({"b": [1, 3], "k": [1, 2], "a": [0.5, 0.0]}))
    schema = Schema(("k",), None, columns_of(before.schema))
    assert changed_columns(before, after, schema) == ["b", "a"]
    assert changed_columns(before, before, schema) == []
