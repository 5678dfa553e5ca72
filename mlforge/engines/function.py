"""Function: the user's function called on its source, and its failures told as the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import polars as pl

from mlforge.batches import batches
from mlforge.definitions.feature import Feature
from mlforge.engines import frames, scan
from mlforge.engines.base import SourceFiles
from mlforge.engines.blame import Missing, missing_column, place_of
from mlforge.engines.surrogate import surrogate_key
from mlforge.engines.told import told
from mlforge.errors import (
    ColumnNotFound,
    FunctionFailed,
    MlforgeError,
    SourceUnreadable,
    did_you_mean,
)

# What only a DataFrame, or only a LazyFrame, cannot do shows as one of these.
_WRONG_FRAME = (AttributeError, TypeError)
# Enough that what is done once a batch costs nothing, and little beside what an engine sorts in:
# so many rows at most, and so many values of all columns.
_BATCH_ROWS, _BATCH_VALUES = 1 << 18, 1 << 22
_MOST_LISTED = 20


def output_of(feature: Feature, files: SourceFiles) -> pl.LazyFrame:
    """What the function returns, lazily if the function is lazy; any Arrow frame will do.

    Raises FunctionFailed, SourceUnreadable, and ColumnNotFound where a declared column is missing.
    """
    with _reading(feature):
        source = scan.scan(files)
    with told(feature), failures(feature, files):
        output = _called(feature, source)
        if not isinstance(output, pl.LazyFrame | pl.DataFrame) and frames.speaks_arrow(output):
            output = frames.collected(output)
    if not isinstance(output, pl.LazyFrame | pl.DataFrame):
        raise FunctionFailed(
            f"{feature.name} returned {_kind(output)}, not a frame",
            cause=f"{feature.file}:{feature.line}",
            hint="return a pl.LazyFrame, or any Arrow frame, at the end of the function",
        )
    lazy = output.lazy()
    lazy = _with_surrogates(feature, lazy, schema_of(feature, files, lazy))
    _check_columns(feature, schema_of(feature, files, lazy))
    return lazy


def _with_surrogates(feature: Feature, output: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
    """The output with the keys that are made of its columns; one that is there already stays."""
    made = [surrogate for surrogate in feature.surrogates if surrogate.key not in schema]
    _refuse_missing(feature, [column for s in made for column in s.columns], schema)
    return output.with_columns(surrogate_key(*s.columns).alias(s.key) for s in made)


def schema_of(feature: Feature, files: SourceFiles, output: pl.LazyFrame) -> pl.Schema:
    with failures(feature, files):
        return output.collect_schema()


def collected(
    feature: Feature, files: SourceFiles, output: pl.LazyFrame, columns: Iterable[str]
) -> pl.DataFrame:
    """These columns of the output, computed."""
    with failures(feature, files):
        return output.select(list(columns)).collect()


def batches_of(
    feature: Feature, files: SourceFiles, output: pl.LazyFrame, columns: Iterable[str]
) -> Iterator[pl.DataFrame]:
    """These columns of the output, computed and handed out in the order of its rows."""
    names = list(columns)
    rows = min(_BATCH_ROWS, max(1 << 10, _BATCH_VALUES // max(1, len(names))))
    parts = batches(output.select(names), rows)
    while True:
        with failures(feature, files):
            batch = next(parts, None)
        if batch is None:
            return
        yield batch


@contextmanager
def failures(feature: Feature, files: SourceFiles) -> Iterator[None]:
    """Errors of the user's code, and of Polars in it, as FunctionFailed or SourceUnreadable."""
    try:
        yield
    except (Exception, SystemExit, pl.exceptions.PanicException) as error:
        if isinstance(error, MlforgeError):
            raise
        missing = missing_column(error)
        with _reading(feature):
            if missing is not None:
                raise _misses(feature, files, error, missing) from error
            # A lazy frame reads its source late: the source is to blame if it fails on its own.
            scan.check_readable(files, error)
        kind, text = type(error).__name__, str(error).strip().split("\n\n")[0]
        raise FunctionFailed(
            f"{feature.name} failed at {place_of(feature, error)}",
            cause=f"{kind}: {text}" if text else kind,
        ) from error


def _misses(
    feature: Feature, files: SourceFiles, error: BaseException, missing: Missing
) -> FunctionFailed:
    has = missing.columns
    owner = "the source" if has is None else "it"
    found = scan.scan(files).collect_schema().names() if has is None else has
    return FunctionFailed(
        f"{feature.name} failed at {place_of(feature, error)}",
        cause=f"there is no column {missing.column}; {owner} has: {_listed(found)}",
        hint=did_you_mean(missing.column, found),
    )


@contextmanager
def _reading(feature: Feature) -> Iterator[None]:
    """A source that cannot be read is told with the feature that reads it."""
    try:
        yield
    except SourceUnreadable as error:
        message = f"{feature.name}: {error.message}"
        raise SourceUnreadable(message, cause=error.cause, hint=error.hint) from error


def _called(feature: Feature, source: pl.LazyFrame) -> object:
    function: Callable[..., object] = feature.function
    _check_parameters(feature)
    try:
        return function(source)
    except _WRONG_FRAME as error:
        try:
            return function(source.collect())
        except AttributeError as eager_error:
            # Code for lazy frames only: its own mistake is the first one.
            lacks, name = eager_error.obj, eager_error.name or ""
            if isinstance(lacks, pl.DataFrame) and hasattr(source, name):
                raise error from None
            raise


def _check_parameters(feature: Feature) -> None:
    try:
        signature = inspect.signature(feature.function)
    except ValueError:
        return  # Of a function in C nothing is known.
    try:
        signature.bind(None)
    except TypeError as error:
        raise FunctionFailed(
            f"{feature.name} failed at {feature.file}:{feature.line}",
            cause=f"{feature.name}{signature} is called with one frame, the source: {error}",
            hint=f"def {feature.name}(df): ...",
        ) from error


def _check_columns(feature: Feature, schema: pl.Schema) -> None:
    declared = [
        *feature.order,
        *(metric.column for metric in feature.metrics),
        *(column for column, _ in feature.validators),
        *feature.tiebreak,
    ]
    _refuse_missing(feature, declared, schema)


def _refuse_missing(feature: Feature, declared: Iterable[str], schema: pl.Schema) -> None:
    missing = [name for name in dict.fromkeys(declared) if name not in schema]
    if missing:
        word = "column" if len(missing) == 1 else "columns"
        raise ColumnNotFound(
            f"the output of {feature.name} has no {word} {', '.join(missing)}",
            cause=f"it has: {_listed(schema)}",
            hint=did_you_mean(missing[0], schema),
        )


def _listed(names: Iterable[str]) -> str:
    """Names of columns for a message, not hundreds of them."""
    known = [*names]
    more = f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
    return ", ".join(known[:_MOST_LISTED]) + more or "none"


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
