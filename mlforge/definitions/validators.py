"""Validators: what must hold for the rows that a feature's function returns."""

from __future__ import annotations

import re
from collections.abc import Collection, Set
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str | date | datetime | Decimal


class Operator(StrEnum):
    """How a value compares with a bound."""

    GREATER = ">"
    GREATER_EQUAL = ">="
    LESS = "<"
    LESS_EQUAL = "<="


@dataclass(frozen=True, slots=True)
class NotNull:
    """No null."""

    def __str__(self) -> str:
        return "not_null"


@dataclass(frozen=True, slots=True)
class Unique:
    """No value twice; nulls are ignored."""

    def __str__(self) -> str:
        return "unique"


@dataclass(frozen=True, slots=True)
class Compares:
    """Every value stands so to the bound; nulls pass, NaN fails."""

    operator: Operator
    bound: Scalar

    def __str__(self) -> str:
        return f"{self.operator} {self.bound!r}"


@dataclass(frozen=True, slots=True)
class InRange:
    """Every value lies between the bounds; nulls pass, NaN fails."""

    lowest: Scalar
    highest: Scalar
    inclusive: bool

    def __str__(self) -> str:
        left, right = ("[", "]") if self.inclusive else ("(", ")")
        return f"in {left}{self.lowest!r}, {self.highest!r}{right}"


@dataclass(frozen=True, slots=True)
class MatchesRegex:
    """The whole text matches; nulls pass."""

    pattern: str

    def __str__(self) -> str:
        return f"matches {self.pattern!r}"


@dataclass(frozen=True, slots=True)
class IsIn:
    """Every value is one of these; nulls pass."""

    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        return f"is in {list(self.values)!r}"


Validator: TypeAlias = NotNull | Unique | Compares | InRange | MatchesRegex | IsIn


def not_null() -> Validator:
    """No value is null; the only validator that a null fails."""
    return NotNull()


def unique() -> Validator:
    """No value twice among the function's rows; nulls are ignored."""
    return Unique()


def greater_than(bound: Scalar) -> Validator:
    """Every value is greater than the bound; a null passes, NaN fails."""
    return Compares(Operator.GREATER, bound)


def greater_than_or_equal(bound: Scalar) -> Validator:
    """Every value is at least the bound; a null passes, NaN fails."""
    return Compares(Operator.GREATER_EQUAL, bound)


def less_than(bound: Scalar) -> Validator:
    """Every value is less than the bound; a null passes, NaN fails."""
    return Compares(Operator.LESS, bound)


def less_than_or_equal(bound: Scalar) -> Validator:
    """Every value is at most the bound; a null passes, NaN fails."""
    return Compares(Operator.LESS_EQUAL, bound)


def in_range(min: Scalar, max: Scalar, inclusive: bool = True) -> Validator:
    """Every value lies between the bounds, or on them if inclusive; a null passes, NaN fails."""
    return InRange(min, max, inclusive)


def matches_regex(pattern: str) -> Validator:
    """The whole text matches the pattern, in the syntax of Polars; a null passes."""
    return MatchesRegex(pattern)


def is_in(values: Collection[Scalar]) -> Validator:
    """Every value is one of these; a null passes."""
    # A set has another order in each process, and the manifest keeps the order.
    return IsIn(tuple(sorted(values, key=repr) if isinstance(values, Set) else values))


def problems_of(column: str, validator: Validator) -> list[str]:
    """What is wrong with a declared validator, in the user's words."""
    match validator:
        case MatchesRegex(pattern):
            try:
                re.compile(pattern)
            except re.error as error:
                return [f"validators: {column}: the pattern {pattern!r} is wrong: {error}"]
        case InRange(lowest, highest):
            try:
                is_empty = lowest > highest  # type: ignore[operator]
            except TypeError:
                return [f"validators: {column}: {lowest!r} and {highest!r} cannot be compared"]
            if is_empty:
                return [f"validators: {column}: no value is {validator}"]
        case IsIn(()):
            return [f"validators: {column}: is_in needs at least one value"]
        case _:
            pass
    return []
