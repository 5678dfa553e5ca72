"""Plugins: what is loaded late, and the words when it cannot be."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from mlforge.engines.base import Engine
from mlforge.errors import ExtraMissing, InvalidInput
from mlforge.plugins import ENGINES, load_engine, load_module, package_version


@pytest.mark.parametrize("name", ENGINES)
def test_each_engine_in_the_table_can_be_loaded(name: str) -> None:
    engine: Engine = load_engine(name)  # type: ignore[assignment]
    assert callable(engine.run)


@pytest.mark.parametrize(("name", "hint"), [("polar", "did you mean polars?"), ("spark", "polars")])
def test_an_unknown_engine_is_refused_with_those_that_are(name: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=f"no engine is called '{name}'") as refused:
        load_engine(name)
    assert hint in str(refused.value.hint)
    assert refused.value.code != "MLF0000"


def test_a_missing_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_a_library.py").write_text("import a_library_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ExtraMissing, match="a_library_that_nobody_has is not installed") as refused:
        load_module("needs_a_library", "redis")
    assert refused.value.hint == 'pip install "mlforge[redis]"'


def test_a_module_that_needs_no_extra_fails_as_python_does() -> None:
    with pytest.raises(ModuleNotFoundError):
        load_module("mlforge.no_such_module", None)


def test_a_module_is_loaded_by_name() -> None:
    assert load_module("mlforge.ids", None) is importlib.import_module("mlforge.ids")


def test_a_package_has_a_version_or_none() -> None:
    assert package_version("blake3")
    assert package_version("a-package-that-nobody-has") is None
