"""The template's data is what `sample.py` makes of the flights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from polars.testing import assert_frame_equal

from tests.examples.folders import EXAMPLES, FLIGHTS

DATA = EXAMPLES.parent / ".mlforge-template/data"


def test_the_sample_can_be_made_again(tmp_path: Path) -> None:
    command = [sys.executable, str(FLIGHTS / "sample.py"), str(tmp_path / "data")]
    subprocess.run(command, check=True)
    files = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert files == sorted(path.name for path in DATA.glob("*.parquet"))
    assert sum((DATA / name).stat().st_size for name in files) < 1_000_000
    for name in files:
        assert_frame_equal(pl.read_parquet(tmp_path / "data" / name), pl.read_parquet(DATA / name))
        # Another Polars may write the same rows in other bytes.
        if writer(tmp_path / "data" / name) == writer(DATA / name):
            assert (tmp_path / "data" / name).read_bytes() == (DATA / name).read_bytes()


def test_the_note_beside_the_data_counts_its_rows() -> None:
    note = (DATA / "README.md").read_text(encoding="utf-8")
    for path in DATA.glob("*.parquet"):
        rows = pl.scan_parquet(path).select(pl.len()).collect().item()
        assert any(path.name in line and f"| {rows:,} |" in line for line in note.splitlines())
    assert "CC0" in note


def writer(path: Path) -> str:
    created_by: str = pq.ParquetFile(path).metadata.created_by
    return created_by
