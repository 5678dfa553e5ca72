"""Validation: declared validators as Polars expressions, and the rows that fail them."""

from __future__ import annotations

from collections.abc import Sequence
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


def failed(feature: Feature, frame: pl.DataFrame) -> tuple[Failure, ...]:
    """Every validator that does not hold. Raises InvalidDefinitions where one cannot be asked."""
    failing = _expressions(feature, frame.schema)
    if not failing:
        return ()
    try:
        masks = frame.lazy().select(failing).collect()
    except pl.exceptions.ComputeError as error:
        raise InvalidDefinitions(
            [f"{_where(feature)}: validators: {str(error).splitlines()[0]}"],
            hint="patterns are those of Rust's regex: no look-around, no back-references",
        ) from error
    return tuple(
        _failure(feature, frame, column, validator, mask)
        for (column, validator), mask in zip(feature.validators, masks, strict=True)
        if mask.any()
    )


def check(feature: Feature, frame: pl.DataFrame) -> None:
    """Raise ValidationFailed if a validator does not hold, with all that do not."""
    failures = failed(feature, frame)
    if failures:
        count = "1 validator fails" if len(failures) == 1 else f"{len(failures)} validators fail"
        lines = [
            f"{failure.column} {failure.validator}: {_rows(failure.count)}, "
            + "; ".join(failure.examples)
            for failure in failures
        ]
        raise ValidationFailed("\n  ".join([f"{feature.name}: {count}", *lines]))


def _expressions(feature: Feature, schema: pl.Schema) -> list[pl.Expr]:
    problems, expressions = list[str](), list[pl.Expr]()
    for index, (column, validator) in enumerate(feature.validators):
        unfit = [bound for bound in _bounds(validator) if not comparable(schema[column], bound)]
        if isinstance(validator, MatchesRegex) and not is_text(schema[column]):
            unfit = [validator.pattern]
        if unfit:
            problems.append(
                f"{_where(feature)}: validators: {column} is {schema[column]}, "
                f"which cannot be compared with {unfit[0]!r}"
            )
        else:
            fails = _fails(column, schema[column], validator)
            expressions.append(fails.fill_null(False).alias(str(index)))
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


def _failure(
    feature: Feature, frame: pl.DataFrame, column: str, validator: Validator, mask: pl.Series
) -> Failure:
    rows = mask.arg_true().head(_EXAMPLES).to_list()
    keys = [key for key in feature.keys if key != column and key in frame.columns]
    examples = []
    for row in rows:
        owner = "".join(f", {key} = {_short(frame[key][row])}" for key in keys)
        examples.append(f"{column} = {_short(frame[column][row])} (row {row + 1}{owner})")
    return Failure(column, str(validator), int(mask.sum()), tuple(examples))


def _short(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _rows(count: int) -> str:
    return "1 row fails" if count == 1 else f"{count} rows fail"


def _where(feature: Feature) -> str:
    return f"{feature.file}:{feature.line}: {feature.name}"
