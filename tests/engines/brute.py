"""Brute: windows in plain loops and fractions, to compare engines with; and small features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import polars as pl

from mlforge.definitions.feature import Feature, feature, parse
from mlforge.engines.base import Engine, Failure, SourceFiles
from mlforge.engines.duckdb import DuckDBEngine
from mlforge.engines.polars import PolarsEngine
from mlforge.errors import MlforgeError
from mlforge.testing import engines
from mlforge.testing.engines import Built

Row = tuple[object, ...]
Result = TypeVar("Result")
ENGINES: list[Engine] = [PolarsEngine(), DuckDBEngine()]


def identity(df: pl.LazyFrame) -> pl.LazyFrame:
    return df


def declared(function: Callable[..., object] = identity, **options: object) -> Feature:
    function.__name__ = "f"
    defaults: Mapping[str, object] = {"source": "events.parquet", "keys": ["k"], "timestamp": "t"}
    parsed, problems = parse(feature(**{**defaults, **options})(function))  # type: ignore[arg-type]
    assert parsed is not None, problems
    return parsed


def parquet(tmp_path: Path, frame: pl.DataFrame) -> SourceFiles:
    path = tmp_path / "events.parquet"
    frame.write_parquet(path)
    return SourceFiles((path,), "parquet", {})


def csv(tmp_path: Path, text: str, **schema: object) -> SourceFiles:
    path = tmp_path / "events.csv"
    path.write_text(text)
    return SourceFiles((path,), "csv", schema)  # type: ignore[arg-type]


def run(tmp_path: Path, frame: pl.DataFrame, built: Feature, as_of: int | None = None) -> Built:
    return compute(parquet(tmp_path, frame), built, as_of)


def compute(files: SourceFiles, built: Feature, as_of: int | None = None) -> Built:
    """What every engine gives; they agree on all of it, errors included."""
    first, *others = each(lambda engine: engines.run(engine, built, files, as_of))
    first.rows.validate(full=True)
    assert first.schema == PolarsEngine().schema(built, files)
    for other in others:
        assert (other.schema, other.excluded, other.horizon) == (
            first.schema,
            first.excluded,
            first.horizon,
        )
        assert other.rows.equals(first.rows)
    return first


def validate(tmp_path: Path, frame: pl.DataFrame, built: Feature) -> tuple[Failure, ...]:
    """What the validators say on every engine."""
    files = parquet(tmp_path, frame)
    first, *others = each(lambda engine: engines.validate(engine, built, files))
    assert all(other == first for other in others)
    return first


def each(work: Callable[[Engine], Result]) -> list[Result]:
    """The result of every engine; an error is raised if all raise it, word by word."""
    results, errors = list[Result](), list[MlforgeError]()
    for engine in ENGINES:
        try:
            results.append(work(engine))
        except MlforgeError as error:
            errors.append(error)
    if errors:
        told = {(type(e), e.message, e.cause, e.hint) for e in errors}
        assert (len(results), len(told)) == (0, 1), (results, told)
        raise errors[0]
    return results


def change_ends(buckets: Iterable[int], windows: Iterable[int], horizon: int) -> list[int]:
    ends = {b + 1 for b in buckets} | {b + 1 + k for b in buckets for k in windows}
    return sorted(end for end in ends if end <= horizon)


def nearest(total: Fraction) -> float:
    try:
        return float(total)
    except OverflowError:
        return float("inf") if total > 0 else float("-inf")


def float_sum(values: list[float]) -> float | None:
    """Exact, then rounded once; infinities win, of both signs nothing does."""
    if not values or (float("inf") in values and float("-inf") in values):
        return None
    infinite = [value for value in values if abs(value) == float("inf")]
    if infinite:
        return infinite[0]
    return nearest(sum((Fraction(value) for value in values), Fraction(0))) + 0.0
