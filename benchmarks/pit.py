"""Point in time: training data from large features, and by hand in Polars, side by side.

    python benchmarks/pit.py [RUNS] [ROWS] [SPINE]

Three features of ROWS rows and six columns each are built once; a spine of SPINE rows is joined to
them. Each run is a process of its own, in turn; a row is a median. By hand is the best we know:
`join_asof` on one integer of key and time, of the very objects, which are sorted so. "Reading"
only reads the columns. mlforge hashes every byte that it reads, and what it returns.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import polars as pl

SIDES = ("mlforge", "by hand", "reading")
FEATURES = ("a", "b", "c")
DEFINITIONS = """
import mlforge as mlf

options = {"keys": ["user_id"], "timestamp": "at"}
"""
DECLARED = """
@mlf.feature(source="{0}.parquet", **options)
def {0}(rows):
    return rows
"""
_KEY = 1 << 24


def main(runs: int, rows: int, asked: int) -> None:
    """Build the features, run all sides in turn, and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _in_child(root, "--prepare", str(rows), str(asked))
        measured: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(runs):
            for side, results in measured.items():
                results.append(json.loads(_in_child(root, "--child", side)))
        print(f"{asked:,} rows of a spine, 3 features of {rows:,} rows; medians of {runs} runs")
        found = {
            side: {n: median(r[n] for r in rs) for n in rs[0]} for side, rs in measured.items()
        }
        for side, of in found.items():
            ratio = of["seconds"] / found["by hand"]["seconds"]
            print(f"{side:<8} {of['seconds']:6.2f} s {ratio:5.2f} {of['peak']:8,.0f} MB")
        sums = {of["sum"] for side, of in found.items() if side != "reading"}
        print("the same values:", len(sums) == 1)


def _in_child(root: Path, *arguments: str) -> str:
    # A process begins with the peak of the one that it came from: nothing large is done here.
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout


def prepare(rows: int, asked: int) -> None:
    """Features of as many users as make a hundred rows each, and a spine about them."""
    import numpy as np

    import mlforge as mlf

    for command in ("init -q", "config user.name Ada", "config user.email ada@example.org"):
        subprocess.run(["git", *command.split()], check=True)
    users, seconds = max(1, rows // 100), 365 * 86_400
    for number, name in enumerate(FEATURES):
        rng = np.random.default_rng(number)
        # Each moment once: a feature's rows are unique in key and time.
        at = (np.arange(rows) // users * (seconds // 101) + rng.integers(0, 9_999)) % seconds
        columns = {f"{name}{n}": rng.normal(size=rows) for n in range(4)}
        pl.DataFrame({"user_id": np.arange(rows) % users, "at": at, **columns}).with_columns(
            pl.from_epoch("at").cast(pl.Datetime("us", "UTC"))
        ).write_parquet(f"{name}.parquet")
    rng = np.random.default_rng(9)
    spine = {"user_id": rng.integers(0, users, asked), "when": rng.integers(0, seconds, asked)}
    pl.DataFrame(spine).with_columns(
        pl.from_epoch("when").cast(pl.Datetime("us", "UTC"))
    ).write_parquet("spine.parquet")
    text = DEFINITIONS + "".join(DECLARED.format(name) for name in FEATURES)
    Path("features.py").write_text(text)
    sys.path.insert(0, ".")
    import features

    mlf.Definitions(name="large", features=[features]).build()


def child(side: str) -> None:
    """Measure one side in the current folder."""
    compute = {"mlforge": by_mlforge, "by hand": by_hand, "reading": reading}[side]
    started = time.perf_counter()
    frame = compute()
    seconds = time.perf_counter() - started
    a_megabyte = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / a_megabyte
    total = sum(float(frame[f"{name}0"].sum()) for name in FEATURES)
    print(json.dumps({"seconds": seconds, "peak": peak, "sum": total}))


def _objects() -> dict[str, str]:
    return {name: f"feature_store/{name}/1.0.0/data.parquet" for name in FEATURES}


def by_mlforge() -> pl.DataFrame:
    """Training data as users ask for it."""
    import mlforge as mlf

    store = mlf.LocalStore("feature_store")
    return mlf.get_training_data("spine.parquet", [*FEATURES], store=store, timestamp="when")


def by_hand() -> pl.DataFrame:
    """One integer of key and second, and an as-of join of what is sorted by it."""
    seconds = pl.col("when").dt.epoch("s")
    spine = pl.read_parquet("spine.parquet").with_row_index("row")
    spine = spine.with_columns(code=pl.col("user_id") * _KEY * 4 + seconds).sort("code")
    for path in _objects().values():
        rows = pl.read_parquet(path).with_columns(
            code=pl.col("user_id") * _KEY * 4 + pl.col("at").dt.epoch("s"), owner="user_id"
        )
        rows = rows.drop("user_id", "at").set_sorted("code")
        spine = spine.join_asof(rows, on="code")
        missing = pl.col("owner") != pl.col("user_id")
        names = [name for name in rows.columns if name not in ("code", "owner")]
        spine = spine.with_columns(
            pl.when(~missing.fill_null(True)).then(pl.col(names)).name.keep()
        ).drop("owner")
    return spine.sort("row").drop("row", "code")


def reading() -> pl.DataFrame:
    """The columns of all features, and no more."""
    frames = [pl.read_parquet(path).drop("user_id", "at") for path in _objects().values()]
    return pl.concat(frames, how="horizontal")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--child"]:
        child(arguments[1])
    elif arguments[:1] == ["--prepare"]:
        prepare(int(arguments[1]), int(arguments[2]))
    else:
        main(*[*map(int, arguments), *(3, 10_000_000, 1_000_000)[len(arguments) :]])
