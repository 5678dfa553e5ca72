"""Columns that cannot be kept: an error names feature, column, a value and the way out."""
# A case a line reads best.
# ruff: noqa: E501

from __future__ import annotations

import re

import pytest

from tests.shop import Shop

HEAD = """\
from decimal import Decimal
import mlforge as mlf
import polars as pl
import pyarrow as pa
TWO = pl.LazyFrame({"k": [1, 1], "t": ["2024-01-01"] * 2}).with_columns(pl.col("t").str.to_datetime())
SUM = {"timestamp": "t", "interval": "1d", "metrics": [mlf.Rolling(["2d"], {"v": ["sum"]})]}
"""
PLAIN = '@mlf.feature(keys=["k"], source="data/users.csv")\ndef odd(df):\n    return '
SUMMED = '@mlf.feature(keys=["k"], source="data/users.csv", **SUM)\ndef odd(df):\n    return '
TIMED = (
    '@mlf.feature(keys=["k"], source="data/users.csv", timestamp="t")\ndef odd(df):\n    return '
)
# What the function returns, the code of the error, and what it must say.
CASES = {
    "more than 64 bits": (
        PLAIN + 'pl.LazyFrame({"k": [1], "v": [7]}).with_columns(pl.col("v").cast(pl.Int128))',
        "MLF0302",
        ("odd: column v has the type Int128", "such as v = 7", "pl.Decimal(38, 0)"),
    ),
    "no type": (
        PLAIN + 'pl.LazyFrame({"k": [1], "v": [None]})',
        "MLF0302",
        ("odd: column v has the type Null", "give it a type with .cast(...)"),
    ),
    "python objects": (
        PLAIN + 'pl.DataFrame({"k": [1], "v": pl.Series([{1}], dtype=pl.Object)})',
        "MLF0302",
        ("odd: column v has the type Object", "such as v = {1}", "columns of plain types"),
    ),
    "a decimal over 38 digits": (
        PLAIN + 'pa.table({"k": [1], "v": pa.array([Decimal(10**40)], pa.decimal256(50, 0))})',
        "MLF0302",
        ("odd: column v has the type decimal256(50, 0)", "more than 38 digits", "to fewer"),
    ),
    "a float key": (
        PLAIN + 'pl.LazyFrame({"k": [1.5]})',
        "MLF0302",
        ("odd: the key k is float64", "such as k = 1.5", "to an integer or a string"),
    ),
    "a list as a key": (
        PLAIN + 'pl.LazyFrame({"k": [[1, 2]]})',
        "MLF0302",
        ("odd: the key k is list[int64]", "such as k = [1, 2]", "to an integer or a string"),
    ),
    "digits below a microsecond": (
        PLAIN + 'pl.LazyFrame({"k": [1], "v": [1]}).with_columns(pl.col("v").cast(pl.Datetime("ns")))',
        "MLF0305",
        ("odd: column v has digits below a microsecond", "00.000000001", 'cast_time_unit("us")'),
    ),
    "an event time below a microsecond": (
        TIMED + 'pl.LazyFrame({"k": [1], "t": [1]}).with_columns(pl.col("t").cast(pl.Datetime("ns")))',
        "MLF0305",
        ("odd: t has digits below a microsecond", "00.000000001", 'cast_time_unit("us")'),
    ),
    "an overflowing sum": (
        SUMMED + 'TWO.with_columns(v=pl.Series([2**63 - 1, 5]))',
        "MLF0405",
        ("odd: the sum of v over 2d does not fit int64", "9223372036854775812", "Float64"),
    ),
    "an overflowing decimal sum": (
        SUMMED + 'TWO.with_columns(v=pl.Series([Decimal(10**38 - 1), Decimal(5)], dtype=pl.Decimal(38, 0)))',
        "MLF0405",
        ("odd: the sum of v over 2d does not fit decimal(38)", "1" + "0" * 37 + "4", "Float64"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_a_column_that_cannot_be_kept_is_one_clear_error(shop: Shop, what: str) -> None:
    source, code, words = CASES[what]
    (shop.root / "features.py").write_text(f"{HEAD}\n{source}\n")
    before = shop.git("rev-parse", "HEAD")
    done = shop.run("build")
    assert done.returncode in (1, 2)
    assert re.findall(r"^error\[(\w+)\]", done.stderr, re.M) == [code]
    assert all(word in done.stderr for word in words), done.stderr
    assert shop.git("rev-parse", "HEAD") == before
    assert not shop.store.exists()
