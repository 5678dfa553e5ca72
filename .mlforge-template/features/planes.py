"""Planes: what the registry knows of them, at any time."""

import polars as pl

import mlforge as mlf


@mlf.feature(
    source="data/planes.parquet",
    keys=["tailnum"],
    description="What the registry knows of it",
)
def planes(registry: pl.LazyFrame) -> pl.LazyFrame:
    return registry.select("tailnum", "built", "manufacturer", "seats")
