"""Text: a type is its canonical string and its JSON, and nothing else is a type."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from mlforge import types
from mlforge.errors import UnsupportedType
from mlforge.testing.types import data_types
from mlforge.types import DataType

NESTED = {
    "list[int64]": types.list_(types.int64()),
    "fixed_list[float32,768]": types.fixed_list(types.float32(), 768),
    "list[list[string]]": types.list_(types.list_(types.string())),
    "struct[a:int64,b:list[datetime[UTC]]]": types.struct(
        {"a": types.int64(), "b": types.list_(types.datetime(timezone="UTC"))}
    ),
    'struct["a b":date,"q\\"":decimal[9,2]]': types.struct(
        {"a b": types.date(), 'q"': types.decimal(9, 2)}
    ),
}


@given(data_types())
def test_a_type_is_its_canonical_string(type: DataType) -> None:
    assert types.from_canonical_string(types.to_canonical_string(type)) == type


@given(data_types())
def test_a_type_is_its_json(type: DataType) -> None:
    assert types.from_json(json.loads(json.dumps(types.to_json(type)))) == type


@pytest.mark.parametrize("text", NESTED)
def test_a_nested_type_has_one_text(text: str) -> None:
    assert str(NESTED[text]) == text
    assert types.from_canonical_string(text) == NESTED[text]


@pytest.mark.parametrize(
    "text",
    [
        *["list", "list[]", "list[int64", "list[int64]]", "list[int64,3]", "list[ int64]"],
        *["fixed_list[int64]", "fixed_list[int64,-1]", "fixed_list[int64,03]"],
        *["struct[]", "struct[a]", "struct[a:]", "struct[a:int64,]", "struct[a:int64,a:date]"],
        *[
            'struct["a":int64]',
            'struct["a b:int64]',
            "struct[a b:int64]",
            'struct["\\u0061 ":date]',
        ],
        "list[" * 33 + "date" + "]" * 33,
        "list[" * 10_000,
        "struct[" + ",".join(f"a{i}:int64" for i in range(20_000)) + "]",
    ],
)
def test_other_nested_text_is_no_type(text: str) -> None:
    with pytest.raises(UnsupportedType) as refused:
        types.from_canonical_string(text)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "int"},
        {"kind": "int64", "unit": "us"},
        {"kind": "decimal", "precision": 39, "scale": 0},
        {"kind": "decimal", "precision": True, "scale": 0},
        {"kind": "datetime", "timezone": "Europe/Berlin"},
        {"kind": "list"},
        {"kind": "list", "item": "int64"},
        {"kind": "struct", "fields": []},
        {"kind": "struct", "fields": [{"name": "a"}]},
        {"kind": "struct", "fields": "ab"},
        {"kind": "int64", "origin": 3},
        {"kind": "int64", "scale": "3"},
    ],
    ids=str,
)
def test_other_json_is_no_type(record: dict[str, object]) -> None:
    with pytest.raises(UnsupportedType):
        types.from_json(record)


def test_what_a_type_was_before_is_told_and_not_compared() -> None:
    berlin = types.datetime(timezone="Europe/Berlin")
    assert berlin == types.datetime(timezone="UTC")
    assert str(berlin) == "datetime[UTC]"
    assert types.to_json(berlin) == {
        "kind": "datetime",
        "timezone": "UTC",
        "origin": "Europe/Berlin",
    }
    assert types.from_json(types.to_json(berlin)).origin == "Europe/Berlin"
