"""Validators: the text that a manifest keeps of each."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest

from mlforge.definitions import validators as v


@pytest.mark.parametrize(
    ("validator", "text"),
    [
        (v.not_null(), "not_null"),
        (v.unique(), "unique"),
        (v.greater_than(0), "> 0"),
        (v.greater_than_or_equal(-1.5), ">= -1.5"),
        (v.less_than(date(2024, 2, 29)), "< datetime.date(2024, 2, 29)"),
        (v.less_than_or_equal(Decimal("1.50")), "<= Decimal('1.50')"),
        (v.greater_than("a"), "> 'a'"),
        (v.in_range(0, 1), "in [0, 1]"),
        (v.in_range(0, 1, inclusive=False), "in (0, 1)"),
        (v.matches_regex(r"\d+"), r"matches '\\d+'"),
        (v.is_in(["b", "a"]), "is in ['b', 'a']"),
        (v.is_in((True, 1)), "is in [True, 1]"),
    ],
)
def test_a_validator_is_its_text(validator: v.Validator, text: str) -> None:
    assert str(validator) == text
    assert v.problems_of("n", validator) == []


def test_equal_declarations_are_equal_values() -> None:
    assert v.in_range(0, 1) == v.in_range(0, 1) != v.in_range(0, 1, inclusive=False)
    assert v.greater_than(1) != v.greater_than_or_equal(1)


def test_a_set_of_values_has_one_text_in_every_process() -> None:
    code = "from mlforge import is_in; print(is_in({'a', 'b', 'c', 'd', 'e'}))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert texts == {"is in ['a', 'b', 'c', 'd', 'e']\n"}
