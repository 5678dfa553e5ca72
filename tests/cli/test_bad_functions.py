"""Functions that fail: one error, with the user's line, the column and what there is instead."""

from __future__ import annotations

import re

import pytest

from tests.shop import Shop

HEAD = """\
import sys
import mlforge as mlf
import polars as pl

def cleaned(df):
    return df.filter(pl.col("contry").is_not_null())

def strict(df):
    raise LookupError("no such shop")

@mlf.feature(keys=["user_id"], source="data/users.csv", validators={"country": [mlf.not_null()]})
"""
# The feature, the text of the line that is to be named, and what the error must say.
CASES = {
    "a misspelt column": (
        "def odd(df):\n    return df.select(\n        'user_id',\n        'contry')",
        "'contry')",
        ("there is no column contry; it has: user_id, country", "did you mean country?"),
    ),
    "a misspelt column of a DataFrame": (
        "def odd(df):\n    first = df['user_id']\n    return df[['contry']]",
        "return df[['contry']]",
        ("no column contry; the source has: user_id, country", "did you mean country?"),
    ),
    "a misspelt column in a helper": (
        "def odd(df):\n    return cleaned(df)",
        'return df.filter(pl.col("contry").is_not_null())',
        ("there is no column contry; it has: user_id, country", "did you mean country?"),
    ),
    "an error in a helper": (
        "def odd(df):\n    return strict(df)",
        'raise LookupError("no such shop")',
        ("LookupError: no such shop",),
    ),
    "an error of its own": (
        "def odd(df):\n    x = 1\n    raise RuntimeError('mine')",
        "raise RuntimeError('mine')",
        ("RuntimeError: mine",),
    ),
    "an exit": ("def odd(df):\n    sys.exit('bye')", "sys.exit('bye')", ("SystemExit: bye",)),
    "no return": ("def odd(df):\n    df", None, ("odd returned None, not a frame",)),
    "a dict": ("def odd(df):\n    return {}", None, ("odd returned a dict, not a frame",)),
    "a list": ("def odd(df):\n    return [df]", None, ("odd returned a list, not a frame",)),
    "a column": (
        "def odd(df):\n    return df.collect()['user_id']",
        None,
        ("odd returned a polars.series.series.Series, not a frame",),
    ),
    "two parameters": ("def odd(df, other):\n    return df", None, ("odd(df, other) is called",)),
    "no parameter": ("def odd():\n    return 1", None, ("odd() is called with one frame",)),
    "no key": (
        "def odd(df):\n    return df.select('country')",
        None,
        ("the output of odd has no column user_id", "it has: country"),
    ),
}  # fmt: skip


def place(source: str, line: str) -> str:
    return f"features.py:{1 + [text.strip() for text in source.splitlines()].index(line)}"


@pytest.mark.parametrize("command", ["build", "validate"])
@pytest.mark.parametrize("what", CASES)
def test_a_function_that_fails_is_one_clear_error(shop: Shop, what: str, command: str) -> None:
    function, line, words = CASES[what]
    (shop.root / "features.py").write_text(HEAD + function + "\n")
    done = shop.run(command)
    assert done.returncode == 1
    assert re.findall(r"^error\[(\w+)\]", done.stderr, re.M) in (["MLF0403"], ["MLF0303"])
    assert "Traceback" not in done.stdout + done.stderr
    where = [] if line is None else [place(HEAD + function, line)]
    missing = [word for word in (*words, *where) if word not in done.stderr]
    assert not missing, done.stderr


def test_a_source_that_has_lost_a_column_is_told_with_the_line(shop: Shop) -> None:
    shop.mlforge("build")
    (shop.root / "data/users.csv").write_text("user_id,land\na,DE\n")
    done = shop.run("build")
    source = (shop.root / "features.py").read_text()
    assert done.returncode == 1
    assert place(source, 'return df.select("user_id", "country")') in done.stderr
    assert "there is no column country; it has: user_id, land" in done.stderr
    assert "Traceback" not in done.stderr
