"""Lightness: importing mlforge, and asking for help, loads no heavy library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mlforge
from tests.shop import Shop

HEAVY = ("polars", "duckdb", "pyarrow", "numpy", "pandas", "redis", "dulwich.porcelain")


def loaded_by(code: str) -> set[str]:
    """The modules that a new interpreter has after running `code`."""
    ending = "\nimport sys as _sys; print('\\nMODULES', *_sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code + ending], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import mlforge",
        "import mlforge; dir(mlforge)",
        "from mlforge import Entity, Rolling, Source, feature, not_null, errors, types",
    ],
)
def test_importing_mlforge_is_light(code: str) -> None:
    assert loaded_by(code).isdisjoint(HEAVY)


def test_importing_mlforge_waits_for_no_logging_and_no_html() -> None:
    code = "import mlforge; mlforge.__all__; dir(mlforge); from mlforge import feature, Rolling"
    assert loaded_by(code).isdisjoint({"logging", "html", "mlforge.logger", "mlforge.api"})


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["build", "--help"]])
def test_asking_for_help_is_light(arguments: list[str]) -> None:
    code = (
        f"import runpy, sys\nsys.argv = ['mlforge', *{arguments}]\n"
        "try:\n    runpy.run_module('mlforge', run_name='__main__')\nexcept SystemExit:\n    pass\n"
    )
    assert loaded_by(code).isdisjoint(HEAVY)


# What a pipe needs none of: colours, JSON, git and the versions of packages.
LATE = ("rich", "msgspec", "importlib.metadata", "dulwich", "blake3", "mlforge.api")


def test_asking_for_help_in_a_pipe_loads_only_what_help_needs() -> None:
    assert run_by(["--help"]).isdisjoint((*HEAVY, *LATE))


@pytest.mark.parametrize(
    "arguments",
    [
        ["log"],
        ["list"],
        ["show", "user_profile"],
        ["versions", "user_profile"],
        ["manifest"],
        ["manifest", "--regenerate"],
        ["verify", "--quick"],
        ["explain", "MLF0702"],
    ],
)
def test_a_command_that_reads_no_rows_is_light(shop: Shop, arguments: list[str]) -> None:
    shop.mlforge("build", "-f", "user_profile")
    modules = run_by(["-C", str(shop.root), *arguments])
    assert modules.isdisjoint((*HEAVY, "rich"))
    assert "mlforge.definitions.feature" not in modules


ODD = """
import mlforge as mlf

@mlf.feature(source="odd.parquet", keys=["k"], timestamp="t")
def odd(rows):
    return rows
"""
ODD_TRAINING = """
import os, sys
from datetime import UTC, datetime
os.chdir(sys.argv[1])
sys.path.insert(0, "")
import mlforge as mlf, odd, polars as pl
store = mlf.Definitions(name="odd", features=[odd])
times = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
if sys.argv[2] == "build":
    numbers = {"n": [-0.0, float("nan"), None], "is_new": [True, None, False]}
    others = {"text": ["x", None, ""], "tags": [["x"], None, []]}
    rows = pl.DataFrame({"k": ["a", "a", "b"], "t": times, **numbers, **others})
    rows.write_parquet("odd.parquet")
    store.build()
else:
    spine = pl.DataFrame({"k": ["a", "c", None], "t": times})
    training = store.get_training_data(spine, ["odd"], timestamp="t")
    assert training["tags"].to_list() == [["x"], None, None]
"""


def test_training_leaves_pandas_alone(shop: Shop) -> None:
    """It takes longer to import than many joins; here only tests have it."""
    (shop.root / "odd.py").write_text(ODD)
    begin = f"import sys; sys.argv = ['', {str(shop.root)!r}, %r]\n{ODD_TRAINING}"
    loaded_by(begin % "build")
    assert "pandas" not in loaded_by(begin % "train")


def run_by(arguments: list[str]) -> set[str]:
    """The modules of a process that ran `mlforge ARGUMENTS`."""
    return loaded_by(
        f"import runpy, sys\nsys.argv = ['mlforge', *{arguments}]\n"
        "try:\n    runpy.run_module('mlforge', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
    )


def test_help_is_printed_by_the_module() -> None:
    command = [sys.executable, "-m", "mlforge", "--help"]
    assert "Usage" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", mlforge.__all__)
def test_each_public_name_resolves_and_is_documented(name: str) -> None:
    assert getattr(mlforge, name).__doc__


def test_what_is_public_is_what_type_checkers_see() -> None:
    tree = ast.parse(Path(mlforge.__file__).read_text())
    seen = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert sorted(seen) == sorted(mlforge.__all__) == dir(mlforge)


def test_a_public_name_comes_from_where_type_checkers_look() -> None:
    tree = ast.parse(Path(mlforge.__file__).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mlforge."):
            for alias in node.names:
                assert getattr(mlforge, alias.name).__module__ == node.module


def test_the_version_is_the_installed_packages(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "mlforge", "--version"], capture_output=True, text=True, check=True
    )
    assert f"mlforge {mlforge.__version__}\n" == told.stdout
    assert "importlib.metadata" not in loaded_by("import mlforge")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'mlforge' has no attribute 'nonsense'"):
        mlforge.nonsense  # noqa: B018
