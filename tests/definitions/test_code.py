"""Code: what a function reaches is in its hash; how it is written is not."""
# A variant a line reads best.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

import ast
import importlib
import json
import linecache
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from mlforge.definitions.code import Code, code_of
from mlforge.definitions.syntax import Reference, class_syntax

GOLDEN = Path(__file__).parents[1] / "golden" / "hashes.json"

FEATURES = """\
import math
from dataclasses import dataclass
from functools import cache, partial

import helpers
import polars as pl
from mlforge import feature
from helpers import shift as move

LIMIT = 5
RATES = {"DE": 0.19, "FR": 0.2}
LARGE = pl.col("n") > 100

@dataclass
class Scale:
    factor: float = 2.0

    def of(self, value):
        return value * self.factor

scale = Scale(3.0)

def closed(level):
    def inside(value):
        return value + level
    return inside

lifted = closed(7)

@cache
def deep(value):
    return deeper(value)

def deeper(value):
    return value if value > 1 else deep(value)

@feature(source="a.csv", keys=["user"])
def f(df, limit=LIMIT):
    kept = df.filter(LARGE, pl.col("n") > limit)
    total = [move(row) for row in kept if row]
    return helpers.weigh(total, RATES), scale.of(deep(2)), lifted(1), partial(deeper, 3)
"""
HELPERS = """\
import constants

def weigh(values, rates):
    return [value * constants.WEIGHT for value in values], rates

def shift(value, by=1):
    return value + by

def unused():
    return 1
"""
CONSTANTS = "WEIGHT = 10\nOTHER = 1\n"
FILES = {"features": FEATURES, "helpers": HELPERS, "constants": CONSTANTS}

Load = Callable[[Mapping[str, str]], Code]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """The code of `f` in a project of these files."""

    def loaded(files: Mapping[str, str]) -> Code:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        for name in FILES:
            monkeypatch.delitem(sys.modules, name, raising=False)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            return code_of(importlib.import_module("features").f)

    return loaded


def edited(file: str, old: str, new: str) -> dict[str, str]:
    assert old in FILES[file], old
    return {**FILES, file: FILES[file].replace(old, new)}


SAME = {
    "a comment": edited("features", "    kept =", "    # what is large\n    kept ="),
    "a docstring": edited("features", "    kept =", '    """Those above."""\n    kept ='),
    "a helper's docstring": edited("helpers", "    return value + by", '    "x"\n    return value + by'),
    "formatting": edited("features", "[move(row) for row in kept if row]", "[\n  move( row )\n for row in kept if (row)]"),
    "annotations": edited("features", "def f(df, limit=LIMIT):", "def f(df: pl.LazyFrame, limit: int = LIMIT) -> object:"),
    "a local's name": edited("features", "kept", "large"),
    "a comprehension's variable": edited("features", "move(row) for row in kept if row", "move(r) for r in kept if r"),
    "the parameter's name": {**FILES, "features": FEATURES.replace("def f(df,", "def f(frame,").replace("df.filter", "frame.filter")},
    "a helper's name": {name: text.replace("shift", "displace") for name, text in FILES.items()},
    "an import's name": edited("features", "import polars as pl", "import polars as pl, polars as p") ,
    "the order of imports": edited("features", "import helpers\nimport polars as pl\n", "import polars as pl\nimport helpers\n"),
    "where a helper is": {**FILES, "helpers": "from constants import *\nimport constants\n" + HELPERS.replace("import constants\n", "").replace("def shift(value, by=1):\n    return value + by\n", ""), "constants": CONSTANTS + "def shift(value, by=1):\n    return value + by\n"},
    "how a helper is imported": {**FILES, "features": FEATURES.replace("helpers.weigh", "weigh").replace("import helpers\n", "from helpers import weigh\n")},
    "an unused helper": edited("helpers", "return 1", "return 2"),
    "an unused constant": edited("constants", "OTHER = 1", "OTHER = 2"),
    "an option": edited("features", 'keys=["user"]', 'keys=["user"], description="x"'),
    "its line": edited("features", "LIMIT = 5", "\n\n\nLIMIT = 5"),
    "its indentation": edited("features", FEATURES[FEATURES.index("@feature"):], "if True:\n" + "".join(f"    {line}\n" for line in FEATURES[FEATURES.index("@feature"):].splitlines())),
    "pass": edited("features", "    total =", "    pass\n    total ="),
}
OTHER = {
    "the body": edited("features", "> limit", ">= limit"),
    "a global constant": edited("features", "LIMIT = 5", "LIMIT = 6"),
    "its type": edited("features", "LIMIT = 5", "LIMIT = 5.0"),
    "a value in a dictionary": edited("features", "0.19", "0.16"),
    "the order of a dictionary": edited("features", '"DE": 0.19, "FR": 0.2', '"FR": 0.2, "DE": 0.19'),
    "an expression": edited("features", "> 100", "> 101"),
    "a helper in another module": edited("helpers", "value + by", "value - by"),
    "a helper's default": edited("helpers", "by=1", "by=2"),
    "a helper's helper": edited("features", "value > 1", "value > 2"),
    "a constant of a helper's module": edited("constants", "WEIGHT = 10", "WEIGHT = 11"),
    "a closure's value": edited("features", "closed(7)", "closed(8)"),
    "a closure's code": edited("features", "value + level", "value - level"),
    "a field of an object": edited("features", "Scale(3.0)", "Scale(4.0)"),
    "a method": edited("features", "value * self.factor", "value / self.factor"),
    "a class's default": edited("features", "factor: float = 2.0", "factor: float = 2.5"),
    "a class's annotation": edited("features", "factor: float", "factor: int"),
    "an argument of a partial": edited("features", "partial(deeper, 3)", "partial(deeper, 4)"),
    "a text": edited("features", 'pl.col("n") > limit', 'pl.col("m") > limit'),
    "a decorator of a helper": edited("features", "@cache\n", ""),
    "a column's attribute": edited("features", "df.filter", "df.remove"),
    "another library function": edited("features", 'pl.col("n") > limit', 'pl.lit("n") > limit'),
    "parameters that change places": edited("helpers", "def weigh(values, rates)", "def weigh(rates, values)"),
    "a condition of a comprehension": edited("features", "in kept if row", "in kept if not row"),
}


@pytest.mark.parametrize("what", SAME)
def test_how_code_is_written_is_not_in_its_hash(load: Load, what: str) -> None:
    assert load(SAME[what]).hash == load(FILES).hash


@pytest.mark.parametrize("what", OTHER)
def test_what_code_reaches_is_in_its_hash(load: Load, what: str) -> None:
    assert load(OTHER[what]).hash != load(FILES).hash


def test_packages_that_code_reaches_are_named_and_not_in_its_hash(load: Load) -> None:
    assert load(FILES).packages == ("polars",)


def test_what_a_walk_cannot_follow_is_said_with_its_line(load: Load) -> None:
    seen = load(FILES)
    assert seen.unseen == ()
    blind = edited(
        "features",
        "    total =",
        "    open('a'), getattr(df, LIMIT), pl.read_csv('b')\n    total =",
    )
    assert [text.partition(": ")[2] for text in load(blind).unseen] == [
        "open reads a file",
        "getattr takes a computed attribute",
        "read_csv reads a file",
    ]


def body(lines: str) -> dict[str, str]:
    text = 'import helpers\nfrom mlforge import feature\n@feature(source="a", keys=["k"])\ndef f(df):\n'
    return {**FILES, "features": text + "".join(f"    {line}\n" for line in lines.splitlines())}


PAIRS = {
    "a local import": ("from helpers import shift\nreturn shift(df)", "helpers", "value + by"),
    "a module imported inside": ("import helpers as h\nreturn h.shift(df)", "helpers", "value + by"),
    "a module used as a whole": ("return getattr(helpers, df)", "helpers", "return 1"),
    "a constant through a module": ("return helpers.constants.WEIGHT", "constants", "10"),
    "a helper in a lambda": ("return (lambda x: helpers.shift(x))(df)", "helpers", "value + by"),
    "a helper in an inner class": ("class A:\n    b = helpers.shift\nreturn A", "helpers", "value + by"),
    "a helper as a decorator": ("@helpers.shift\ndef g(x): return x\nreturn g", "helpers", "value + by"),
    "a helper as a default": ("def g(x=helpers.shift): return x\nreturn g", "helpers", "value + by"),
    "a helper shadowed in a class": ("class A:\n    helpers = 1\n    def m(self): return helpers.shift(1)\nreturn A", "helpers", "value + by"),
}


@pytest.mark.parametrize("what", PAIRS)
def test_a_change_is_seen_through(load: Load, what: str) -> None:
    source, file, old = PAIRS[what]
    files = body(source)
    changed = {**files, file: files[file].replace(old, old + " + 1")}
    assert load(files).hash != load(changed).hash


DIFFERENT = [
    ("def g(a, b): return a - b\nreturn g(a=1, b=df)", "def g(b, a): return b - a\nreturn g(a=1, b=df)"),
    ("x = 1\ny = 2\nreturn x - y", "x = 1\ny = 2\nreturn y - x"),
    ("x = df\ndef g():\n    x = 1\n    return x\ng()\nreturn x", "x = df\ndef g():\n    nonlocal x\n    x = 1\n    return x\ng()\nreturn x"),
    ("return [x for x in df for y in x]", "return [y for x in df for y in x]"),
    ("x = 1\nreturn locals()", "y = 1\nreturn locals()"),
    ("x = 1\nreturn locals   ()", "y = 1\nreturn locals   ()"),
    ("x = 1\nreturn \N{FULLWIDTH LATIN SMALL LETTER L}ocals()", "y = 1\nreturn \N{FULLWIDTH LATIN SMALL LETTER L}ocals()"),
    ("return df, 1", "return df, True"),
    ("return df, 0.0", "return df, -0.0"),
    ("return df, 'a'", "return df, b'a'"),
    ("match df:\n    case {'a': x, **rest}: return x, rest", "match df:\n    case {'a': x, **rest}: return rest, x"),
    ("try: return df\nexcept OSError as e: return e", "try: return df\nexcept OSError as e: return df"),
    ("return f'{df!r:>4}'", "return f'{df!s:>4}'"),
    ("return df[1:2]", "return df[1:]"),
    ("return df(*df)", "return df(**df)"),
    ("async def g(): return 1\nreturn g", "def g(): return 1\nreturn g"),
    ("return df, not_there", "return df, neither_there"),
    ("class A:\n    x: int\nreturn A", "class A:\n    x: float\nreturn A"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_code_has_different_hashes(load: Load, one: str, other: str) -> None:
    assert load(body(one)).hash != load(body(other)).hash


EQUAL = [
    ("x = 1\nreturn x, df", "count = 1\nreturn count, df"),
    ("def g(): return 1\nreturn g()", "def one(): return 1\nreturn one()"),
    ("with df as a: return a", "with df as b: return b"),
    ("try: return df\nexcept OSError as e: return e", "try: return df\nexcept OSError as error: return error"),
    ("match df:\n    case {'a': x, **rest}: return x, rest", "match df:\n    case {'a': y, **others}: return y, others"),
    ("import math\nimport json\nreturn df", "import json\nimport math\nreturn df"),
    ("x: int = 1\nreturn x", "x = 1\nreturn x"),
    ("if (n := df): return n", "if (m := df): return m"),
    ("class A:\n    pass\nreturn A", "class B:\n    'Text.'\nreturn B"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_code_that_does_the_same_has_one_hash(load: Load, one: str, other: str) -> None:
    assert load(body(one)).hash == load(body(other)).hash


def test_a_file_that_changed_since_it_was_imported_is_not_taken_for_the_code(
    load: Load, tmp_path: Path
) -> None:
    before, other = load(FILES), load(OTHER["the body"])
    file = tmp_path / "features.py"
    file.write_text(FEATURES)
    compiled = compile(FEATURES, file, "exec")
    file.write_text(OTHER["the body"]["features"])
    scope: dict[str, object] = {"__name__": "features"}
    exec(compiled, scope)
    again = code_of(scope["f"])
    assert again.hash not in (before.hash, other.hash)
    assert "f has no source that is its own" in again.unseen[0]


def test_the_hash_of_code_never_changes(load: Load) -> None:
    assert (
        str(load(FILES | body("limit = 5\nreturn df.filter(df.n > limit)")).hash)
        == json.loads(GOLDEN.read_text())["code"]
    )


HELD = """\
import polars as pl
import helpers
UDF = pl.col("a").map_elements(helpers.shift, return_dtype=pl.Int64)
LAMBDA = pl.col("a").map_elements(lambda value: value + 1, return_dtype=pl.Int64)
def f(df):
    return df.select(UDF)
"""
HELD_FILES = {**FILES, "features": HELD}


@pytest.mark.filterwarnings("ignore::polars.exceptions.PolarsInefficientMapWarning")
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("helpers", "value + by", "value - by"),
        ("helpers", "by=1", "by=2"),
        ("features", "select(UDF)", "select(LAMBDA)"),
        ("features", "helpers.shift", "helpers.unused"),
    ],
)
def test_a_python_function_in_an_expression_is_seen(
    load: Load, file: str, old: str, new: str
) -> None:
    code = load(HELD_FILES)
    assert load({**HELD_FILES, file: HELD_FILES[file].replace(old, new)}).hash != code.hash
    assert load(HELD_FILES).hash == code.hash
    assert "what the Python function closes over" in code.unseen[0]


@pytest.mark.filterwarnings("ignore::polars.exceptions.PolarsInefficientMapWarning")
def test_a_lambda_in_an_expression_is_seen_wherever_the_project_lies(load: Load) -> None:
    files = {**HELD_FILES, "features": HELD.replace("select(UDF)", "select(LAMBDA)")}
    changed = {**files, "features": files["features"].replace("value + 1", "value + 2")}
    assert load(files).hash == load(files).hash != load(changed).hash


@pytest.mark.parametrize("made", ["HERE", "str(HERE)", "(str(HERE), 1)", "[HERE]"])
def test_where_the_project_lies_is_not_in_the_hash(load: Load, made: str) -> None:
    text = (
        "from pathlib import Path\nHERE = Path(__file__).parent / 'rates.csv'\n"
        f"RATES = {made}\ndef f(df):\n    return df, RATES\n"
    )
    code = load({**FILES, "features": text})
    assert load({**FILES, "features": text}).hash == code.hash
    assert load({**FILES, "features": text.replace("rates", "prices")}).hash != code.hash


ANYWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
import features
from mlforge.definitions.code import code_of
scope = {}
exec("def g(df):\\n    return {'a', 'b', 'c'}, (lambda x: x in {'a', 'b'})", scope)
print(code_of(features.f).hash, code_of(scope["g"]).hash)
"""


def test_code_has_one_hash_in_every_process(tmp_path: Path) -> None:
    hashes = set()
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        text = FEATURES.replace("LIMIT = 5", "LIMIT = 5\nNAMES = {'x', 'y', 'z'}")
        for name, source in {**FILES, "features": text.replace("limit)", "limit, NAMES)")}.items():
            (folder / f"{name}.py").write_text(source)
        done = subprocess.run(
            [sys.executable, "-c", ANYWHERE, str(folder)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(done.stdout)
    assert len(hashes) == 1


def test_names_that_a_class_binds_in_any_statement_are_its_own() -> None:
    tree = ast.parse("class A:\n    if True:\n        x = 1\n    y = x\n")
    found = class_syntax([node for node in tree.body if isinstance(node, ast.ClassDef)])
    assert [part.name for part in found.parts if isinstance(part, Reference)] == []


def test_code_that_is_loaded_again_is_compared_with_its_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of a file must not outlive a change of it, or of a loaded function's code."""
    path = tmp_path / "kept.py"
    text = "def f(df):\n    return df + 1\n"

    def loaded(run: str) -> Code:
        module = ModuleType("kept_module")
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, "kept_module", module)
        exec(compile(run, str(path), "exec"), vars(module))
        return code_of(module.f)

    path.write_text(text)
    first = loaded(text)
    assert loaded(text) == first
    assert not first.unseen
    # The file has another constant than the code that runs.
    stale = loaded(text.replace("1", "2"))
    assert stale.hash != first.hash
    assert "no source that is its own" in stale.unseen[0]
    path.write_text(text.replace("+ 1", "+ 22"))
    linecache.checkcache()
    assert loaded(text).unseen
    assert not loaded(text.replace("+ 1", "+ 22")).unseen
    assert loaded(text.replace("+ 1", "+ 22")).hash not in (first.hash, stale.hash)
