"""docs/reference/errors.md is what `make docs-reference` makes of the code."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from mlforge.flows.explain import Explanation, explanations
from tests.docs.pages import ROOT

PAGE = ROOT / "docs/reference/errors.md"


@pytest.fixture
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(generator: ModuleType) -> None:
    assert PAGE.read_text("utf-8") == generator.errors_page(), "type: make docs-reference"


def test_every_code_has_an_entry_and_a_section() -> None:
    told = re.findall(r"^### (MLF\d{4}) ", PAGE.read_text("utf-8"), re.M)
    assert told == [explanation.code for explanation in explanations()]


@pytest.mark.parametrize("explanation", explanations(), ids=lambda e: e.code)
def test_every_code_says_what_to_do(explanation: Explanation) -> None:
    assert explanation.meaning.endswith(".")
    assert explanation.remedy, "a second paragraph of the class's docstring"
