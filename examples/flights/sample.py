"""The sample that `mlforge init` brings: the flights of January 2013, in three Parquet files.

    python sample.py [FOLDER]

It writes to .mlforge-template/data, or to the given folder. Equal input gives equal bytes as long
as Polars, whose version stands in the files, is the same.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from prepare import prepare

TEMPLATE = Path(__file__).resolve().parents[2] / ".mlforge-template"
END = datetime(2013, 2, 1, tzinfo=UTC)
FLIGHT = ["carrier", "flight", "tailnum", "origin", "dest", "scheduled"]
KNOWN = ["departure", "arrival", "arr_delay"]


def sample(folder: Path) -> None:
    """Write a month of the flights, with the columns that the template's features use."""
    with TemporaryDirectory() as room:
        prepare(Path(room))
        whole = {path.stem: pl.read_parquet(path) for path in Path(room).iterdir()}
    is_early = pl.col("scheduled") < END
    tables = {
        "arrivals": whole["arrivals"].filter(is_early).select(*FLIGHT, *KNOWN),
        "departures": whole["departures"].filter(is_early).select(*FLIGHT, "late"),
        "planes": whole["planes"].select("tailnum", "built", "manufacturer", "seats"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet", compression="zstd", compression_level=19)


if __name__ == "__main__":
    sample(Path(sys.argv[1]) if len(sys.argv) > 1 else TEMPLATE / "data")
