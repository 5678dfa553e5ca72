"""Schema: which columns are keys, time and values, and what its hash depends on."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlforge.schema import Column, Schema
from mlforge.types import DataType

GOLDEN = Path(__file__).parent / "golden" / "hashes.json"


def schema(
    columns: Sequence[str] = ("user int64", "day date", "amount float64", "n int64"),
    keys: Sequence[str] = ("user",),
    timestamp: str | None = "day",
) -> Schema:
    pairs = [column.split(" ") for column in columns]
    return Schema(
        tuple(keys), timestamp, tuple(Column(name, DataType.parse(type)) for name, type in pairs)
    )


def test_values_are_neither_key_nor_timestamp() -> None:
    assert [column.name for column in schema().values] == ["amount", "n"]
    assert schema().names == ("user", "day", "amount", "n")


def test_rows_are_ordered_by_keys_then_timestamp() -> None:
    assert schema().order == ("user", "day")
    assert schema(timestamp=None).order == ("user",)
    assert [column.name for column in schema(timestamp=None).values] == ["day", "amount", "n"]


def test_a_column_has_its_type() -> None:
    assert str(schema().type_of("amount")) == "float64"


def test_the_hash_never_changes() -> None:
    assert str(schema().hash()) == json.loads(GOLDEN.read_text())["schema"]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_columns_is_not_in_the_hash(seed: int) -> None:
    columns = [f"{column.name} {column.type}" for column in schema().columns]
    assert schema(random.Random(seed).sample(columns, len(columns))).hash() == schema().hash()


@pytest.mark.parametrize(
    "other",
    [
        schema(keys=("day",), timestamp="user"),
        schema(keys=("user", "day"), timestamp=None),
        schema(keys=("day", "user"), timestamp=None),
        schema(timestamp=None),
        schema(["user int64", "day date", "amount float64"]),
        schema(["user int64", "day date", "amount float32", "n int64"]),
        schema(["user int64", "day date", "Amount float64", "n int64"]),
        schema(["user int64", "day datetime", "amount float64", "n int64"]),
        schema(["user int64", "day datetime[UTC]", "amount float64", "n int64"]),
        schema(["user int64", "day date", "n float64", "amount int64"]),
    ],
)
def test_keys_timestamp_names_and_types_are_in_the_hash(other: Schema) -> None:
    assert other.hash() != schema().hash()
