"""Surrogate keys: equal for equal values on every width and engine, and never for others."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from mlforge.engines.surrogate import surrogate_key
from mlforge.errors import InvalidUsage, UnsupportedType

GOLDEN = Path(__file__).parents[1] / "golden" / "surrogates.json"
NOON = datetime(2024, 2, 29, 12, 0, 0, 1)


def keys(**columns: pl.Series) -> list[str]:
    frame = pl.DataFrame(columns)
    found: list[str] = frame.select(k=surrogate_key(*columns))["k"].to_list()
    assert frame.lazy().select(k=surrogate_key(*columns)).collect()["k"].to_list() == found
    return found


def key(*values: object) -> str:
    return keys(**{f"c{at}": pl.Series([value], strict=False) for at, value in enumerate(values)})[
        0
    ]


ROWS: dict[str, tuple[object, ...]] = {
    "an integer": (1,),
    "a negative integer": (-1,),
    "a text": ("1",),
    "an empty text": ("",),
    "no value": (None,),
    "the text null": ("null",),
    "a boolean": (True,),
    "bytes": (b"1",),
    "a date": (date(2024, 2, 29),),
    "an instant": (NOON.replace(tzinfo=UTC),),
    "a naive instant": (NOON,),
    "a decimal": (Decimal("1.50"),),
    "a decimal zero": (Decimal("-0.00"),),
    "two texts": ("a", "bc"),
    "two texts cut otherwise": ("ab", "c"),
    "two texts, one empty": ("abc", ""),
    "a text and a null": ("abc", None),
    "a null and a text": (None, "abc"),
    "letters outside ASCII": ("é", "\U0001f600"),
    "an integer and a text": (7, "seven"),
    "a separator": ("a|b", "c"),
    "a separator elsewhere": ("a", "b|c"),
}


def test_the_keys_never_change_and_no_two_are_equal() -> None:
    made = {name: key(*row) for name, row in ROWS.items()}
    assert made == json.loads(GOLDEN.read_text())
    assert len(set(made.values())) == len(made)


def test_a_key_is_the_hash_of_what_the_docs_say() -> None:
    whole = b"i" + (16).to_bytes(8, "little") + (7).to_bytes(16, "little")
    text = b"s" + (5).to_bytes(8, "little") + b"seven"
    assert key(7, "seven") == blake3(whole + text).hexdigest()
    assert key(None) == blake3(b"n" + bytes(8)).hexdigest()


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt64, pl.Int32, pl.Int64], ids=str)
def test_the_width_of_an_integer_does_not_count(dtype: type[pl.DataType]) -> None:
    assert keys(a=pl.Series([7], dtype=dtype)) == keys(a=pl.Series([7]))


def test_the_spelling_of_a_value_does_not_count() -> None:
    naive = pl.Series([NOON])
    utc = naive.dt.replace_time_zone("UTC")
    half = [pl.Series([Decimal("1.5")], dtype=pl.Decimal(p, s)) for p, s in ((9, 1), (38, 9))]
    for one, other in [
        (pl.Series(["x"], dtype=pl.Categorical), pl.Series(["x"])),
        (pl.Series(["x"], dtype=pl.Enum(["y", "x"])), pl.Series(["x"])),
        (half[0], half[1]),
        (naive.dt.cast_time_unit("ns"), naive),
        (utc.dt.convert_time_zone("Asia/Tokyo"), utc),
    ]:
        assert keys(a=one) == keys(a=other)


CELLS = st.none() | st.sampled_from(["", "a", "ab", "b", "n", "\0"])


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=30))
def test_rows_have_one_key_exactly_if_they_are_equal(rows: list[tuple[str | None, ...]]) -> None:
    columns = [pl.Series([row[at] for row in rows], dtype=pl.String) for at in (0, 1)]
    made = keys(a=columns[0], b=columns[1])
    assert len(set(zip(rows, made, strict=True))) == len(set(rows)) == len(set(made))


@pytest.mark.parametrize("value", [1.5, [1], {"a": 1}], ids=str)
def test_what_has_no_exact_equality_makes_no_key(value: object) -> None:
    with pytest.raises((UnsupportedType, pl.exceptions.ComputeError), match="no exact equality"):
        key(value)


def test_a_key_of_no_columns_is_refused() -> None:
    with pytest.raises(InvalidUsage):
        surrogate_key()
