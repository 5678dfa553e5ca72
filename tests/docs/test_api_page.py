"""docs/reference/api.md is what `make docs-reference` makes of the code, and leaves nothing out."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
from dataclasses import is_dataclass
from types import ModuleType

import pytest

import mlforge
from mlforge.notebook import Shown
from tests.docs.pages import ROOT

PAGE = ROOT / "docs/reference/api.md"
CLASSES = [name for name in mlforge.__all__ if inspect.isclass(getattr(mlforge, name))]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_page", ROOT / "docs/api_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


API = load()


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == API.api_page(), "type: make docs-reference"


def test_every_public_name_has_one_entry_and_no_other() -> None:
    told = re.findall(r"^### (\w+)$", PAGE.read_text("utf-8"), re.M)
    assert sorted(told) == sorted(mlforge.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_everything_that_a_public_class_has_is_told(name: str) -> None:
    text = PAGE.read_text("utf-8")
    for member, value in API.members(getattr(mlforge, name)):
        assert value.__doc__, f"{name}.{member} has no docstring"
        row = f"| `{member}` |" if isinstance(value, property) else f"| `{member}()` |"
        entry = row if API.is_row(value) else f"#### {name}.{member}\n"
        assert entry in text, member


@pytest.mark.parametrize("name", API.GROUPS["Results"])
def test_every_field_of_a_result_is_told(name: str) -> None:
    entry = re.split(r"^### ", PAGE.read_text("utf-8").split(f"### {name}\n")[1], flags=re.M)[0]
    result = getattr(mlforge, name)
    fields = [field.name for field in dataclasses.fields(result)] if is_dataclass(result) else []
    assert [name for name in fields if name[0] != "_" and f"`{name}: " not in entry] == []


@pytest.mark.parametrize("name", API.GROUPS["Results"])
def test_a_result_is_shown_and_becomes_plain_values(name: str) -> None:
    result = getattr(mlforge, name)
    assert issubclass(result, Shown)
    assert "to_dict" in vars(result)


@pytest.mark.parametrize("name", mlforge.__all__)
def test_a_docstring_begins_with_a_sentence(name: str) -> None:
    first = inspect.cleandoc(getattr(mlforge, name).__doc__).split("\n\n")[0]
    assert first.endswith((".", ":", "`")), first


def test_the_page_names_no_machine() -> None:
    assert not re.search(r"0x[0-9a-f]{6}|/home/|/tmp/|<function|<object", PAGE.read_text("utf-8"))
