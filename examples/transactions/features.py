"""Features of the Complete Journey: what was known of a household before a week began."""

import polars as pl

import mlforge as mlf

household = mlf.Entity(name="household", join_key="household_id")
transactions = mlf.Source("data/transactions.parquet")
WINDOWS = ["1d", "7d", "30d", "90d"]


@mlf.feature(
    source=transactions,
    entities=[household],
    timestamp="at",
    interval="1d",
    metrics=[mlf.Rolling(WINDOWS, {"sales_value": ["sum", "mean"]})],
    validators={"sales_value": [mlf.not_null(), mlf.greater_than_or_equal(0)]},
)
def spend(lines: pl.LazyFrame) -> pl.LazyFrame:
    """Dollars that the household spent, and that a line of its receipts came to."""
    return lines.select("household_id", "at", "sales_value")


@mlf.feature(
    source=transactions,
    entities=[household],
    timestamp="at",
    interval="1d",
    metrics=[mlf.Rolling(WINDOWS, {"basket_id": ["count"]})],
)
def visits(lines: pl.LazyFrame) -> pl.LazyFrame:
    """How often the household went shopping: a basket has many lines, and is one visit."""
    return lines.select("household_id", "at", "basket_id").unique()


@mlf.feature(source="data/demographics.parquet", entities=[household])
def demographics(households: pl.LazyFrame) -> pl.LazyFrame:
    """What is known of the household itself: 801 of the 2,469 have a row."""
    return households.select(
        "household_id", "age", "income", "home_ownership", "household_size", "kids_count"
    )
