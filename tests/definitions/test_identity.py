"""Identity: what of a declaration is hashed, and what may change without a new hash."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlforge.definitions.entity import Entity
from mlforge.definitions.feature import Feature, feature, parse
from mlforge.definitions.identity import code_hash, config_hash, validators_text
from mlforge.definitions.rolling import Rolling
from mlforge.definitions.source import Source
from mlforge.definitions.validators import greater_than, is_in, not_null

GOLDEN = Path(__file__).parents[1] / "golden" / "hashes.json"
DEFAULT = {"source": "a.csv", "keys": ["user"], "timestamp": "at"}
ROLLED = {**DEFAULT, "interval": "1d", "metrics": [Rolling(["7d", "30d"], {"n": ["sum", "max"]})]}

Define = Callable[[str], Feature]


def spend(frame: object) -> object:
    return frame


def declared(**options: object) -> Feature:
    parsed, problems = parse(feature(**options)(spend))  # type: ignore[arg-type]
    assert parsed, problems
    return parsed


def config(**options: object) -> str:
    return str(config_hash(declared(**options)))


@pytest.fixture
def define(tmp_path: Path) -> Define:
    """A feature from the source of its function, as a file of the user's."""

    def defined(source: str) -> Feature:
        path = tmp_path / f"features_{len(list(tmp_path.iterdir()))}.py"
        path.write_text(f"import functools\nfrom mlforge import feature\n\n{source}\n")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        parsed, problems = parse(module.f)
        assert parsed, problems
        return parsed

    return defined


HEAD = '@feature(source="a.csv", keys=["user"])\n'
CODE = HEAD + "def f(df):\n    limit = 5\n    return df.filter(df.n > limit)\n"


def test_hashes_never_change(define: Define) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert config(**DEFAULT) == golden["config"]
    assert config(**ROLLED) == golden["config of metrics"]
    assert str(code_hash(define(CODE))) == golden["code"]


OTHER_CONFIG: list[dict[str, object]] = [
    {"keys": ["buyer"]},
    {"keys": ["user", "shop"]},
    {"keys": ["shop", "user"]},
    {"keys": None, "entities": [Entity("user", "user")]},
    {"timestamp": "seen"},
    {"timestamp": None},
    {"source": "b.csv"},
    {"source": Source("a.csv", schema={"n": "int64"})},
    {"source": Source("a.csv", format="parquet")},
    {"max_age": "30d"},
    {"date_is": "start"},
    {"tiebreak": ["n"]},
    {"interval": "1d", "metrics": [Rolling(["7d"], {"n": ["sum"]})]},
    {"interval": "1d", "metrics": [Rolling(["1w"], {"n": ["sum"]})]},
    {"interval": "1d", "metrics": [Rolling(["7d"], {"n": ["max"]})]},
    {"interval": "1d", "metrics": [Rolling(["7d"], {"m": ["sum"]})]},
    {"interval": "7d", "metrics": [Rolling(["7d"], {"n": ["sum"]})]},
]


def test_each_rule_of_a_declaration_is_in_its_configuration() -> None:
    hashes = [config(**{**DEFAULT, **options}) for options in [{}, *OTHER_CONFIG]]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(
    "options",
    [
        {"description": "What users spend"},
        {"owner": "growth"},
        {"tags": ["daily"]},
        {"validators": {"n": [not_null()]}},
        {"source": Source("a.csv", name="sales")},
        {"source": Source("a.csv", format="csv")},
        {"source": Path("a.csv")},
        {"engine": "polars", "timezone": "UTC"},
    ],
    ids=str,
)
def test_what_changes_no_result_is_not_in_it(options: dict[str, object]) -> None:
    assert config(**{**DEFAULT, **options}) == config(**DEFAULT)


def test_the_spelling_of_an_age_is_not_in_it() -> None:
    assert config(**DEFAULT, max_age="7d") == config(**DEFAULT, max_age="1w")


def test_validators_are_kept_as_text_in_declared_order() -> None:
    declaration = declared(
        **DEFAULT, validators={"n": [greater_than(0), not_null()], "a": [is_in("x")]}
    )
    assert validators_text(declaration) == [["n", "> 0"], ["n", "not_null"], ["a", "is in ['x']"]]


SAME_CODE = {
    "comments": HEAD + "def f(df):\n    # five\n    limit = 5  # at most\n"
    "    return df.filter(df.n > limit)\n",
    "a docstring": HEAD + 'def f(df):\n    """Those above."""\n    limit = 5\n'
    "    return df.filter(df.n > limit)\n",
    "formatting": HEAD + "def f( df ) :\n  limit=5\n\n  return df . filter((df.n>limit),)\n",
    "annotations": HEAD + "def f(df: 'Frame') -> 'Frame':\n    limit: int = 5\n"
    "    return df.filter(df.n > limit)\n",
    "an option": CODE.replace("keys=", 'description="x", keys='),
    "its line": "A = 1\n\n\n" + CODE,
    "its indentation": "if True:\n" + "".join(f"    {line}\n" for line in CODE.splitlines()),
}
OTHER_CODE = {
    "a constant": CODE.replace("5", "6"),
    "a float for an integer": CODE.replace("5", "5.0"),
    "an operator": CODE.replace(">", ">="),
    "a name": CODE.replace("df.n", "df.m"),
    "a text": CODE.replace("df.n", "df['n']"),
    "a default": CODE.replace("(df)", "(df, limit=5)", 1),
    "a line less": CODE.replace("    limit = 5\n", ""),
}


@pytest.mark.parametrize("what", SAME_CODE)
def test_what_changes_no_result_of_the_code_is_not_in_its_hash(define: Define, what: str) -> None:
    assert code_hash(define(SAME_CODE[what])) == code_hash(define(CODE))


@pytest.mark.parametrize("what", OTHER_CODE)
def test_what_may_change_a_result_is_in_its_hash(define: Define, what: str) -> None:
    assert code_hash(define(OTHER_CODE[what])) != code_hash(define(CODE))


def test_an_inner_functions_decorator_is_in_the_hash(define: Define) -> None:
    inner = HEAD + "def f(df):\n    DECORATED\n    def g(x): return x\n    return g(df)\n"
    cached, plain = inner.replace("DECORATED", "@functools.cache"), inner.replace("DECORATED", "")
    assert code_hash(define(cached)) != code_hash(define(plain))


def test_the_fields_of_an_inner_class_are_in_the_hash(define: Define) -> None:
    inner = HEAD + "def f(df):\n    class Row:\n        n: int\n    return df\n"
    assert code_hash(define(inner)) != code_hash(define(inner.replace("n: int", "n: float")))


def test_a_function_of_only_a_docstring_has_a_hash(define: Define) -> None:
    only = HEAD + 'def f(df):\n    """Nothing."""\n'
    assert code_hash(define(only)) == code_hash(define(HEAD + "def f(df):\n    pass\n"))


WITHOUT_SOURCE = """
from mlforge.definitions.feature import feature, parse
from mlforge.definitions.identity import code_hash
scope = {}
exec("def f(df):\\n    g = lambda x: x in {'a', 'b', 'c'}\\n    return g(df)", scope)
print(code_hash(parse(feature(source="a.csv", keys=["k"])(scope["f"]))[0]))
"""


def test_code_without_source_has_one_hash_in_every_process() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", WITHOUT_SOURCE],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(hashes) == 1
    assert hashes.pop().startswith("b3:")
