"""Engines agree: on real data as a whole, whatever the order of the rows and the threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.examples.folders import EXAMPLES, FLIGHTS, TRANSACTIONS
from tests.sizes import AGREED_EVENTS, SEED

FEATURES = """
import mlforge as mlf

ALL = ["count", "sum", "mean", "min", "max", "std", "median"]


@mlf.feature(
    keys=["customer", "shop"],
    source="events.parquet",
    timestamp="at",
    interval="1d",
    timezone="America/New_York",
    ambiguous="earliest",
    metrics=[mlf.Rolling(["7d", "30d"], {"amount": ALL, "items": ALL})],
)
def everything(events):
    return events


@mlf.feature(keys=["customer"], source="events.parquet", timestamp="at", interval="1mo",
             metrics=[mlf.Rolling(["1mo", "3mo"], {"price": ALL, "shop": ["max", "count"]})])
def monthly(events):
    return events


@mlf.feature(keys=["customer", "shop"], source="events.parquet", timestamp="at", created="told",
             tiebreak=["price", "amount", "items"])
def corrected(events):
    return events.select("customer", "shop", "at", "told", "price", "amount", "items")
"""


def agreed(features: Path, data: Path, threads: int = 2) -> dict[str, dict[str, list[object]]]:
    """By feature, what each engine makes of it."""
    command = [sys.executable, "-m", "tests.suites.agreement", str(features), str(data)]
    env = {**os.environ, "POLARS_MAX_THREADS": str(threads), "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, list[object]]] = json.loads(done.stdout)
    for name, engines in found.items():
        assert engines["duckdb"] == engines["polars"], name
    return found


@pytest.mark.parametrize("example", [FLIGHTS, TRANSACTIONS], ids=lambda folder: folder.name)
def test_on_all_rows_of_an_example(
    example: Path, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    subprocess.run([sys.executable, example / "prepare.py", tmp_path / "data"], check=True)
    found = agreed(example / "features.py", tmp_path)
    rows = sum(int(str(engines["polars"][3])) for engines in found.values())
    assert rows > 100_000
    suite(f"engines: {len(found)} features of {example.name}, {rows:,} rows, equal on both")


def events(number: int, seed: int) -> pl.DataFrame:
    """Amounts of any size, nulls, ties, and clocks that are changed twice a year."""
    rng = np.random.default_rng(seed)
    amounts = rng.normal(size=number) * 10.0 ** rng.integers(-12, 12, number)
    start, days = 1_600_000_000_000_000, 400
    at = start + rng.integers(0, days * 86_400, number) * 1_000_000
    late = rng.choice([0, 1, 3_600, 86_400], number) * 1_000_000
    return pl.DataFrame(
        {
            "customer": rng.integers(0, max(1, number // 100), number),
            "shop": pl.Series(rng.integers(0, 9, number)).cast(pl.String),
            "at": pl.Series(at).cast(pl.Datetime("us")),
            "told": pl.Series(at + late).cast(pl.Datetime("us")),
            "amount": pl.Series(amounts).set(pl.Series(rng.random(number) < 0.05), None),
            "items": rng.integers(-5, 90, number).astype(np.int16),
            "price": pl.Series(rng.integers(1, 10_000, number)).cast(pl.Decimal(12, 2)),
        }
    )


def test_on_shuffled_rows_and_any_number_of_threads(
    tmp_path: Path, suite: Callable[[str], None]
) -> None:
    (tmp_path / "features.py").write_text(FEATURES)
    frame = events(AGREED_EVENTS, SEED)
    answers = []
    for number, threads in enumerate((2, 1, 8)):
        shuffled = frame.sample(fraction=1, shuffle=True, seed=number) if number else frame
        shuffled.write_parquet(tmp_path / "events.parquet")
        answers.append(agreed(tmp_path / "features.py", tmp_path, threads))
    assert answers[0] == answers[1] == answers[2]
    suite(f"engines: {AGREED_EVENTS:,} events in three orders, on 1, 2 and 8 threads, seed {SEED}")
