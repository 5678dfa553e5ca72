"""Columns: three of a thousand columns of a large version, beside Polars reading just these.

    python benchmarks/columns.py [RUNS] [ROWS] [COLUMNS]

A feature of ROWS rows and COLUMNS random floats is built once. Each run is a process of its own, in
turn; a row is a median of wall and CPU time, of the first call and of the next one in a process.
"whole" is what the three cost without digests: as many bytes are hashed as the object has.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import polars as pl

DEFINITIONS = """
import mlforge as mlf

@mlf.feature(keys=["user_id"], source="wide.parquet")
def wide(rows):
    return rows
"""
VIEW = "feature_store/wide/1.0.0/data.parquet"


def main(runs: int, rows: int, width: int) -> None:
    """Build the feature, run all sides in turn, and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _in_child(root, "--prepare", str(rows), str(width))
        measured: dict[str, list[list[float]]] = {side: [] for side in SIDES}
        for _ in range(runs):
            for side, results in measured.items():
                results.append(json.loads(_in_child(root, "--child", side)))
        size = (root / VIEW).stat().st_size
        asked = _bytes_of_asked(root / VIEW)
        digests = (root / VIEW).with_name("digests.json").stat().st_size
    print(f"{rows:,} rows of {width:,} columns, {size / 1e6:,.0f} MB; medians of {runs} runs")
    print(f"hashed for 3 columns: {asked / 1e6:.1f} MB; digests.json has {digests / 1e3:.0f} KB")
    print(f"{'ms':<20} {'first':>8} {'cpu':>8} {'next':>8} {'cpu':>8} {'ratio':>6}")
    found = {side: [median(r[n] for r in rs) for n in range(4)] for side, rs in measured.items()}
    for side, of in found.items():
        told = " ".join(f"{1e3 * seconds:8.1f}" for seconds in of)
        print(f"{side:<20} {told} {of[3] / found['Polars'][3]:6.2f}")


def _bytes_of_asked(path: Path) -> int:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    chunks = (group.column(leaf) for group in groups for leaf in range(metadata.num_columns))
    of = sum(c.total_compressed_size for c in chunks if c.path_in_schema in _asked(path))
    return metadata.serialized_size + of


def _asked(path: Path) -> list[str]:
    names = pl.read_parquet_schema(path).names()
    return [names[len(names) * part // 4] for part in (1, 2, 3)]


def _in_child(root: Path, *arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout


def prepare(rows: int, width: int) -> None:
    """A feature of as many users as rows, and a spine of a thousand of them."""
    import numpy as np

    import mlforge as mlf

    for command in ("init -q", "config user.name Ada", "config user.email ada@example.org"):
        subprocess.run(["git", *command.split()], check=True)
    rng = np.random.default_rng(0)
    columns = {f"c{number:04}": rng.normal(size=rows) for number in range(width)}
    pl.DataFrame({"user_id": np.arange(rows), **columns}).write_parquet("wide.parquet")
    pl.DataFrame({"user_id": rng.integers(0, rows, 1_000)}).write_parquet("spine.parquet")
    Path("features.py").write_text(DEFINITIONS)
    sys.path.insert(0, ".")
    import features

    mlf.Definitions(name="wide", features=[features]).build()


def child(side: str) -> None:
    """Measure one side in the current folder: wall and CPU seconds of a first and a next call."""
    found = []
    for _ in range(2):
        started, before = time.perf_counter(), _cpu()
        SIDES[side]()
        found += [time.perf_counter() - started, _cpu() - before]
    print(json.dumps(found))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def by_polars() -> pl.DataFrame:
    """The three columns, and no more."""
    return pl.read_parquet(VIEW, columns=_asked(Path(VIEW)))


def by_read() -> pl.DataFrame:
    """The same of the store, verified."""
    import mlforge as mlf

    return mlf.LocalStore("feature_store").read("wide", columns=_asked(Path(VIEW)))


def by_training() -> pl.DataFrame:
    """The same and the key, joined to a spine of a thousand rows."""
    import mlforge as mlf

    wanted = mlf.FeatureSpec("wide", columns=_asked(Path(VIEW)))
    store = mlf.LocalStore("feature_store")
    return mlf.get_training_data("spine.parquet", [wanted], store=store)


def by_whole() -> pl.DataFrame:
    """The object hashed whole, then the three columns."""
    from mlforge.ids import hash_file

    hash_file(Path(VIEW))
    return by_polars()


SIDES: dict[str, Callable[[], pl.DataFrame]] = {
    "Polars": by_polars,
    "store.read": by_read,
    "training data": by_training,
    "whole": by_whole,
}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--prepare", rows, width]:
            prepare(int(rows), int(width))
        case ["--child", side]:
            child(side)
        case given:
            runs, rows, width = (*map(int, given), *(7, 100_000, 1_000)[len(given) :])
            main(runs, rows, width)
