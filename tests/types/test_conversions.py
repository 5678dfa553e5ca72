"""Conversions: canonical types in Arrow, Polars and DuckDB, each with its values."""

from __future__ import annotations

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.arrow import canonical_table, columns_of
from mlforge.content import hash_content
from mlforge.errors import UnsupportedType
from mlforge.schema import Schema
from mlforge.testing.types import data_types, values
from mlforge.types import (
    DataType,
    TypeKind,
    from_arrow,
    from_duckdb,
    from_polars,
    to_arrow,
    to_duckdb,
    to_polars,
)


def has(type: DataType, kind: TypeKind) -> bool:
    return type.kind is kind or any(has(inner, kind) for inner in type.inner)


def content(table: pa.Table) -> str:
    whole = canonical_table(table)
    return str(hash_content(whole, Schema((), None, columns_of(whole.schema))).hash)


@st.composite
def columns(draw: st.DrawFn) -> tuple[DataType, list[object]]:
    type = draw(data_types())
    return type, draw(st.lists(values(type), max_size=8))


@given(data_types())
def test_a_type_comes_back_from_arrow_and_polars(type: DataType) -> None:
    assert from_arrow(to_arrow(type)) == type
    assert from_polars(to_polars(type)) == type


@given(data_types())
def test_a_type_without_durations_comes_back_from_duckdb(type: DataType) -> None:
    if has(type, TypeKind.DURATION):
        with pytest.raises(UnsupportedType, match="no type for a duration"):
            to_duckdb(type)
    else:
        assert from_duckdb(to_duckdb(type)) == type


@given(columns())
def test_values_through_polars_keep_type_and_content(made: tuple[DataType, list[object]]) -> None:
    type, cells = made
    table = pa.table({"a": pa.array(cells, to_arrow(type))})
    frame = pl.DataFrame(pl.from_arrow(table))
    assert from_polars(frame.schema["a"]) == type
    assert content(frame.to_arrow()) == content(table)


@settings(max_examples=50)
@given(columns())
def test_values_through_duckdb_keep_type_and_content(made: tuple[DataType, list[object]]) -> None:
    type, cells = made
    if has(type, TypeKind.DURATION):
        return
    table = pa.table({"a": pa.array(cells, to_arrow(type))})
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("made", table)
        relation = connection.sql("SELECT a FROM made")
        assert from_duckdb(relation.types[0]) == type
        cast = connection.sql(f"SELECT CAST(a AS {to_duckdb(type)}) AS a FROM made")
        assert from_duckdb(cast.types[0]) == type
        assert content(relation.to_arrow_table()) == content(table)


FROM_POLARS = {
    "categorical": (pl.Categorical(), "string", "categorical"),
    "enum": (pl.Enum(["a"]), "string", "enum"),
    "nanoseconds": (pl.Datetime("ns"), "datetime", "ns"),
    "a zone": (pl.Datetime("ms", "Europe/Berlin"), "datetime[UTC]", "ms, Europe/Berlin"),
    "a class": (pl.Int64, "int64", None),
    "milliseconds": (pl.Duration("ms"), "duration", "ms"),
    "two dimensions": (pl.Array(pl.Float32, (2, 3)), "fixed_list[fixed_list[float32,3],2]", None),
}


@pytest.mark.parametrize("what", FROM_POLARS)
def test_a_polars_type_is_made_canonical_and_its_origin_is_told(what: str) -> None:
    dtype, text, origin = FROM_POLARS[what]
    found = from_polars(dtype)
    assert (str(found), found.origin) == (text, origin)


FROM_DUCKDB = {
    "TIMESTAMP_NS": "datetime",
    "TIMESTAMP WITH TIME ZONE": "datetime[UTC]",
    "UUID": "string",
    "ENUM('a', 'b,''c')": "string",
    'STRUCT(a INTEGER, "b ""c" VARCHAR[], d STRUCT(e DECIMAL(9,2)))[3]': (
        'fixed_list[struct[a:int32,"b \\"c":list[string],d:struct[e:decimal[9,2]]],3]'
    ),
}


@pytest.mark.parametrize("text", FROM_DUCKDB)
def test_a_duckdb_type_string_is_made_canonical(text: str) -> None:
    assert str(from_duckdb(text)) == FROM_DUCKDB[text]


@pytest.mark.parametrize(
    "text",
    [
        *["HUGEINT", "UHUGEINT", "INTERVAL", "MAP(INTEGER, VARCHAR)", "UNION(a INTEGER)", "BIT"],
        *["TIME WITH TIME ZONE", "DECIMAL(39,0)", '"NULL"', "STRUCT()", "STRUCT(a)", "", "[]"],
        *["STRUCT(a INTEGER, a DATE)", 'STRUCT("a INTEGER)', "INTEGER" + "[]" * 10_000],
    ],
)
def test_other_duckdb_types_are_refused(text: str) -> None:
    with pytest.raises(UnsupportedType) as refused:
        from_duckdb(text, "odd")
    assert refused.value.hint


@pytest.mark.parametrize("dtype", [pl.Int128(), pl.Null(), pl.Object(), pl.List(pl.Null)], ids=str)
def test_other_polars_types_are_refused(dtype: pl.DataType) -> None:
    with pytest.raises(UnsupportedType, match="column odd has the type") as refused:
        from_polars(dtype, "odd")
    assert refused.value.hint
