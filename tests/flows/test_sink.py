"""Training data into a file, block by block: the very file, lock and numbers of one in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import mlforge as mlf
from mlforge.engines import ages
from mlforge.errors import InvalidSpine, InvalidTimes, InvalidUsage, KeyTypeMismatch
from mlforge.flows import blocks
from tests.git_cli import Git

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEATURES = ["limits", "fresh", "daily", "late", "names", "shops"]
LIMITS = pl.DataFrame(
    {
        "user": [n % 5 for n in range(40)],
        "at": [START + n * HOUR for n in range(40)],
        "loaded": [START + (n + n % 7 * 9) * HOUR for n in range(40)],
        "limit": [None if n % 6 == 0 else n * 1.5 for n in range(40)],
    }
)
NAMES = pl.DataFrame({"user": range(4), "name": ["é", None, "b", "c"]})
SHOPS = pl.DataFrame({"user": [1, 1, 2], "shop": ["a", "b", "a"], "rank": [1, 2, None]})
SPINE = pl.DataFrame(
    {
        "user": pl.Series([None if n % 11 == 0 else n * 7 % 6 for n in range(50)], dtype=pl.Int16),
        "when": [None if n % 13 == 0 else START + (n * 31 % 60) * HOUR for n in range(50)],
        "shop": pl.Series([["a", "b", None][n % 3] for n in range(50)], dtype=pl.Categorical),
        "label": [n / 7 for n in range(50)],
    }
)


@pytest.fixture
def store(git: Git, monkeypatch: pytest.MonkeyPatch) -> mlf.LocalStore:
    monkeypatch.chdir(git.root)
    LIMITS.write_parquet("limits.parquet")
    NAMES.write_parquet("names.parquet")
    SHOPS.write_parquet("shops.parquet")
    timed = {"keys": ["user"], "timestamp": "at", "source": "limits.parquet"}
    rolled = mlf.Rolling(["1d"], {"limit": ["sum"]})

    @mlf.feature(**timed)
    def limits(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.select("user", "at", "limit")

    @mlf.feature(max_age="3h", **timed)
    def fresh(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.select("user", "at", fresh="limit")

    @mlf.feature(interval="1d", metrics=[rolled], **timed)
    def daily(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.select("user", "at", "limit")

    @mlf.feature(created="loaded", **timed)
    def late(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.select("user", "at", "loaded", late="limit")

    @mlf.feature(keys=["user"], source="names.parquet")
    def names(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows

    @mlf.feature(keys=["user", "shop"], source="shops.parquet")
    def shops(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows

    features = [limits, fresh, daily, late, names, shops]
    mlf.Definitions(name="shop", features=features).build()
    return mlf.LocalStore("feature_store")


@pytest.fixture(params=[1, 7, 49, 50])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks of so many rows, and ages that go to a file."""
    monkeypatch.setattr(blocks, "_BYTES", 0)
    monkeypatch.setattr(blocks, "_LEAST_ROWS", request.param)
    monkeypatch.setattr(ages, "_KEPT", 3)
    rows: int = request.param
    return rows


@pytest.fixture
def blocks_of_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BYTES", 0)
    monkeypatch.setattr(blocks, "_LEAST_ROWS", 7)


def files() -> set[str]:
    return {path.name for path in Path().iterdir() if path.is_file()}


@pytest.mark.parametrize("kind", [".parquet", ".csv"])
def test_blocks_give_the_file_the_lock_and_the_numbers_of_the_whole(
    store: mlf.LocalStore, small_blocks: int, kind: str
) -> None:
    options = {"store": store, "timestamp": "when"}
    whole = mlf.get_training_data(SPINE, FEATURES, **options)  # type: ignore[arg-type]
    whole.save(f"whole{kind}")
    spine = SPINE.lazy()
    sunk = mlf.sink_training_data(spine, FEATURES, f"sunk{kind}", **options)  # type: ignore[arg-type]
    assert Path(f"sunk{kind}").read_bytes() == Path(f"whole{kind}").read_bytes()
    assert sunk.provenance == whole.provenance
    assert sunk.lock.to_dict() == {**whole.lock().written_to(f"sunk{kind}").to_dict()}
    assert sunk.lock_path is not None
    assert sunk.lock_path.read_bytes() == sunk.lock.encode()
    assert sunk.explain().cells == whole.explain().cells
    assert sunk.scan().collect().height == SPINE.height


@pytest.mark.parametrize("kind", [".parquet", ".csv", ".arrow"])
@pytest.mark.usefixtures("blocks_of_seven")
def test_a_file_is_joined_and_made_again_in_blocks(store: mlf.LocalStore, kind: str) -> None:
    spine = f"spine{kind}"
    writers = {".parquet": SPINE.write_parquet, ".csv": SPINE.write_csv, ".arrow": SPINE.write_ipc}
    writers[kind](spine)
    whole = mlf.get_training_data(spine, FEATURES, store=store, timestamp="when")
    sunk = mlf.sink_training_data(spine, FEATURES, "out.parquet", store=store, timestamp="when")
    assert sunk.provenance == whole.provenance
    assert sunk.lock.spine == whole.lock().spine
    made = mlf.reproduce("out.lock.json", store=store)
    assert (made.is_equal, made.found) == (True, sunk.provenance.content_hash)


@pytest.mark.usefixtures("blocks_of_seven")
def test_what_differs_in_a_late_block_is_told(store: mlf.LocalStore) -> None:
    SPINE.write_parquet("spine.parquet")
    mlf.sink_training_data("spine.parquet", ["names"], "out.parquet", store=store)
    SPINE.with_columns(label=pl.col("label").replace(49 / 7, 8.0)).write_parquet("spine.parquet")
    made = mlf.reproduce("out.lock.json", store=store)
    assert [difference.column for difference in made.differences] == ["label"]


@pytest.mark.usefixtures("blocks_of_seven")
def test_keys_that_do_not_fit_in_any_block_are_all_told(store: mlf.LocalStore) -> None:
    spine = SPINE.with_columns(
        user=pl.Series([2**40 if n == 20 else 1 for n in range(50)], dtype=pl.UInt64).cast(
            pl.Decimal(30, 1)
        ),
        shop=pl.Series([None] * 45 + [7] * 5, dtype=pl.Int64),
    )
    with pytest.raises(KeyTypeMismatch) as whole:
        mlf.get_training_data(spine, ["shops"], store=store)
    with pytest.raises(KeyTypeMismatch) as cut:
        mlf.sink_training_data(spine.lazy(), ["shops"], "out.parquet", store=store)
    assert (cut.value.message, cut.value.hint) == (whole.value.message, whole.value.hint)
    assert (
        "shop is int64 in the spine and string in the feature (for example 7)" in cut.value.message
    )
    assert "user is decimal" in cut.value.message


@pytest.mark.usefixtures("blocks_of_seven")
def test_an_error_in_the_last_block_leaves_what_was_there(store: mlf.LocalStore) -> None:
    mlf.sink_training_data(SPINE, ["names"], "out.parquet", store=store)
    before = {name: Path(name).read_bytes() for name in files()}
    times = pl.Series([1000] * 49 + [1001], dtype=pl.Int64).cast(pl.Datetime("ns", "UTC"))
    broken = SPINE.with_columns(when=times)
    with pytest.raises(InvalidTimes, match="not whole microseconds"):
        mlf.sink_training_data(broken, ["limits"], "out.parquet", store=store, timestamp="when")
    assert {name: Path(name).read_bytes() for name in files()} == before


@pytest.mark.usefixtures("blocks_of_seven")
def test_a_lazy_spine_that_breaks_half_way_is_told(store: mlf.LocalStore) -> None:
    def fails(users: pl.Series) -> pl.Series:
        assert 45 not in users
        return users

    lazy = pl.LazyFrame({"user": range(50)}).with_columns(
        label=pl.col("user").map_batches(fails, return_dtype=pl.Int64, is_elementwise=True)
    )
    before = files()
    with pytest.raises(InvalidSpine, match="cannot be read"):
        mlf.sink_training_data(lazy, ["names"], "out.parquet", store=store)
    assert files() == before


def test_a_dry_run_joins_and_writes_nothing(store: mlf.LocalStore) -> None:
    before = files()
    sunk = mlf.sink_training_data(SPINE, ["names"], "out.parquet", store=store, dry_run=True)
    assert sunk.lock_path is None
    assert sunk.provenance.rows == SPINE.height
    assert files() == before
    assert "nothing was written" in repr(sunk)


def test_a_spine_without_rows_gives_a_file_without_rows(store: mlf.LocalStore) -> None:
    sunk = mlf.sink_training_data(SPINE.clear().lazy(), ["names"], "out.parquet", store=store)
    assert sunk.scan().collect().shape == (0, SPINE.width + 1)


def test_columns_that_csv_cannot_hold_are_told(store: mlf.LocalStore) -> None:
    spine = pl.DataFrame({"user": [1], "tags": [["a"]]})
    with pytest.raises(InvalidUsage, match="cannot hold"):
        mlf.sink_training_data(spine, ["names"], "out.csv", store=store)
    assert not [name for name in files() if "out" in name]


@pytest.mark.usefixtures("blocks_of_seven")
def test_progress_says_how_many_rows_are_done(store: mlf.LocalStore) -> None:
    said = list[str]()
    SPINE.write_parquet("spine.parquet")
    mlf.sink_training_data(
        "spine.parquet",
        ["names"],
        "out.parquet",
        store=store,
        on_event=lambda e: said.append(str(e)),
    )
    assert said[:2] == ["joining names@1.0.0", "joining names@1.0.0, 7 of 50 rows done"]


# -- memory ---------------------------------------------------------------------------------------

CHILD = """
import json, resource, sys
import mlforge as mlf
from mlforge.flows import blocks

blocks._BYTES = 4 << 20
store = mlf.LocalStore("feature_store")
sunk = mlf.sink_training_data(sys.argv[1], ["wide"], "out.parquet", store=store)
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(json.dumps({"peak": peak, "rows": sunk.provenance.rows}))
"""


@pytest.fixture
def wide(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(git.root)
    values = {f"v{at}": [n * 1.1 + at for n in range(5)] for at in range(40)}
    pl.DataFrame({"user": range(5), **values}).write_parquet("wide.parquet")

    @mlf.feature(keys=["user"], source="wide.parquet")
    def wide(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows

    mlf.Definitions(name="shop", features=[wide]).build()


def peak(rows: int) -> int:
    path = f"spine{rows}.parquet"
    pl.select(user=pl.int_range(rows) % 5, label=pl.int_range(rows) * 0.37).write_parquet(
        path, row_group_size=1 << 16
    )
    child = [sys.executable, "-c", CHILD, path]
    found = json.loads(subprocess.run(child, check=True, stdout=subprocess.PIPE).stdout)
    assert found["rows"] == rows
    return int(found["peak"])


@pytest.mark.usefixtures("wide")
def test_memory_does_not_grow_with_the_output() -> None:
    # Several blocks, and many.
    few, many = 900_000, 2_100_000
    grown = peak(many) - peak(few)
    # In memory the output is forty columns of eight bytes.
    assert grown < (many - few) * 40 * 8 / 4
