"""Brute: windows in plain loops and fractions, to compare engines with; and small features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import polars as pl

from mlforge.definitions.feature import Feature, feature, parse
from mlforge.engines.base import Computed, SourceFiles
from mlforge.engines.polars import PolarsEngine

Row = tuple[object, ...]


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


def run(tmp_path: Path, frame: pl.DataFrame, built: Feature) -> Computed:
    computed = PolarsEngine().run(built, parquet(tmp_path, frame))
    computed.rows.validate(full=True)
    return computed


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
