"""Validation: declared validators as Polars expressions, and the rows that fail them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import assert_never

import polars as pl

from mlforge.definitions.feature import Feature
from mlforge.definitions.validators import (
    Compares,
    InRange,
    IsIn,
    MatchesRegex,
    NotNull,
    Operator,
    Scalar,
    Unique,
    Validator,
)
from mlforge.engines.base import Failure
from mlforge.engines.comparison import comparable, equals, holds, is_text
from mlforge.errors import InvalidDefinitions, ValidationFailed

_EXAMPLES = 3


class Validation:
    """A feature's validators, asked of its rows batch by batch.

    Raises InvalidDefinitions where one cannot be asked.
    """

    def __init__(self, feature: Feature, schema: pl.Schema) -> None:
        self._feature = feature
        self._asked = _expressions(feature, schema)
        self._found: dict[int, Failure] = {}
        self._rows = 0

    @property
    def columns(self) -> list[str]:
        """What is asked, and by what a row is told."""
        asked = (column for column, _ in self._feature.validators)
        return list(dict.fromkeys([*self._feature.keys, *asked]))

    @property
    def uniques(self) -> list[tuple[int, str]]:
        """The validators that one batch cannot answer: number and column."""
        declared = enumerate(self._feature.validators)
        return [(number, column) for number, (column, v) in declared if isinstance(v, Unique)]

    def take(self, frame: pl.DataFrame, *, is_all: bool) -> None:
        """Ask the next rows; `unique` only if these are all rows."""
        left = set[int]() if is_all else {number for number, _ in self.uniques}
        asked = [self._asked[n].alias(str(n)) for n in range(len(self._asked)) if n not in left]
        for mask in self._masks(frame, asked) if asked else ():
            if mask.any():
                rows = mask.arg_true()
                first = frame[rows.head(_EXAMPLES)]
                self.add(int(mask.name), len(rows), first, [*(rows.head(_EXAMPLES) + self._rows)])
        self._rows += len(frame)

    def add(self, number: int, count: int, first: pl.DataFrame, rows: Sequence[int]) -> None:
        """So many more rows fail the validator of this number; the first of them, and where."""
        column, validator = self._feature.validators[number]
        known = self._found.get(number, Failure(column, str(validator), 0, ()))
        examples = (*known.examples, *_examples(self._feature, column, first, rows))[:_EXAMPLES]
        self._found[number] = replace(known, count=known.count + count, examples=examples)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Every validator that does not hold, in declared order."""
        return tuple(self._found[number] for number in sorted(self._found))

    def check(self) -> None:
        """Raise ValidationFailed if a validator does not hold, with all that do not."""
        if self._found:
            failures = self.failures
            one = "1 validator fails"
            count = one if len(failures) == 1 else f"{len(failures)} validators fail"
            lines = [
                f"{failure.column} {failure.validator}: {_counted(failure.count)}, "
                + "; ".join(failure.examples)
                for failure in failures
            ]
            raise ValidationFailed("\n  ".join([f"{self._feature.name}: {count}", *lines]))

    def _masks(self, frame: pl.DataFrame, asked: Sequence[pl.Expr]) -> pl.DataFrame:
        try:
            return frame.lazy().select(asked).collect()
        except pl.exceptions.ComputeError as error:
            raise InvalidDefinitions(
                [f"{_where(self._feature)}: validators: {str(error).splitlines()[0]}"],
                hint="patterns are those of Rust's regex: no look-around, no back-references",
            ) from error


def _expressions(feature: Feature, schema: pl.Schema) -> list[pl.Expr]:
    problems, expressions = list[str](), list[pl.Expr]()
    for column, validator in feature.validators:
        unfit = [bound for bound in _bounds(validator) if not comparable(schema[column], bound)]
        if isinstance(validator, MatchesRegex) and not is_text(schema[column]):
            unfit = [validator.pattern]
        if unfit:
            problems.append(
                f"{_where(feature)}: validators: {column} is {schema[column]}, "
                f"which cannot be compared with {unfit[0]!r}"
            )
        else:
            expressions.append(_fails(column, schema[column], validator).fill_null(False))
    if problems:
        raise InvalidDefinitions(problems)
    return expressions


def _fails(name: str, dtype: pl.DataType, validator: Validator) -> pl.Expr:
    """Whether a row fails; null where the value is null, but for not_null."""
    match validator:
        case NotNull():
            return pl.col(name).is_null()
        case Unique():
            return pl.col(name).is_not_null() & pl.col(name).is_duplicated()
        case Compares(operator, bound):
            return ~holds(name, dtype, operator, bound)
        case InRange(lowest, highest, inclusive):
            above = Operator.GREATER_EQUAL if inclusive else Operator.GREATER
            below = Operator.LESS_EQUAL if inclusive else Operator.LESS
            return ~(holds(name, dtype, above, lowest) & holds(name, dtype, below, highest))
        case MatchesRegex(pattern):
            return ~pl.col(name).cast(pl.String).str.contains(rf"\A(?:{pattern})\z")
        case IsIn(values):
            return ~pl.any_horizontal([equals(name, dtype, value) for value in values])
        case _:
            assert_never(validator)


def _bounds(validator: Validator) -> Sequence[Scalar]:
    match validator:
        case Compares(_, bound):
            return (bound,)
        case InRange(lowest, highest):
            return (lowest, highest)
        case IsIn(values):
            return values
        case _:
            return ()


def _examples(
    feature: Feature, column: str, first: pl.DataFrame, rows: Sequence[int]
) -> Iterator[str]:
    keys = [key for key in feature.keys if key != column and key in first.columns]
    for row, values in zip(rows, first.iter_rows(named=True), strict=True):
        owner = "".join(f", {key} = {_short(values[key])}" for key in keys)
        yield f"{column} = {_short(values[column])} (row {row + 1}{owner})"


def _short(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _counted(count: int) -> str:
    return "1 row fails" if count == 1 else f"{count} rows fail"


def _where(feature: Feature) -> str:
    return f"{feature.file}:{feature.line}: {feature.name}"
