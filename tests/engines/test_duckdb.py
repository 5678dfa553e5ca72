"""DuckDB: what is particular to sorting on the disk; the rest is in the suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mlforge.definitions.feature import Feature
from mlforge.definitions.rolling import Rolling
from mlforge.definitions.validators import unique
from mlforge.engines.base import SourceFiles
from mlforge.engines.duckdb import DuckDBEngine
from mlforge.engines.polars import PolarsEngine
from mlforge.errors import FunctionFailed
from mlforge.testing.engines import run, validate
from tests.engines.brute import declared, parquet

ROWS = 1_500_000
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> SourceFiles:
    """Far more than the limit of the tests."""
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "k": [f"customer {n}" for n in rng.integers(0, 20_000, ROWS)],
            "t": pl.Series(rng.integers(-90 * DAY, 90 * DAY, ROWS)).cast(pl.Datetime("us")),
            "x": rng.lognormal(0, 5, ROWS),
        }
    )
    return parquet(tmp_path_factory.mktemp("many"), frame)


def rolled() -> Feature:
    return declared(interval="1d", metrics=[Rolling(["7d"], {"x": ["sum", "min", "count"]})])


def test_what_does_not_fit_is_sorted_on_the_disk_to_the_same_bits(
    tmp_path: Path, many: SourceFiles
) -> None:
    scratch = tmp_path / "not there" / "spill"
    with DuckDBEngine(megabytes=60).run(rolled(), many, scratch) as computed:
        batches = [next(computed.batches)]
        spilt = sum(file.stat().st_size for file in scratch.iterdir())
        batches += computed.batches
    assert spilt > 1 << 20
    assert not list(scratch.parent.glob("*/*"))
    expected = run(PolarsEngine(), rolled(), many)
    assert [batch.num_rows for batch in batches if not batch.num_rows] == []
    assert pl.concat(map(pl.DataFrame, batches)).equals(expected.frame)


def test_who_stops_taking_rows_leaves_nothing(tmp_path: Path, many: SourceFiles) -> None:
    scratch = tmp_path / "spill"
    with DuckDBEngine(megabytes=60).run(rolled(), many, scratch) as computed:
        assert next(computed.batches).num_rows
    assert not list(scratch.glob("*"))


FULL = """
import resource, signal, sys
from pathlib import Path
from mlforge.engines.base import SourceFiles
from mlforge.engines.duckdb import DuckDBEngine
from mlforge.errors import StorageFailed
from tests.engines.test_duckdb import rolled
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
files = SourceFiles((Path(sys.argv[1]),), "parquet", {})
try:
    with DuckDBEngine(megabytes=60).run(rolled(), files, Path(sys.argv[2])) as computed:
        raise SystemExit(f"{len(list(computed.batches))} batches fitted")
except StorageFailed as error:
    print(error.message)
"""


def test_a_full_disk_is_told_and_nothing_stays(tmp_path: Path, many: SourceFiles) -> None:
    command = [sys.executable, "-c", FULL, str(many.paths[0]), str(tmp_path / "spill")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "DuckDB cannot write what does not fit the memory\n"
    assert not list(tmp_path.glob("spill/*"))


def test_a_function_that_fails_in_a_late_batch_is_told_as_its_own(
    tmp_path: Path, many: SourceFiles
) -> None:
    def late(events: pl.LazyFrame) -> pl.LazyFrame:
        return events.with_columns(x=1 // pl.col("x").cast(pl.Int8, strict=True))

    options = {"interval": "1d", "metrics": [Rolling(["7d"], {"x": ["sum"]})]}
    with pytest.raises(FunctionFailed, match="f failed at"):
        run(DuckDBEngine(), declared(late, **options), many)


def test_a_function_that_needs_a_frame_gets_one(tmp_path: Path) -> None:
    def eager(events: pl.DataFrame) -> pl.DataFrame:
        return events.with_columns(pl.Series("y", [*range(len(events))]))

    files = parquet(tmp_path, pl.DataFrame({"k": [2, 1], "x": [5, 6]}))
    rows = run(DuckDBEngine(), declared(eager, timestamp=None), files).rows
    assert rows.to_pydict() == {"k": [1, 2], "x": [6, 5], "y": [1, 0]}


def test_what_repeats_is_counted_over_all_batches(many: SourceFiles) -> None:
    built = declared(validators={"k": [unique()]})
    found, expected = (validate(e, built, many) for e in (DuckDBEngine(60), PolarsEngine()))
    assert found == expected
    assert found[0].count > ROWS - 20_000
    assert len(found[0].examples) == 3


def test_fields_of_a_struct_may_differ_in_case_alone(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [1], "x": [{"a": 1, "A": 2}]})
    rows = run(DuckDBEngine(), declared(timestamp=None), parquet(tmp_path, frame)).rows
    assert rows.to_pylist() == frame.to_dicts()


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
from mlforge.engines.base import SourceFiles
from mlforge.engines.duckdb import DuckDBEngine
from tests.engines.test_duckdb import rolled
files = SourceFiles((Path(sys.argv[1]),), "parquet", {})
with DuckDBEngine(megabytes=60).run(rolled(), files, Path(sys.argv[2])) as computed:
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        list(computed.batches)
        time.sleep(1)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_while_duckdb_sorts_is_ctrl_c(tmp_path: Path, many: SourceFiles) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(many.paths[0]), str(tmp_path / "spill")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr
    assert not list(tmp_path.glob("spill/*"))


def test_wide_rows_fit(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    columns = {f"c{n}": rng.normal(size=4_000).astype(np.float32) for n in range(1_500)}
    frame = pl.DataFrame({"k": np.arange(4_000)[::-1], **columns})
    built = run(DuckDBEngine(megabytes=100), declared(timestamp=None), parquet(tmp_path, frame))
    assert built.frame.equals(frame.reverse())


def test_a_column_may_be_called_as_anything_that_is_counted(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [1, 2], "row number": [0.0, -0.0], "t": [1, 1], "x": [1, 1]})
    frame = frame.with_columns(pl.col("t").cast(pl.Datetime("us")))
    options = {"interval": "1d", "metrics": [Rolling(["7d"], {"x": ["sum"]})]}
    built = declared(validators={"row number": [unique()]}, **options)
    files = parquet(tmp_path, frame)
    found, expected = (validate(e, built, files) for e in (DuckDBEngine(), PolarsEngine()))
    assert found == expected
    assert found[0].count == 2
