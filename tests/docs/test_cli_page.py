"""docs/reference/cli.md is what `make docs-reference` makes of the commands."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_code_blocks import COMMANDS

PAGE = ROOT / "docs/reference/cli.md"
TEXT = PAGE.read_text("utf-8")
SHOWN = [name for name, command in COMMANDS.items() if not command.hidden]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(generator: ModuleType) -> None:
    assert generator.cli_page() == TEXT, "type: make docs-reference"


def test_every_command_has_an_entry_and_no_other() -> None:
    assert sorted(re.findall(r"^### mlforge ([\w ]+)$", TEXT, re.M)) == sorted(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_an_entry_has_an_example_and_every_option(name: str) -> None:
    entry = re.split(r"^##", TEXT.split(f"### mlforge {name}\n")[1], flags=re.M)[0]
    assert f"```bash\nmlforge {name}" in entry
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and not parameter.hidden:
            assert all(f"`{spelling}`" in entry for spelling in parameter.opts)


def test_exit_codes_are_told_of_commands_that_are_there(generator: ModuleType) -> None:
    assert set(generator.EXITS) <= set(SHOWN)
