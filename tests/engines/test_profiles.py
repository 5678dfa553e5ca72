"""Profiles against plain Python: fractions, sets and sorting, however a table is chunked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.arrow import canonical_table, columns_of
from mlforge.content import hash_content
from mlforge.engines.profiles import profile_of
from mlforge.profile import ColumnProfile, Profile
from mlforge.schema import Column, Schema
from mlforge.types import int64

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FLOATS = st.floats() | st.sampled_from([0.0, -0.0, 0.1, 1e308, 5e-324, math.inf, -math.inf])
TYPES: dict[str, tuple[pa.DataType, st.SearchStrategy[object]]] = {
    "float": (pa.float64(), FLOATS),
    "small": (pa.float32(), st.floats(width=32)),
    "whole": (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)),
    "natural": (pa.uint64(), st.integers(0, 2**64 - 1) | st.integers(2**64 - 9, 2**64 - 1)),
    "tiny": (pa.int8(), st.integers(-128, 127)),
    "flag": (pa.bool_(), st.booleans()),
    "money": (pa.decimal128(38, 2), st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-9, 9)),
    "text": (pa.large_string(), st.text(max_size=70)),
    "bytes": (pa.large_binary(), st.binary(max_size=40)),
    "day": (pa.date32(), st.dates()),
}
Row = dict[str, object]
ROWS: st.SearchStrategy[list[Row]] = st.lists(
    st.fixed_dictionaries(
        {"key": st.integers(0, 3), "other": st.sampled_from(["", "a", "é"])}
        | {"at": st.integers(-(2**40), 2**60)}
        | {name: st.none() | values for name, (_, values) in TYPES.items()}
    ),
    max_size=25,
)


def table_of(rows: Sequence[Row]) -> pa.Table:
    """The rows in canonical order."""
    ordered = sorted(rows, key=lambda r: (r["key"], str(r["other"]).encode(), r["at"]))
    keys = {"key": pa.int64(), "other": pa.large_string()}
    columns = {n: pa.array([r[n] for r in ordered], type) for n, type in keys.items()}
    columns["at"] = pa.array([r["at"] for r in ordered], pa.int64()).cast(
        pa.timestamp("us", tz="UTC")
    )
    for name, (type, _) in TYPES.items():
        values = [r[name] for r in ordered]
        if name == "money":
            values = [v if v is None else Decimal(f"{v}E-2") for v in values]
        columns[name] = pa.array(values, type)
    return pa.table(columns)


def profile(table: pa.Table) -> Profile:
    return profiled(table, Schema(("key", "other"), "at", columns_of(table.schema)))


def profiled(table: pa.Table, schema: Schema) -> Profile:
    return profile_of(table.column, table.num_rows, schema, hash_content(table, schema).hash)


def rechunked(table: pa.Table, cuts: Sequence[int]) -> pa.Table:
    ends = sorted({0, table.num_rows, *(cut % (table.num_rows + 1) for cut in cuts)})
    parts = [table.slice(a, b - a) for a, b in pairwise(ends)]
    return pa.concat_tables(parts) if parts else table


@settings(max_examples=150, deadline=None)
@given(ROWS, st.lists(st.integers(0, 30), max_size=4), st.randoms(use_true_random=False))
def test_a_profile_does_not_depend_on_chunks_or_on_the_order_of_the_input(
    rows: list[Row], cuts: list[int], random: object
) -> None:
    unique = list({(r["key"], r["other"], r["at"]): r for r in rows}.values())
    expected = profile(table_of(unique)).encode()
    assert profile(rechunked(table_of(unique), cuts)).encode() == expected
    random.shuffle(unique)  # type: ignore[attr-defined]
    assert profile(canonical_table(table_of(unique))).encode() == expected


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_a_profile_is_what_plain_python_says(rows: list[Row]) -> None:
    found = profile(table_of(rows))
    assert found.rows == len(rows)
    assert found.distinct_keys == len({(r["key"], r["other"]) for r in rows})
    times = [r["at"] for r in rows]
    assert (found.first_time, found.last_time) == (
        min(times, default=None),  # type: ignore[type-var]
        max(times, default=None),  # type: ignore[type-var]
    )
    for name in TYPES:
        assert found.column(name) == expected_column(name, [r[name] for r in rows])


def expected_column(name: str, values: list[object]) -> ColumnProfile:
    known = [v for v in values if v is not None and v == v]
    is_float = name in ("float", "small")
    ordered = sorted(known, key=lambda v: v.encode() if isinstance(v, str) else v)  # type: ignore
    return ColumnProfile(
        name=name,
        nulls=values.count(None),
        nans=len([v for v in values if v != v]) if is_float else None,
        distinct=len(set(known)),
        min=text(name, ordered[0]) if known else None,
        max=text(name, ordered[-1]) if known else None,
        mean=mean(name, known) if known else None,
    )


def text(name: str, value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return repr(value + 0.0)
        case int():
            if name != "money":
                return str(value)
            sign = "-" if value < 0 else ""
            return f"{sign}{abs(value) // 100}.{abs(value) % 100:02}"
        case str():
            return value if len(value) <= 64 else value[:64] + "…"
        case bytes():
            shown = value.hex()
            return shown if len(shown) <= 64 else shown[:64] + "…"
        case date():
            return value.isoformat()
    raise AssertionError(value)


def mean(name: str, known: list[object]) -> str | None:
    numbers = [v for v in known if isinstance(v, int | float)]
    if not numbers:
        return None
    infinite = {v for v in numbers if isinstance(v, float) and math.isinf(v)}
    if infinite:
        return None if len(infinite) == 2 else repr(infinite.pop())
    total = sum(map(Fraction, numbers)) / (100 if name == "money" else 1)
    return repr(nearest(total) / len(numbers))


def nearest(number: Fraction) -> float:
    try:
        return number.numerator / number.denominator
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def test_one_value_and_no_value() -> None:
    empty = profile(table_of([]))
    assert (empty.rows, empty.distinct_keys, empty.first_time) == (0, 0, None)
    assert empty.column("float") == ColumnProfile("float", 0, 0, 0, None, None, None)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_negative_zero_is_zero(zero: float) -> None:
    schema = Schema(("key",), None, columns_of(pa.schema({"key": pa.int64(), "x": pa.float64()})))
    table = pa.table({"key": [1, 2], "x": [zero, 0.0]})
    found = profiled(table, schema).column("x")
    assert found == ColumnProfile("x", 0, 0, 1, "0.0", "0.0", "0.0")


def test_times_and_lengths_of_time_are_text() -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, 678900)
    frame = pl.DataFrame(
        {
            "key": [1],
            "naive": [moment],
            "aware": [moment.replace(tzinfo=UTC)],
            "clock": [moment.time()],
            "length": [timedelta(seconds=1.5)],
        }
    )
    table = canonical_table(frame.to_arrow())
    schema = Schema(("key",), None, columns_of(table.schema))
    found = profiled(table, schema)
    assert [c.min for c in found.columns] == [
        "1",
        "2024-01-02T03:04:05.678900",
        "2024-01-02T03:04:05.678900Z",
        "03:04:05.678900",
        "1500000",
    ]


def test_a_sum_beyond_128_bits_of_narrow_numbers_is_exact() -> None:
    table = pa.table({"key": range(3), "x": pa.array([2**63 - 1] * 3, pa.int64())})
    schema = Schema(("key",), None, columns_of(table.schema))
    found = profiled(table, schema).column("x")
    assert found is not None
    assert found.mean == repr(float(3 * (2**63 - 1)) / 3)


@pytest.mark.parametrize(
    "values",
    [
        [-(2.0**41), 2.0**39, 2.0**40 + 2.0**-12, 2.0**41],
        [1.0, 1.0 + 2.0**-52, 3.0, -1.0],
        [5e-324, 1.5, -1.5, 2.0**900, -(2.0**900), 0.0],
        [-3.0, -1.0000000000000002, -1.0, 0.0],
        [0.0, -0.0, 0.0],
        [-2.5],
    ],
)
def test_a_mean_counts_the_bits_between_the_extremes(values: list[float]) -> None:
    expected = float(sum(map(Fraction, values), Fraction(0))) / len(values)
    assert column_of(values).mean == repr(expected)


@pytest.mark.parametrize("distinct", [1, 3, 500, 20_000])
def test_distinct_texts_are_counted_however_often_they_occur(distinct: int) -> None:
    texts = [f"t{number * 7919 % distinct:05}" for number in range(20_000)]
    column = column_of(pa.array(texts, pa.large_string()))
    assert (column.distinct, column.min) == (distinct, "t00000")
    assert column.max == f"t{distinct - 1:05}"


@pytest.mark.parametrize(
    "keys",
    [
        pa.array(["", "a", "a", "z", "é"], pa.large_string()),
        pa.array([b"", b"\0", b"\0", b"a", b"\xff"], pa.large_binary()),
        pa.array([-5, -2, -2, 0, 2**40], pa.int64()),
        pa.array([0, 1, 1, 2**63, 2**64 - 1], pa.uint64()),
        pa.array([date(1, 1, 1), *[date(1970, 1, 1)] * 2, date(2024, 1, 1), date(9999, 1, 1)]),
    ],
    ids=lambda keys: str(keys.type),
)
def test_a_single_key_is_counted_in_its_order(keys: pa.Array) -> None:
    """The rows are sorted by it: its extremes are its ends, and equal keys are neighbours."""
    table = pa.table({"key": keys})
    schema = Schema(("key",), None, columns_of(table.schema))
    found = profiled(table, schema)
    assert found.distinct_keys == found.columns[0].distinct == 4
    as_value = profiled(
        pa.table({"key": range(5), "x": keys.take(pa.array([3, 1, 4, 0, 2]))}),
        Schema(("key",), None, (Column("key", int64()), Column("x", schema.columns[0].type))),
    ).column("x")
    assert as_value == replace(found.columns[0], name="x")


def column_of(values: Sequence[object] | pa.Array) -> ColumnProfile:
    """The profile of a column beside a key that numbers its rows."""
    table = pa.table({"key": range(len(values)), "x": values})
    schema = Schema(("key",), None, columns_of(table.schema))
    found = profiled(table, schema).column("x")
    assert found is not None
    return found
