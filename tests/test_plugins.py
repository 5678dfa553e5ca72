"""Plugins: what is loaded late, and the words when it cannot be."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mlforge as mlf
from mlforge.engines.base import Engine
from mlforge.engines.polars import PolarsEngine
from mlforge.errors import ExtraMissing, InvalidDefinitions, InvalidInput
from mlforge.plugins import ENGINES, ENGINES_GROUP, load_engine, load_module, package_version
from tests.shop import Shop


@pytest.mark.parametrize("name", ENGINES)
def test_each_engine_in_the_table_can_be_loaded(name: str) -> None:
    engine: Engine = load_engine(name)  # type: ignore[assignment]
    assert callable(engine.run)


@pytest.mark.parametrize("name", [name for name in ENGINES if ENGINES[name][2]])
def test_an_engine_without_its_library_says_what_to_install(name: str) -> None:
    blocked = f"import sys; sys.modules[{ENGINES[name][2]!r}] = None\n"
    load = f"from mlforge.plugins import load_engine; load_engine({name!r})"
    done = subprocess.run([sys.executable, "-c", blocked + load], capture_output=True, text=True)
    assert f"ExtraMissing: {name} is not installed\n" in done.stderr
    assert done.stderr.endswith(f'hint: pip install "mlforge[{ENGINES[name][2]}]"\n')


@pytest.mark.parametrize(
    ("name", "hint"), [("polar", "did you mean polars?"), ("spark", "there are: duckdb, polars")]
)
def test_an_unknown_engine_is_refused_with_those_that_are(name: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=f"no engine is called '{name}'") as refused:
        load_engine(name)
    assert refused.value.cause == "there are: duckdb, polars"
    assert refused.value.hint == hint
    with pytest.raises(InvalidDefinitions, match=f"default_engine: no engine is called '{name}'"):
        mlf.Definitions(name="shop", features=[], default_engine=name)


# Engines of other packages: a distribution as pip installs it, in a folder on the path.

ENGINE = """\
from mlforge.engines.polars import PolarsEngine

class QuickEngine(PolarsEngine):
    name = "quick"
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Installs a package of a name, with a module `quickly` and an entry point."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package: str, point: str, module: str) -> None:
        info = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{ENGINES_GROUP}]\n{point}\n")
        (tmp_path / "quickly.py").write_text(module)
        monkeypatch.delitem(sys.modules, "quickly", raising=False)

    return install


Install = Callable[[str, str, str], None]


def test_a_package_may_bring_an_engine(install: Install, shop: Shop) -> None:
    install("mlforge-quick", "quick = quickly:QuickEngine", ENGINE)
    shop.edit("import mlforge as mlf", "import sys, mlforge as mlf")
    (shop.root / "features.py").write_text(
        (shop.root / "features.py").read_text()
        + 'defs = mlf.Definitions(name="shop", features=[sys.modules[__name__]],\n'
        '                       default_engine="quick")\n'
    )
    shop.mlforge("build")
    assert type(load_engine("quick")).__name__ == "QuickEngine"


def test_a_built_in_engine_is_not_looked_up(install: Install) -> None:
    install("mlforge-quick", "polars = quickly:QuickEngine", ENGINE)
    assert type(load_engine("polars")) is PolarsEngine
    loaded = "import sys; from mlforge.plugins import check_engine; check_engine('polars')"
    check = f"{loaded}; assert 'importlib.metadata' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_an_unknown_engine_is_told_with_those_of_packages(install: Install) -> None:
    install("mlforge-quick", "quick = quickly:QuickEngine", ENGINE)
    with pytest.raises(InvalidInput) as refused:
        load_engine("quik")
    assert refused.value.cause == "there are: duckdb, polars, quick"
    assert refused.value.hint == "did you mean quick?"


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        ("import a_library_that_nobody_has\n", "No module named 'a_library_that_nobody_has'"),
        ("", "module 'quickly' has no attribute 'QuickEngine'"),
    ],
)
def test_a_packages_engine_that_cannot_be_loaded_is_told(
    install: Install, module: str, cause: str
) -> None:
    install("mlforge-quick", "quick = quickly:QuickEngine", module)
    with pytest.raises(ExtraMissing, match="the engine quick of mlforge-quick cannot") as refused:
        load_engine("quick")
    assert refused.value.cause == cause
    assert refused.value.hint == "pip install --upgrade mlforge-quick"


def test_two_packages_cannot_bring_engines_of_one_name(install: Install) -> None:
    install("mlforge-quick", "quick = quickly:QuickEngine", ENGINE)
    install("mlforge-quicker", "quick = quickly:OtherEngine", ENGINE)
    with pytest.raises(InvalidInput, match="several packages bring an engine 'quick'") as refused:
        load_engine("quick")
    assert refused.value.cause == "quickly:OtherEngine, quickly:QuickEngine"


def test_a_missing_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_a_library.py").write_text("import a_library_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ExtraMissing, match="a_library_that_nobody_has is not installed") as refused:
        load_module("needs_a_library", "redis")
    assert refused.value.hint == 'pip install "mlforge[redis]"'


@pytest.mark.parametrize("extra", [None, "redis"])
def test_a_module_of_ours_that_is_not_there_fails_as_python_does(extra: str | None) -> None:
    with pytest.raises(ModuleNotFoundError):
        load_module("mlforge.no_such_module", extra)


def test_a_module_is_loaded_by_name() -> None:
    assert load_module("mlforge.ids", None) is importlib.import_module("mlforge.ids")


def test_a_package_has_a_version_or_none() -> None:
    assert package_version("blake3")
    assert package_version("a-package-that-nobody-has") is None
