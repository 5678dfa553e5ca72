"""Validators: what passes, what fails, how it is told, and what cannot be asked."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from mlforge.definitions.validators import (
    Validator,
    greater_than,
    greater_than_or_equal,
    in_range,
    is_in,
    less_than,
    less_than_or_equal,
    matches_regex,
    not_null,
    unique,
)
from mlforge.errors import InvalidDefinitions, ValidationFailed
from tests.engines.brute import declared, run, validate

NAN, INF = float("nan"), float("inf")


def failing(tmp_path: Path, values: pl.Series, validator: Validator) -> int:
    frame = pl.DataFrame({"k": range(len(values)), "x": values})
    built = declared(timestamp=None, validators={"x": [validator]})
    failures = validate(tmp_path, frame, built)
    return sum(failure.count for failure in failures)


@pytest.mark.parametrize(
    ("values", "validator", "count"),
    [
        ([1, None, 3], not_null(), 1),
        ([1, 1, None, None, 2], unique(), 2),
        ([1.0, NAN, None], greater_than(0), 1),
        ([1.0, INF, NAN], less_than_or_equal(INF), 1),
        ([1.0, NAN], greater_than(NAN), 2),
        ([1, 2, 3, None], in_range(1, 3, inclusive=False), 2),
        ([1, 2, 3], in_range(1.5, 2.5), 2),
        ([2**53, 2**53 + 1], less_than_or_equal(2.0**53), 1),
        ([2**63 - 1], less_than(2.0**63), 0),
        ([1, 2], less_than(10**50), 0),
        ([1, 2], greater_than(-INF), 0),
        ([0.1], greater_than(Decimal("0.1")), 0),
        ([2.0**53], less_than(2**53 + 1), 0),
        ([1, 2, None], is_in([1, 1.5, 10**40]), 1),
        ([True, False], greater_than(0), 1),
        (["a", "b", None], is_in(["a"]), 1),
        (["ab", "abc", "ab\n", "xab"], matches_regex("a|ab"), 3),
        ([date(2024, 1, 1)], less_than(date(2024, 1, 1)), 1),
        ([datetime(2024, 1, 1)], less_than_or_equal(datetime(2024, 1, 1, tzinfo=UTC)), 0),
        ([Decimal("0.10"), Decimal("0.11")], greater_than(0.1), 1),
        ([Decimal("0.10")], greater_than_or_equal(0.1), 0),
        ([Decimal("0.10"), Decimal("0.11")], less_than(Decimal("0.105")), 1),
        ([Decimal("9.99")], less_than(10**40), 0),
    ],
)
def test_rows_that_fail(
    tmp_path: Path, values: list[object], validator: Validator, count: int
) -> None:
    assert failing(tmp_path, pl.Series(values, strict=False), validator) == count


def test_the_least_and_greatest_of_narrow_types(tmp_path: Path) -> None:
    for dtype, value in ((pl.Int8, -128), (pl.UInt8, 255), (pl.UInt64, 2**64 - 1)):
        values = pl.Series([value], dtype=dtype)
        assert failing(tmp_path, values, in_range(value, value)) == 0
        assert failing(tmp_path, values, less_than(-1000)) == 1
        assert failing(tmp_path, values, less_than(2**65)) == 0


def test_a_failed_build_lists_all_with_counts_and_examples(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["a", "b"], "x": [-1, None]})
    built = declared(timestamp=None, validators={"x": [not_null(), greater_than(0)]})
    with pytest.raises(ValidationFailed) as caught:
        run(tmp_path, frame, built)
    assert caught.value.message.splitlines() == [
        "f: 2 validators fail",
        "  x not_null: 1 row fails, x = null (row 2, k = 'b')",
        "  x > 0: 1 row fails, x = -1 (row 1, k = 'a')",
    ]


def test_validators_run_before_duplicates_are_looked_for(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["a", "a"], "x": [-1, 1]})
    built = declared(timestamp=None, validators={"x": [greater_than(0)]})
    with pytest.raises(ValidationFailed, match="1 validator fails"):
        run(tmp_path, frame, built)


def test_validated_columns_need_not_be_measured(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["a"], "x": [-1], "y": [["a list"]]})
    built = declared(timestamp=None, validators={"x": [greater_than(0)]})
    assert validate(tmp_path, frame, built)[0].validator == "> 0"


@pytest.mark.parametrize(
    ("value", "validator", "text"),
    [
        ("a", greater_than(0), "x is String, which cannot be compared with 0"),
        (1, is_in(["a"]), "x is Int64, which cannot be compared with 'a'"),
        (1, matches_regex("a"), "x is Int64, which cannot be compared with 'a'"),
        (date(2024, 1, 1), less_than(datetime(2024, 1, 1)), "x is Date, which cannot"),
        ("a", matches_regex("(?=a)a"), "look-around"),
    ],
)
def test_what_cannot_be_asked_is_a_mistake_in_the_definitions(
    tmp_path: Path, value: object, validator: Validator, text: str
) -> None:
    with pytest.raises(InvalidDefinitions, match=text):
        failing(tmp_path, pl.Series([value]), validator)
