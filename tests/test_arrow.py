"""Arrow: every type that is kept comes back as it was, and what would lose is refused by name."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlforge.arrow import (
    arrow_schema,
    canonical_array,
    canonical_table,
    columns_of,
)
from mlforge.errors import InvalidTimes, UnsupportedType
from mlforge.schema import Column, Schema
from mlforge.types import (
    NESTED,
    DataType,
    TypeKind,
    decimal,
    fixed_list,
    float32,
    int64,
    list_,
    string,
    struct,
)
from mlforge.types.arrow import from_arrow, to_arrow

KINDS = [DataType(kind) for kind in TypeKind if kind not in (TypeKind.DECIMAL, *NESTED)]
CANONICAL = [
    *KINDS,
    list_(string()),
    fixed_list(float32(), 3),
    struct({"a": int64(), "b": list_(struct({"c": string()}))}),
    DataType.parse("datetime[UTC]"),
    decimal(9, 2),
    decimal(38, 0),
    decimal(38, 38),
    decimal(1, 1),
]


def chunked(type: pa.DataType, *values: object) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, type)])


def dictionary(values: pa.Array, *indices: int | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), values)])


@pytest.mark.parametrize("type", CANONICAL, ids=str)
def test_a_canonical_type_comes_back_from_arrow(type: DataType) -> None:
    assert from_arrow(to_arrow(type), "a") == type


@pytest.mark.parametrize("type", CANONICAL, ids=str)
def test_an_array_in_its_canonical_type_is_unchanged(type: DataType) -> None:
    column = pa.chunked_array([pa.nulls(3, to_arrow(type)), pa.nulls(2, to_arrow(type))])
    assert canonical_array(column, "a").equals(pa.nulls(5, to_arrow(type)))


BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2024, 7, 1, 12)
KEPT: list[tuple[pa.DataType, object, str, object]] = [
    (pa.string(), "é", "string", "é"),
    (pa.large_string(), "é", "string", "é"),
    (pa.string_view(), "é", "string", "é"),
    (pa.binary(), b"\0", "binary", b"\0"),
    (pa.binary_view(), b"\0", "binary", b"\0"),
    (pa.date64(), date(1969, 12, 31), "date", date(1969, 12, 31)),
    (pa.time32("s"), time(1), "time", time(1)),
    (pa.time32("ms"), time(1), "time", time(1)),
    (pa.time64("ns"), 1000, "time", time(0, 0, 0, 1)),
    (pa.duration("s"), timedelta(1), "duration", timedelta(1)),
    (pa.duration("ns"), -1000, "duration", timedelta(microseconds=-1)),
    (pa.timestamp("s"), NOON, "datetime", NOON),
    (pa.timestamp("ms"), NOON, "datetime", NOON),
    (pa.timestamp("ns"), -1000, "datetime", datetime(1969, 12, 31, 23, 59, 59, 999_999)),
    (pa.timestamp("ns", "UTC"), 0, "datetime[UTC]", datetime(1970, 1, 1, tzinfo=UTC)),
    (pa.timestamp("us", "+05:30"), 0, "datetime[UTC]", datetime(1970, 1, 1, tzinfo=UTC)),
    (pa.decimal256(38, 2), Decimal("1.50"), "decimal[38,2]", Decimal("1.50")),
]


@pytest.mark.parametrize(("arrow", "value", "type", "kept"), KEPT, ids=str)
def test_other_spellings_of_a_type_keep_their_values(
    arrow: pa.DataType, value: object, type: str, kept: object
) -> None:
    array = canonical_array(chunked(arrow, value, None), "a")
    assert array.type == to_arrow(DataType.parse(type))
    assert array.to_pylist() == [kept, None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "+05:30"])
def test_a_zoned_time_becomes_the_same_instant_in_utc(unit: str, zone: str) -> None:
    column = chunked(pa.timestamp(unit, zone), datetime(2024, 7, 1, 12, tzinfo=BERLIN))
    array = canonical_array(column, "a")
    assert array.type == pa.timestamp("us", "UTC")
    assert array.to_pylist() == [datetime(2024, 7, 1, 10, tzinfo=UTC)]


@pytest.mark.parametrize(
    "arrow",
    [
        *[pa.timestamp("ns"), pa.timestamp("ns", "UTC"), pa.timestamp("ns", "Europe/Berlin")],
        *[pa.time64("ns"), pa.duration("ns")],
    ],
    ids=str,
)
@pytest.mark.parametrize("digits", [1, 999, 1001])
def test_digits_below_a_microsecond_are_refused_by_column(arrow: pa.DataType, digits: int) -> None:
    with pytest.raises(InvalidTimes, match="column when has digits below a microsecond"):
        canonical_table(pa.table({"ok": [1, 2], "when": chunked(arrow, 1000, digits)}))


def test_a_time_that_microseconds_cannot_reach_is_refused_as_what_it_is() -> None:
    with pytest.raises(InvalidTimes, match="column when") as refused:
        canonical_array(chunked(pa.timestamp("s"), 2**60), "when")
    assert "below a microsecond" not in refused.value.message


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_nanoseconds_are_kept_exactly_or_refused(times: list[int | None]) -> None:
    column = pa.chunked_array([pa.array(times, pa.int64()).view(pa.timestamp("ns"))])
    try:
        kept = canonical_array(column, "when").view(pa.int64()).to_pylist()
        assert [None if t is None else t * 1000 for t in kept] == times
    except InvalidTimes:
        assert any(t is not None and t % 1000 for t in times)


NOT_KEPT: list[tuple[pa.DataType, object, str, object]] = [
    pa.null(),
    pa.decimal256(39, 2),
    pa.decimal128(5, -2),
    pa.list_(pa.null()),
    pa.struct([]),
    pa.struct([("x", pa.int8()), ("x", pa.int8())]),
    pa.map_(pa.string(), pa.int8()),
    pa.month_day_nano_interval(),
    pa.run_end_encoded(pa.int32(), pa.int64()),
]


@pytest.mark.parametrize("arrow", NOT_KEPT, ids=str)
def test_a_type_that_is_not_stored_is_refused_by_column(arrow: pa.DataType) -> None:
    with pytest.raises(UnsupportedType, match=r"column odd has the type .* does not store"):
        canonical_table(pa.table({"odd": pa.chunked_array([], arrow)}))


@pytest.mark.parametrize("values", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_categories_become_their_text(values: pa.DataType) -> None:
    column = dictionary(pa.array(["b", "a", "unused"], values), 1, None, 0, 1)
    assert canonical_array(column, "a").equals(pa.array(["a", None, "b", "a"], pa.large_string()))


def test_a_null_category_is_null() -> None:
    assert canonical_array(dictionary(pa.array(["a", None]), 0, 1), "a").to_pylist() == ["a", None]


def test_chunks_with_other_dictionaries_are_unified() -> None:
    chunks = [*dictionary(pa.array(["a", "b"]), 1).chunks, *dictionary(pa.array(["c"]), 0).chunks]
    assert canonical_array(pa.chunked_array(chunks), "a").to_pylist() == ["b", "c"]


@pytest.mark.parametrize("arrow", [pa.int16(), pa.timestamp("ns"), pa.decimal128(21, 2)], ids=str)
def test_dictionaries_of_other_types_become_their_values(arrow: pa.DataType) -> None:
    values = pa.array([1000], pa.int64()).cast(arrow)
    array = canonical_array(dictionary(values, 0, None), "a")
    assert array.type == to_arrow(from_arrow(arrow, "a"))
    assert array.null_count == 1


def test_a_table_keeps_its_rows_and_the_order_of_its_columns() -> None:
    table = pa.table({"b": [1, 2], "a": ["x", None]})
    whole = canonical_table(pa.concat_tables([table, table, table.slice(0, 0)]))
    assert whole.column_names == ["b", "a"]
    assert whole.to_pylist() == table.to_pylist() * 2
    assert [column.num_chunks for column in whole.columns] == [1, 1]


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["a", "b"])], ids=str)
def test_a_polars_frame_hands_out_what_can_be_kept(dtype: pl.DataType) -> None:
    frame = pl.DataFrame({"a": pl.Series(["b", None, "a"], dtype=dtype), "b": ["x", "y", None]})
    for table in (frame.to_arrow(), pa.table(frame)):
        assert canonical_table(table).to_pylist() == frame.to_dicts()


@pytest.mark.parametrize("type", CANONICAL, ids=str)
def test_a_table_without_rows_keeps_its_types(type: DataType) -> None:
    columns = (Column("a", type),)
    empty = canonical_table(pa.table({"a": pa.chunked_array([], to_arrow(type))}))
    assert empty.schema == arrow_schema(Schema(("a",), None, columns))
    assert columns_of(empty.schema) == columns
