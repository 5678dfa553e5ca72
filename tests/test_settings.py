"""Settings: the published schema and page say what the code accepts."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

import mlforge
from mlforge.settings import SETTINGS, json_schema, lines_of, mistakes_in

ROOT = Path(mlforge.__file__).parents[1]
REFERENCE = ROOT / "docs/reference"


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("page", ROOT / "docs/configuration_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["page"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_and_the_schema_are_todays(page: ModuleType) -> None:
    assert (REFERENCE / "configuration.md").read_text("utf-8") == page.configuration_page()
    assert (REFERENCE / "config.schema.json").read_text("utf-8") == page.configuration_schema()


def test_every_setting_and_every_variable_of_the_code_is_on_the_page(page: ModuleType) -> None:
    text = page.configuration_page()
    for setting in SETTINGS:
        assert f"| `{setting.name}` | `{setting.variable}` |" in text
    code = "".join(path.read_text("utf-8") for path in (ROOT / "mlforge").rglob("*.py"))
    named = set(re.findall(r"(?<![A-Z_])MLFORGE_[A-Z_]*[A-Z]\b", code))
    assert named <= set(re.findall(r"`(MLFORGE_[A-Z_]+)`", text))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


EXAMPLES = [
    *sorted(ROOT.glob("examples/**/mlforge.toml")),
    *sorted(ROOT.glob(".mlforge-template/**/mlforge.toml")),
]
BLOCKS = re.findall(r"```toml\n(.*?)```", (REFERENCE / "configuration.md").read_text("utf-8"), re.S)


@pytest.mark.parametrize("text", [*(path.read_text("utf-8") for path in EXAMPLES), *BLOCKS])
def test_examples_are_valid_by_schema_and_code(text: str) -> None:
    table = tomllib.loads(text)
    jsonschema.Draft202012Validator(json_schema()).validate(table)
    assert list(mistakes_in(table)) == []


WRONG = (
    '[projct]\nname = "x"',
    '[project]\nnam = "x"',
    "[project]\nname = 5",
    '[project]\nname = ""',
    "[project]\ndefinitions = ['a']",
    "project = 5",
    "profiles = []",
    '[profiles."a b".offline_store]\npath = "x"',
    '[profiles.default.offline_store]\nkind = "s3"',
    "[profiles.default.online_store]\nport = 6379",
    "[git]\ncommit = 1",
    "[git]\nsign = true",
)


@pytest.mark.parametrize("text", WRONG)
def test_schema_and_code_refuse_alike(text: str) -> None:
    table = tomllib.loads(text)
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(table)
    assert len(list(mistakes_in(table))) == 1


def test_lines_are_those_of_keys_and_tables() -> None:
    text = 'a.b = 1\n[c."d e"]\n# f = 1\nf = """\ng = 1\n"""\nh = { i = 1 }\n[[j]]\n'
    assert lines_of(text) == {
        ("a", "b"): 1,
        ("c", "d e"): 2,
        ("c", "d e", "f"): 4,
        ("c", "d e", "h"): 7,
    }
