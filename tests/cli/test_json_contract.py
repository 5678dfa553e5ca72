"""The JSON contract: each document has the fields and types that docs/reference/json says.

A document that changed for a good reason: MLFORGE_UPDATE_GOLDEN=1 pytest on this file. A field
that went away, or has another type, needs a new number in its `schema`.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mlforge.cli.app import app
from tests.cli.cases import CASES, in_state

ROOT = Path(__file__).parents[2]
FOLDER, PAGE = ROOT / "docs/reference/json", ROOT / "docs/reference/json.md"
IS_UPDATE = os.environ.get("MLFORGE_UPDATE_GOLDEN") == "1"
COMMANDS = sorted({args[0] for _, args in CASES.values() if "--json" in args})
_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}


def described(values: Sequence[Any]) -> dict[str, Any]:
    """What values have in common, as JSON Schema: every field of every object, every type."""
    types = sorted({_TYPES.get(type(value), "null") for value in values})
    found: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    records = [value for value in values if isinstance(value, dict)]
    if records:
        names = sorted({name for record in records for name in record})
        found["properties"] = {
            name: described([record[name] for record in records if name in record])
            for name in names
        }
        found["required"] = [name for name in names if all(name in r for r in records)]
    items = [item for value in values if isinstance(value, list) for item in value]
    return {**found, "items": described(items)} if items else found


def contract(schema: str, documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = described(documents)
    found["properties"]["schema"] = {"const": schema}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": schema, **found}


def file_of(schema: str) -> Path:
    """`mlforge.list.tags/v1` is described in `list.tags.v1.json`."""
    assert re.fullmatch(r"mlforge\.[a-z.]+/v\d+", schema)
    return FOLDER / f"{schema.removeprefix('mlforge.').replace('/', '.')}.json"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_document_is_as_its_contract_says(
    command: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    documents = defaultdict[str, list[dict[str, Any]]](list)
    for case, (state, args) in CASES.items():
        if args[0] == command and "--json" in args:
            done = in_state(state, tmp_path / case, tmp_path_factory).run(*args)
            document = json.loads(done.stdout)
            documents[document["schema"]].append(document)
    for schema, found in documents.items():
        file = file_of(schema)
        if IS_UPDATE:
            file.write_text(json.dumps(contract(schema, found), indent=2) + "\n", encoding="utf-8")
        assert json.loads(file.read_text(encoding="utf-8")) == contract(schema, found)
    known = {path for path in FOLDER.glob("*.json") if path.name.split(".")[0] == command}
    assert known == {file_of(schema) for schema in documents}


def test_each_command_that_speaks_json_has_a_contract() -> None:
    speaking = {
        command.name
        for command in app.registered_commands
        if command.callback is not None and "json" in command.callback.__annotations__
    }
    assert speaking - {"inspect"} == set(COMMANDS)


def test_each_contract_is_in_the_page() -> None:
    named = re.findall(r"\]\(json/([a-z0-9.]+\.json)\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(named) == sorted(path.name for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize(
    "other", [{"rows": "1"}, {"rows": None}, {}, {"rows": 1, "bytes": 2}, {"rows": [1]}]
)
def test_a_field_that_is_gone_new_or_of_another_type_would_be_noticed(other: object) -> None:
    assert described([other]) != described([{"rows": 1}])
