"""The engine on all flights against the plain-Python oracle, bit for bit, on 50 random planes."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from mlforge.definitions.feature import Feature, feature, parse
from mlforge.definitions.rolling import Rolling
from mlforge.engines.base import SourceFiles
from mlforge.testing import oracle
from mlforge.testing.oracle import bits, rows_of
from tests.engines.brute import compute
from tests.examples.folders import FLIGHTS

PLANES = 50
SEED = 20130101


@feature(
    source="arrivals.parquet",
    keys=["tailnum"],
    timestamp="arrival",
    interval="1h",
    metrics=[
        Rolling(["1d", "7d", "30d"], {"speed": ["sum", "mean", "min", "max"]}),
        Rolling(["7d"], {"arr_delay": ["count", "sum", "mean"]}),
    ],
)
def planes(arrivals: pl.LazyFrame) -> pl.LazyFrame:
    """Miles an hour are hard to add: their last bits lie far apart."""
    speed = pl.col("distance") / pl.col("air_time") * 60
    return arrivals.select("tailnum", "arrival", "arr_delay", speed=speed)


@pytest.fixture(scope="module")
def arrivals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flights")
    subprocess.run([sys.executable, FLIGHTS / "prepare.py", folder], check=True)
    return folder / "arrivals.parquet"


def test_fifty_planes_have_the_oracles_bits(arrivals: Path) -> None:
    declared = declared_feature()
    computed = compute(SourceFiles((arrivals,), "parquet", {}), declared)
    built = computed.frame
    events = planes(pl.scan_parquet(arrivals)).collect()
    tails = events["tailnum"].unique().sort().to_list()
    chosen = random.Random(SEED).sample(tails, PLANES)
    # The last arrival of all is there to set the horizon.
    last = pl.col("arrival") == pl.col("arrival").max()
    some = events.filter(pl.col("tailnum").is_in(chosen) | last)
    answer = oracle.compute(declared, rows_of(some))
    expected = [bits(row) for row in answer.rows if row["tailnum"] in chosen]
    found = [bits(row) for row in rows_of(built.filter(pl.col("tailnum").is_in(chosen)))]
    print(f"oracle: {PLANES} planes of {len(tails)}, {len(found)} rows, seed {SEED}")
    assert computed.horizon == answer.horizon
    assert len(found) > PLANES
    assert found == expected


def declared_feature() -> Feature:
    parsed, problems = parse(planes)
    assert parsed is not None, problems
    return parsed
