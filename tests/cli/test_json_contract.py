"""The JSON contract: each document has the fields and types that docs/reference/json says.

A document that changed for a good reason: MLFORGE_UPDATE_GOLDEN=1 pytest on this file. A field
that went away, or has another type, needs a new number in its `schema`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlforge.cli.app import app, serving
from tests.cli.cases import CASES, command_of, in_state
from tests.contracts import (
    FOLDER,
    IS_UPDATE,
    MADE_FROM,
    NULLABLE,
    check,
    contract,
    described,
    file_of,
)

PAGE = FOLDER.with_suffix(".md")
COMMANDS = sorted({command_of(args) for _, args in CASES.values() if "--json" in args})


@pytest.mark.parametrize("command", COMMANDS)
def test_each_document_is_as_its_contract_says(
    command: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    documents = defaultdict[str, list[dict[str, Any]]](list)
    for case, (state, args) in CASES.items():
        if command_of(args) == command and "--json" in args:
            done = in_state(state, tmp_path / case, tmp_path_factory).run(*args)
            document = json.loads(done.stdout)
            documents[document["schema"]].append(document)
    for schema, found in documents.items():
        file = file_of(schema)
        if IS_UPDATE:
            file.write_text(json.dumps(contract(schema, found), indent=2) + "\n", encoding="utf-8")
        assert json.loads(file.read_text(encoding="utf-8")) == contract(schema, found)
    known = {path for path in FOLDER.glob("*.json") if path.name.startswith(f"{command}.")}
    assert known == {file_of(schema) for schema in documents}


def test_each_command_that_speaks_json_has_a_contract() -> None:
    speaking = {
        f"{group}{command.name}"
        for group, typed in {"": app, "online.": serving}.items()
        for command in typed.registered_commands
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


def open_ends(node: dict[str, Any], path: str) -> Iterator[str]:
    """Fields of which a contract says too little: only null, or a list of anything."""
    if node.get("type") == "null" or ("array" in node.get("type", ()) and "items" not in node):
        yield path
    for name, inner in node.get("properties", {}).items():
        yield from open_ends(inner, f"{path}.{name}")
    yield from open_ends(node["items"], f"{path}[]") if "items" in node else ()


def test_a_contract_leaves_no_field_open() -> None:
    read = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.iterdir()}
    assert [end for name, node in read.items() for end in open_ends(node, name)] == []


def test_what_may_be_null_is_told_of_documents_that_there_are() -> None:
    names = {path.name.removesuffix(".v1.json") for path in FOLDER.glob("*.json")}
    assert {*MADE_FROM, *NULLABLE} <= names
    lists = {f"list.{what}" for what in ("entities", "services", "sources", "tags")}
    assert names - MADE_FROM.keys() == lists


def test_a_document_that_breaks_its_contract_is_noticed_in_every_test() -> None:
    version = {"version": "1.0.0", "head": True, "pinned": False, "draft": False}
    good = {"schema": "mlforge.versions/v1", "feature": "a", "head": "1.0.0", "note": None}
    check(json.dumps({**good, "versions": [version]}))
    for bad in ({"versions": None}, {"feature": 1}, {"versions": [{**version, "new": 1}]}):
        with pytest.raises(jsonschema.ValidationError):
            check(json.dumps({**good, "versions": [version], **bad}))
