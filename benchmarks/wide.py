"""Wide: training data of 1,000 columns, beside reading them, and beside Feast.

    python benchmarks/wide.py [RUNS] [USERS]
    python benchmarks/wide.py --feast [COLUMNS] [SECONDS] [GIB] [USERS]

Ten features of 100 columns, about 37 MB of Parquet, are joined to a spine of 17,000 rows: once
29,000 rows a feature of numbers with two decimals, once 4,000 rows of any doubles. "Reading" only
reads the same columns in Polars; "sources" reads them from the files that the features were built
from, which Polars has written. Each run is a process of its own, in turn; a row is a median.

`--feast` asks Feast and mlforge for the first COLUMNS of each feature (10), once. Feast 0.67 joins
each row of the spine with all earlier rows of its user, before it takes the last one: of few USERS
(200) and many columns that is more memory than most machines have. So it is stopped after SECONDS
(600), and gets GIB of addresses (8), not all of which is memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import polars as pl
from sides import FEAST, NO_FEAST, Failed, measure, medians, repository, run, run_feast

FEATURES = [f"f{n}" for n in range(10)]
COLUMNS = 100
SPINE = 17_000
# Rows of a feature, and how many decimals its numbers have.
KINDS = {"two decimals": (29_000, 2), "doubles": (4_000, 16)}
SIDES = [(side, columns) for columns in (COLUMNS, 0) for side in ("mlforge", "reading", "sources")]
DEFINITIONS = """
import mlforge as mlf

options = {"keys": ["user_id"], "timestamp": "at"}
"""
DECLARED = """
@mlf.feature(source="{0}.parquet", **options)
def {0}(rows):
    return rows
"""


def main(runs: int, users: int) -> None:
    """All columns and three of them, and what only reading them takes."""
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            _prepare(root, kind, users)
            measured: dict[tuple[str, int], list[dict[str, float]]] = {side: [] for side in SIDES}
            for _ in range(runs):
                for (side, columns), results in measured.items():
                    results.append(_run(root, side, columns))
        print(f"medians of {runs} runs")
        found = {side: medians(results) for side, results in measured.items()}
        for (side, columns), of in found.items():
            ratio = of["seconds"] / found["reading", columns]["seconds"]
            _print(side, columns, of, f"{ratio:6.2f} x reading")


def _prepare(root: Path, kind: str, users: int) -> None:
    # A process begins with the peak of the one that it came from: nothing large is done here.
    command = [sys.executable, __file__, "--prepare", kind, str(users)]
    subprocess.run(command, cwd=root, check=True)
    size = sum(path.stat().st_size for path in root.glob("feature_store/*/1.0.0/data.parquet"))
    print(
        f"{SPINE:,} rows of a spine; {len(FEATURES)} features of {KINDS[kind][0]:,} rows and",
        f"{COLUMNS} columns, {kind}, {users:,} users, {size / 1e6:.0f} MB of Parquet",
        flush=True,
    )


def _run(root: Path, side: str, columns: int) -> dict[str, float]:
    return run([sys.executable, __file__, "--child", side, columns], root)


def _print(side: str, columns: int, of: dict[str, float], told: str) -> None:
    print(
        f"{side:<8} {len(FEATURES) * columns or 3:>5} columns {of['seconds']:7.2f} s {told}",
        f"{of['cpu']:7.2f} s of CPU {of['peak']:8,.0f} MB",
        flush=True,
    )


def beside_feast(columns: int, seconds: int, gigabytes: int, users: int) -> None:
    """Some columns of each feature, by mlforge and by Feast, once."""
    if not FEAST.exists():
        print(NO_FEAST)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _prepare(root, "two decimals", users)
        ours = _run(root, "mlforge", columns)
        _print("mlforge", columns, ours, "   1 x mlforge")
        features = {
            name: {"path": path, "columns": _columns(name, columns)}
            for name, path in _objects().items()
        }
        asked = {"features": features, "result": "Feast.parquet"}
        try:
            theirs = run_feast("train", asked, root, gigabytes, seconds)
        except Failed as failed:
            print(f"{len(FEATURES) * columns} columns: {failed}")
            return
        ratio = theirs["seconds"] / ours["seconds"]
        _print("Feast", columns, theirs, f"{ratio:4,.0f} x mlforge")


# -- in the child ------------------------------------------------------------------------------


def prepare(kind: str, users: int) -> None:
    """Features of these users, and a spine about them."""
    import numpy as np

    import mlforge as mlf

    repository()
    (rows, decimals), seconds = KINDS[kind], 365 * 86_400
    for number, name in enumerate(FEATURES):
        rng = np.random.default_rng(number)
        # Each moment of a user once: a feature's rows are unique in key and time.
        at = np.arange(rows) // users * (seconds // (rows // users + 1))
        names = _columns(name, COLUMNS)
        columns = {column: rng.normal(size=rows).round(decimals) for column in names}
        _with_times({"user_id": np.arange(rows) % users, "at": at, **columns}, "at").write_parquet(
            f"{name}.parquet"
        )
    rng = np.random.default_rng(99)
    spine = {"user_id": rng.integers(0, users, SPINE), "when": rng.integers(0, seconds, SPINE)}
    _with_times(spine, "when").write_parquet("spine.parquet")
    text = DEFINITIONS + "".join(DECLARED.format(name) for name in FEATURES)
    Path("features.py").write_text(text)
    sys.path.insert(0, ".")
    import features

    mlf.Definitions(name="wide", features=[features]).build()


def _with_times(columns: dict[str, object], name: str) -> pl.DataFrame:
    return pl.DataFrame(columns).with_columns(pl.from_epoch(name).cast(pl.Datetime("us", "UTC")))


def _columns(feature: str, columns: int) -> list[str]:
    return [f"{feature}_{n}" for n in range(columns)]


def _objects() -> dict[str, str]:
    return {name: f"feature_store/{name}/1.0.0/data.parquet" for name in FEATURES}


def _asked(columns: int) -> dict[str, list[str]]:
    """The first columns of every feature; 0: one column of each of three features."""
    if columns:
        return {name: _columns(name, columns) for name in FEATURES}
    return {name: [f"{name}_7"] for name in FEATURES[:3]}


def child(side: str, columns: int) -> None:
    """Measure one side in the current folder."""
    asked, sources = _asked(columns), {name: f"{name}.parquet" for name in FEATURES}
    prepare: dict[str, Callable[[], Callable[[], pl.DataFrame]]] = {
        "mlforge": lambda: by_mlforge(asked),
        "reading": lambda: reading(asked, _objects()),
        "sources": lambda: reading(asked, sources),
    }
    _, measured = measure(prepare[side]())
    print(json.dumps(measured))


def by_mlforge(asked: dict[str, list[str]]) -> Callable[[], pl.DataFrame]:
    """Training data as users ask for it; what is imported is loaded before, as Feast is."""
    from mlforge import FeatureSpec, LocalStore, get_training_data

    import_module("mlforge.history.repository")
    specs = [FeatureSpec(name, columns=columns) for name, columns in asked.items()]
    store = LocalStore("feature_store")
    return lambda: get_training_data("spine.parquet", specs, store=store, timestamp="when")


def reading(asked: dict[str, list[str]], paths: dict[str, str]) -> Callable[[], pl.DataFrame]:
    """The columns that are asked for, and no more."""

    def work() -> pl.DataFrame:
        frames = [pl.read_parquet(paths[name], columns=columns) for name, columns in asked.items()]
        return pl.concat(frames, how="horizontal")

    return work


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--child"]:
        child(arguments[1], int(arguments[2]))
    elif arguments[:1] == ["--prepare"]:
        prepare(arguments[1], int(arguments[2]))
    elif arguments[:1] == ["--feast"]:
        beside_feast(*[*map(int, arguments[1:]), *(10, 600, 8, 200)[len(arguments) - 1 :]])
    else:
        main(*[*map(int, arguments), *(5, 200)[len(arguments) :]])
