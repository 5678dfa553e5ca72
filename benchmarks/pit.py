"""Point in time: training data from large features, beside Feast and by hand in Polars.

    python benchmarks/pit.py [RUNS] [ROWS] [SPINE] [RUNS OF FEAST]
    python benchmarks/pit.py --growth [RUNS] [ROWS]

Three features of ROWS rows and six columns of values each are built once; a spine of SPINE rows is
joined to them. Each run is a process of its own, in turn; a row is a median. By hand is the best
we know: `join_asof` on one integer of key and time, of the very objects, which are sorted so.
"Reading" only reads the columns; "sources" reads them from the files that the features were built
from, which Polars has written. mlforge hashes every byte that it reads, and what it returns. Feast
0.67 reads the same objects with its DuckDB store, and rows never expire (its least work).

`--growth` asks spines of 1, 3 and 10 million rows of the same features.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

import polars as pl
from sides import FEAST, NO_FEAST, Failed, measure, medians, repository, run, run_feast

SIDES = ("mlforge", "by hand", "reading", "sources")
FEATURES = ("a", "b", "c")
VALUES = 6
GROWTH = (1_000_000, 3_000_000, 10_000_000)
# Feast needs 7 GB of memory; of addresses, of which not all is memory, more.
FEAST_GIGABYTES = 20
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


def main(runs: int, rows: int, asked: int, feast_runs: int) -> None:
    """Build the features, run all sides in turn, and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _here(root, "--features", rows)
        _here(root, "--spine", rows, asked)
        measured: dict[str, list[dict[str, float]]] = {side: [] for side in (*SIDES, "Feast")}
        for number in range(runs):
            for side in SIDES:
                measured[side].append(run([sys.executable, __file__, "--child", side], root))
            if number < feast_runs and FEAST.exists():
                _add_feast(measured["Feast"], root)
        print(f"{asked:,} rows of a spine, 3 features of {rows:,} rows; medians of {runs} runs")
        _print_table({side: medians(of) for side, of in measured.items() if of})
        for rival in ("by hand", "Feast"):
            if measured[rival]:
                _here(root, "--compare", rival)


def _here(root: Path, *arguments: object) -> None:
    # A process begins with the peak of the one that it came from: nothing large is done here.
    command = [sys.executable, __file__, *map(str, arguments)]
    subprocess.run(command, cwd=root, check=True)


def _add_feast(results: list[dict[str, float]], root: Path) -> None:
    features = {
        name: {"path": path, "columns": [f"{name}{n}" for n in range(VALUES)]}
        for name, path in _objects().items()
    }
    asked = {"features": features, "result": "Feast.parquet"}
    try:
        results.append(run_feast("train", asked, root, FEAST_GIGABYTES, 1_800))
    except Failed as failed:
        print(failed)


def _print_table(found: dict[str, dict[str, float]]) -> None:
    print("            time  by hand   mlforge     CPU       memory")
    for side, of in found.items():
        by_hand, ours = (of["seconds"] / found[s]["seconds"] for s in ("by hand", "mlforge"))
        print(
            f"{side:<8} {of['seconds']:6.2f} s {by_hand:6.2f} x {ours:6.2f} x",
            f"{of['cpu']:6.2f} s {of['peak']:8,.0f} MB",
        )
    if not FEAST.exists():
        print(NO_FEAST)


def growth(runs: int, rows: int) -> None:
    """What a million rows of a spine cost, of a small one and of a large one."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _here(root, "--features", rows)
        print(f"3 features of {rows:,} rows; a million rows of the spine, medians of {runs} runs")
        for asked in GROWTH:
            _here(root, "--spine", rows, asked)
            for side in SIDES[:2]:
                command = [sys.executable, __file__, "--child", side]
                of = medians([run(command, root) for _ in range(runs)])
                each = {name: value / asked * 1e6 for name, value in of.items()}
                print(
                    f"{asked:>10,} rows, {side:<8} {each['seconds']:6.2f} s",
                    f"{each['cpu']:6.2f} s of CPU {each['peak']:8,.0f} MB;",
                    f"in all {of['seconds']:6.2f} s {of['peak']:8,.0f} MB",
                    flush=True,
                )


def prepare_features(rows: int) -> None:
    """Features of as many users as make a hundred rows each."""
    import numpy as np

    import mlforge as mlf

    repository()
    users, seconds = _users(rows), 365 * 86_400
    for number, name in enumerate(FEATURES):
        rng = np.random.default_rng(number)
        # Each moment once: a feature's rows are unique in key and time.
        at = (np.arange(rows) // users * (seconds // 101) + rng.integers(0, 9_999)) % seconds
        columns = {f"{name}{n}": rng.normal(size=rows) for n in range(VALUES)}
        pl.DataFrame({"user_id": np.arange(rows) % users, "at": at, **columns}).with_columns(
            pl.from_epoch("at").cast(pl.Datetime("us", "UTC"))
        ).write_parquet(f"{name}.parquet")
    text = DEFINITIONS + "".join(DECLARED.format(name) for name in FEATURES)
    Path("features.py").write_text(text)
    sys.path.insert(0, ".")
    import features

    mlf.Definitions(name="large", features=[features]).build()


def prepare_spine(rows: int, asked: int) -> None:
    """Rows about the users of the features, at any second of the year."""
    import numpy as np

    rng = np.random.default_rng(9)
    when = rng.integers(0, 365 * 86_400, asked)
    pl.DataFrame({"user_id": rng.integers(0, _users(rows), asked), "when": when}).with_columns(
        pl.from_epoch("when").cast(pl.Datetime("us", "UTC"))
    ).write_parquet("spine.parquet")


def _users(rows: int) -> int:
    return max(1, rows // 100)


def child(side: str) -> None:
    """Measure one side in the current folder."""
    prepare: dict[str, Callable[[], Callable[[], pl.DataFrame]]] = {
        "mlforge": by_mlforge,
        "by hand": lambda: by_hand,
        "reading": lambda: lambda: reading(_objects().values()),
        "sources": lambda: lambda: reading(f"{name}.parquet" for name in FEATURES),
    }
    frame, measured = measure(prepare[side]())
    if side in ("mlforge", "by hand"):
        frame.write_parquet(f"{side}.parquet")
    print(json.dumps(measured))


def compare(rival: str) -> None:
    """Print how many rows of a rival's training data are not those of mlforge, in any order."""
    ours = pl.read_parquet("mlforge.parquet")
    theirs = pl.read_parquet(f"{rival}.parquet").select(ours.columns)
    # A frame of pandas has NaN for what is missing; no value is NaN here.
    theirs = theirs.with_columns(pl.selectors.float().fill_nan(None))
    asked = ["user_id", "when"]
    both = theirs.group_by(asked).len("theirs")
    both = ours.group_by(asked).len("ours").join(both, on=asked, how="full", coalesce=True)
    more = both.select(pl.col("theirs").fill_null(0).cast(int) - pl.col("ours").fill_null(0))
    lost, added = -int(more["theirs"].clip(None, 0).sum()), int(more["theirs"].clip(0).sum())
    others = theirs.join(ours, on=ours.columns, how="anti", nulls_equal=True).height
    print(
        f"{rival}: of {ours.height:,} rows, {lost:,} are not there, {added:,} are there too often,",
        f"{others:,} have other values than with mlforge",
    )


def _objects() -> dict[str, str]:
    return {name: f"feature_store/{name}/1.0.0/data.parquet" for name in FEATURES}


def by_mlforge() -> Callable[[], pl.DataFrame]:
    """Training data as users ask for it; what is imported is loaded before, as Feast is."""
    from mlforge import LocalStore, get_training_data

    import_module("mlforge.history.repository")
    store = LocalStore("feature_store")
    return lambda: get_training_data("spine.parquet", [*FEATURES], store=store, timestamp="when")


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


def reading(paths: Iterable[str]) -> pl.DataFrame:
    """The columns of all features, and no more."""
    frames = [pl.read_parquet(path).drop("user_id", "at") for path in paths]
    return pl.concat(frames, how="horizontal")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--child"]:
        child(arguments[1])
    elif arguments[:1] == ["--features"]:
        prepare_features(int(arguments[1]))
    elif arguments[:1] == ["--spine"]:
        prepare_spine(int(arguments[1]), int(arguments[2]))
    elif arguments[:1] == ["--compare"]:
        compare(arguments[1])
    elif arguments[:1] == ["--growth"]:
        growth(*[*map(int, arguments[1:]), *(3, 10_000_000)[len(arguments) - 1 :]])
    else:
        main(*[*map(int, arguments), *(3, 10_000_000, 1_000_000, 1)[len(arguments) :]])
