"""Batches: all rows in order, or an error."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import mlforge as mlf
from mlforge.api.spine import scan_spine
from mlforge.batches import batches
from mlforge.errors import InvalidSpine, MlforgeError
from tests.shop import START, Shop

ROWS = 50_000


@pytest.mark.parametrize("rows", [None, 1, 1000, 2 * ROWS])
def test_rows_come_in_their_order(rows: int | None) -> None:
    height = 10 if rows == 1 else ROWS
    frame = pl.LazyFrame({"a": range(height)}).filter(pl.col("a") % 3 != 0)
    found = pl.concat(batches(frame, rows))
    assert found["a"].to_list() == [n for n in range(height) if n % 3]


def test_a_frame_without_rows_ends() -> None:
    assert sum(part.height for part in batches(pl.LazyFrame({"a": []}))) == 0


def test_an_error_in_the_middle_comes_after_what_was_before() -> None:
    frame = pl.LazyFrame({"a": ["1"] * ROWS + ["x"]}).select(pl.col("a").cast(pl.Int64))
    with pytest.raises(pl.exceptions.InvalidOperationError, match="conversion"):
        list(batches(frame, 1000))


def test_errors_of_functions_are_themselves() -> None:
    def refuse(frame: pl.DataFrame) -> pl.DataFrame:
        raise KeyError("mine")

    with pytest.raises((KeyError, pl.exceptions.ComputeError), match="mine"):
        list(batches(pl.LazyFrame({"a": [1]}).map_batches(refuse)))


def test_who_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    parts = batches(pl.LazyFrame({"a": range(ROWS)}), 10)
    assert next(parts).height
    parts.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def damaged(path: Path, seed: int) -> int:
    """Write a file of so many rows, a page of which is nonsense.

    With these seeds Polars 2.1 panics; what other releases write may be damaged elsewhere.
    """
    dice, rows = random.Random(seed), 200_000
    x = np.random.default_rng(0).random(rows)
    frame = pl.DataFrame({"user": np.arange(rows), "at": pl.Series([START] * rows), "x": x})
    frame.write_parquet(path, row_group_size=25_000)
    data, metadata = bytearray(path.read_bytes()), pq.read_metadata(path)
    chunk = metadata.row_group(dice.randint(0, 7)).column(dice.randint(0, 2))
    begin = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    for _ in range(dice.choice([1, 4, 8])):
        data[begin + dice.randint(0, 60)] = dice.randint(0, 255)
    path.write_bytes(data)
    return rows


@pytest.mark.parametrize("seed", [28, 30])
@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_damaged_source_makes_no_version_of_fewer_rows(
    shop: Shop, engine: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    @mlf.feature(source="broken.parquet", keys=["user"], timestamp="at")
    def broken(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.select("user", "at", "x")

    rows = damaged(shop.root / "broken.parquet", seed)
    monkeypatch.chdir(shop.root)
    definitions = mlf.Definitions(name="broken", features=[broken])
    with suppress(MlforgeError):
        definitions.build(engine=engine)
        assert definitions.offline_store.read("broken").height == rows


@pytest.mark.parametrize("seed", [28, 30])
def test_a_damaged_lazy_spine_is_told(tmp_path: Path, seed: int) -> None:
    rows = damaged(tmp_path / "spine.parquet", seed)
    spine = scan_spine(pl.scan_parquet(tmp_path / "spine.parquet"))
    with suppress(InvalidSpine):
        assert sum(part.height for part, _ in spine.blocks(3)) == rows
