"""Planes: what the registry knows of them, at any time."""

import polars as pl

import mlforge as mlf


@mlf.feature(source="data/planes.parquet", keys=["tailnum"])
def planes(registry: pl.LazyFrame) -> pl.LazyFrame:
    """When and by whom the plane was built, and how many seats it has."""
    return registry.select("tailnum", "built", "manufacturer", "seats")
