"""docs/reference/manifest.schema.json is current, and says of a manifest what reading it says."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.docs.pages import ROOT
from tests.shop import Shop

PAGE = ROOT / "docs/reference/manifest.schema.json"
GOLDEN = json.loads((ROOT / "tests/golden/manifest.json").read_text("utf-8"))
PYTHON = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("schema", ROOT / "docs/manifest_schema.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PAGE.read_text("utf-8"))
    return found


def problems(schema: dict[str, Any], value: Any, where: str = "") -> Iterator[str]:
    """What of a value is not as the schema says: the few words of JSON Schema that it uses."""
    known = {"type", "properties", "required", "additionalProperties", "items", "minItems"}
    known |= {"const", "enum", "pattern", "minimum", "maximum", "description", "title", "$schema"}
    assert set(schema) <= known, set(schema) - known
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(type(value) is PYTHON[kind] for kind in kinds):
        yield f"{where} is no {kinds}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where} is not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is none of {schema['enum']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{where} does not match"
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get(
        "maximum", value
    ):
        yield f"{where} is out of range"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{where} is empty"
        for at, item in enumerate(value):
            yield from problems(schema["items"], item, f"{where}[{at}]")
    if isinstance(value, dict) and "properties" in schema:
        yield from (
            f"{where}.{name} is missing" for name in schema["required"] if name not in value
        )
        for name, item in value.items():
            if name not in schema["properties"]:
                yield f"{where}.{name} is unknown"
            else:
                yield from problems(schema["properties"][name], item, f"{where}.{name}")


def test_the_schema_is_up_to_date(generator: ModuleType) -> None:
    assert PAGE.read_text("utf-8") == generator.manifest_schema(), "type: make docs-reference"


def test_real_manifests_are_as_the_schema_says(shop: Shop, schema: dict[str, Any]) -> None:
    shop.mlforge("build")
    shop.edit('["7d", "30d"]', '["7d"]')
    shop.edit("def user_profile", "def customers")
    shop.edit('source="data/users.csv", ', 'source="data/users.csv", renamed_from="user_profile", ')
    shop.mlforge("build")
    found = [json.loads(p.read_text("utf-8")) for p in shop.store.glob("*/*/manifest.json")]
    assert len(found) == 4
    assert any("renamed_from" in manifest for manifest in found)
    assert [list(problems(schema, manifest)) for manifest in [*found, GOLDEN]] == [[]] * 5


@pytest.mark.parametrize("field", sorted(GOLDEN))
def test_a_missing_field_or_another_type_is_against_the_schema(
    field: str, schema: dict[str, Any]
) -> None:
    rest = {name: value for name, value in GOLDEN.items() if name != field}
    assert list(problems(schema, rest)) == [f".{field} is missing"]
    assert list(problems(schema, {**GOLDEN, field: {"a": [1.5]}}))


@pytest.mark.parametrize(
    "values",
    [
        *[{"format": 2}, {"zone": None}, {"bump": "huge"}, {"rows": -1}, {"rows": 5.0}],
        *[{"version": "1.0"}, {"version": "01.0.0"}, {"name": "../x"}, {"keys": []}],
        *[
            {"recipe": "b3:0"},
            {"interval": "1q"},
            {"max_age": "1mo"},
            {"horizon": 2**63},
            {"renamed_from": None},
        ],
        *[{"parts": []}, {"parts": [{"object": "x", "rows": 1, "bytes": 1}]}],
        {"columns": [{"name": "a", "type": "int8", "unit": "EUR"}]},
    ],
    ids=json.dumps,
)
def test_what_cannot_be_is_against_the_schema(
    values: dict[str, object], schema: dict[str, Any]
) -> None:
    assert list(problems(schema, {**GOLDEN, **values}))


def test_the_checker_agrees_with_a_library_that_is_here(schema: dict[str, Any]) -> None:
    if importlib.util.find_spec("jsonschema") is None:
        pytest.skip("jsonschema is not installed, and no dependency")
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(GOLDEN)) == []
    assert list(validator.iter_errors({**GOLDEN, "zone": None}))
