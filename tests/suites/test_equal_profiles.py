"""Equal rows have equal hashes and profiles, whatever brought them: order, chunks, threads."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.git_cli import Git
from tests.shop import START, Shop
from tests.sizes import PROFILE_ROWS, SEED

DEFINITIONS = """\
import mlforge as mlf

events = mlf.Source("data/events.parquet")

@mlf.feature(
    keys=["user_id"], source=events, timestamp="at", interval="1d",
    metrics=[mlf.Rolling(["1d", "7d"], {
        "amount": ["count", "sum", "mean", "min", "max"],
        "price": ["sum"]})],
)
def spend(df):
    return df.select("user_id", "at", "amount", "price")

@mlf.feature(keys=["user_id"], source=events, timestamp="at")
def seen(df):
    return df.drop("nothing")
"""
FLOATS = (0.1, -0.1, 0.0, -0.0, 1e300, -1e300, 5e-324, 2.0**53, None)
# What the manifest says of the file that was read.
OF_THE_SOURCE = ("sources", "recipe")


def events(rows: int) -> pl.DataFrame:
    chance = random.Random(SEED)
    columns = {
        "user_id": [f"user {chance.randrange(rows // 20)}" for _ in range(rows)],
        "at": [START + timedelta(seconds=60 * i) for i in range(rows)],
        "amount": [chance.choice((*FLOATS, chance.gauss(0, 9))) for _ in range(rows)],
        "ratio": [chance.choice((float("nan"), float("inf"), 1.5)) for _ in range(rows)],
        "price": [Decimal(chance.randrange(-(10**9), 10**9)).scaleb(-2) for _ in range(rows)],
        "whole": [chance.choice((2**63 - 1, -(2**63), None, i)) for i in range(rows)],
        "text": [chance.choice(("é", "", None, "x" * 80, str(i % 97))) for i in range(rows)],
        "flag": [chance.choice((True, False, None)) for _ in range(rows)],
        "day": [date(2024, 1, 1) + timedelta(days=i % 400) for i in range(rows)],
        "nothing": [None] * rows,
    }
    return pl.DataFrame(columns, schema_overrides={"price": pl.Decimal(38, 2)}, strict=False)


@pytest.fixture
def project(shop: Shop) -> Shop:
    (shop.root / "features.py").write_text(DEFINITIONS)
    shop.git("commit", "-qam", "features")
    return shop


def built(
    project: Shop, target: Path, frame: pl.DataFrame, *, row_group: int, threads: int | None
) -> dict[str, bytes | dict[str, object]]:
    """What a build in a new clone makes of these events: profiles, manifests, object names."""
    shutil.copytree(project.root, target)
    shop = Shop(Git(target))
    frame.write_parquet(target / "data/events.parquet", row_group_size=row_group)
    if threads is None:
        shop.mlforge("build")
    else:
        limits = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS"), str(threads))
        command = [sys.executable, "-m", "mlforge", "build"]
        subprocess.run(
            command, cwd=target, env={**os.environ, **limits}, check=True, capture_output=True
        )
    found: dict[str, bytes | dict[str, object]] = {}
    for name in ("spend", "seen"):
        folder = shop.store / name / "1.0.0"
        manifest = json.loads((folder / "manifest.json").read_bytes())
        found[f"{name} profile"] = (folder / "profile.json").read_bytes()
        found[f"{name} manifest"] = {k: v for k, v in manifest.items() if k not in OF_THE_SOURCE}
    return found


def test_equal_rows_have_equal_profiles_and_hashes_however_they_came(
    project: Shop, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    frame = events(PROFILE_ROWS)
    wanted = built(project, tmp_path / "first", frame, row_group=PROFILE_ROWS, threads=None)
    content = wanted["spend manifest"]
    assert isinstance(content, dict)
    assert content["content_hash"]
    ways = [(97, 1), (1_000, 4), (PROFILE_ROWS, None)]
    for number, (row_group, threads) in enumerate(ways):
        shuffled = frame.sample(fraction=1, shuffle=True, seed=SEED + number)
        made = built(
            project, tmp_path / f"{number}", shuffled, row_group=row_group, threads=threads
        )
        assert made == wanted, f"row groups of {row_group}, {threads} threads"
    suite(
        f"profiles: {len(ways)} builds of {PROFILE_ROWS:,} events, shuffled, in other row groups, "
        f"with 1 and 4 threads, seed {SEED}: equal profiles, hashes and objects"
    )


def test_other_rows_have_another_profile(project: Shop, tmp_path: Path) -> None:
    """The comparison above can fail."""
    frame = events(200)
    one = built(project, tmp_path / "one", frame, row_group=200, threads=None)
    changed = frame.with_columns(pl.col("whole").fill_null(7))
    other = built(project, tmp_path / "other", changed, row_group=200, threads=None)
    assert one["spend profile"] == other["spend profile"]
    assert one["seen profile"] != other["seen profile"]
