"""Flights: build five features and train, with mlforge and by hand in Polars, side by side.

    python benchmarks/flights.py [RUNS] [TIMES]

Each run is a process of its own. All give equal training data, and the last line says so. TIMES: so
many copies of every arrival, each of other carriers, airports and planes; 30 make 9.8 M rows.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import polars as pl

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "flights"
SIDES = ("polars", "duckdb", "by hand")
WINDOWS = {"1d": 24, "7d": 7 * 24, "30d": 30 * 24}
FEATURES = ["carrier_delays", "origin_delays", "tail_last_arrival", "weather", "planes"]
NOT_BY_HAND = """\
Not in the hand-written one: exact sums of floats in any row order (these delays are integers),
rows at change points only, checks of keys and hashes, versions with their reasons, a commit,
and the training data of an earlier commit."""


def main(runs: int, times: int) -> None:
    """Run all sides in turn and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run([sys.executable, EXAMPLE / "prepare.py", root / "data"], check=True)
        _multiply(root / "data/arrivals.parquet", times)
        measured: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for number in range(runs):
            for side, results in measured.items():
                results.append(_run_in_child(side, root / f"{side}-{number}", root / "data"))
        _print_table({side: _medians(results) for side, results in measured.items()}, runs)
        print("training data equal:", _equal(root, runs - 1))
    print(NOT_BY_HAND)


def _multiply(arrivals: Path, times: int) -> None:
    """The first copy stays as it is: the spine asks about it."""
    rows = pl.read_parquet(arrivals)
    copies = [rows]
    for number in range(1, times):
        names = pl.col("carrier", "origin", "tailnum")
        copies.append(rows.with_columns(names + f" {number}"))
    pl.concat(copies).write_parquet(arrivals)


def _run_in_child(side: str, folder: Path, data: Path) -> dict[str, float]:
    folder.mkdir()
    (folder / "data").symlink_to(data)
    shutil.copy(EXAMPLE / "features.py", folder)
    shutil.copy(EXAMPLE / "mlforge.toml", folder)
    command = [sys.executable, __file__, "--child", side]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def _medians(results: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(result[name] for result in results) for name in results[0]}


def _print_table(medians: dict[str, dict[str, float]], runs: int) -> None:
    print(f"median of {runs} runs", *(f"{side:>17}" for side in SIDES))
    for name, unit in {"build": "s", "train": "s", "peak": "MB"}.items():
        by_hand = medians["by hand"][name]
        told = [f"{m[name]:>8.2f} {unit:<2} {m[name] / by_hand:>5.1f}" for m in medians.values()]
        print(f"{name:<15}", *told)


def _equal(root: Path, number: int) -> bool:
    """Whether all sides gave the same rows in the same order, bit for bit."""
    made = (pl.read_parquet(root / f"{side}-{number}" / "train.parquet") for side in SIDES)
    first, *others = (frame.select(sorted(frame.columns)) for frame in made)
    return all(frame.equals(first) for frame in others)


# -- In the child ------------------------------------------------------------------------------


def child(side: str) -> None:
    """Measure one side in the current folder and print the seconds and the peak memory."""
    if side != "by hand":
        _repository()
        seconds = {"build": _time(partial(mlforge_build, side)), "train": _time(mlforge_train)}
    else:
        seconds = {"build": _time(hand_build), "train": _time(hand_train)}
    a_megabyte = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / a_megabyte
    print(json.dumps(seconds | {"peak": peak}))


def _time(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _repository() -> None:
    for command in ("init --quiet", "config user.name Ada", "config user.email ada@example.org"):
        subprocess.run(["git", *command.split()], check=True)


def mlforge_build(engine: str) -> None:
    import mlforge as mlf

    sys.path.insert(0, os.getcwd())
    features = importlib.import_module("features")
    store = mlf.LocalStore("feature_store")
    mlf.Definitions(name="flights", features=[features], offline_store=store).build(engine=engine)


def mlforge_train() -> None:
    import mlforge as mlf

    store = mlf.LocalStore("feature_store")
    spine = pl.read_parquet("data/departures.parquet")
    mlf.get_training_data(
        spine, features=FEATURES, store=store, timestamp="scheduled"
    ).write_parquet("train.parquet")


def hand_build() -> None:
    arrivals = pl.scan_parquet("data/arrivals.parquet")
    for key in ("carrier", "origin"):
        delays(arrivals, key, f"{key}_delays").collect().write_parquet(f"{key}_delays.parquet")
    tails = arrivals.sort("tailnum", "arrival", "departure").unique(
        ["tailnum", "arrival"], keep="last", maintain_order=True
    )
    tails.select("tailnum", "arrival", "departure", last_delay="arr_delay").sink_parquet(
        "tail_last_arrival.parquet"
    )
    planes = pl.scan_parquet("data/planes.parquet")
    planes.select("tailnum", "built", "manufacturer", "seats").sink_parquet("planes.parquet")
    weather = pl.scan_parquet("data/weather.parquet")
    columns = ["origin", "published", "temp", "wind_speed", "precip", "visib"]
    weather.select(columns).sink_parquet("weather.parquet")


def delays(arrivals: pl.LazyFrame, key: str, name: str) -> pl.LazyFrame:
    """The windows at each hour from the key's first arrival on."""
    delay, hour = pl.col("arr_delay"), pl.col("arrival").dt.truncate("1h").dt.offset_by("1h")
    tiles = arrivals.group_by(key, arrival=hour).agg(
        count=delay.count(), sum=delay.sum(), max=delay.max()
    )
    last = tiles.select(pl.col("arrival").max())
    hours = (
        tiles.group_by(key)
        .agg(pl.col("arrival").min())
        .join(last, how="cross")
        .select(key, arrival=pl.datetime_ranges("arrival", "arrival_right", "1h"))
        .explode("arrival")
    )
    dense = hours.join(tiles, on=[key, "arrival"], how="left").sort(key, "arrival")
    zero = pl.col("count", "sum").fill_null(0).cast(pl.Int64)
    columns = [column for window in WINDOWS.items() for column in _windows(key, name, *window)]
    return dense.with_columns(zero).select(key, "arrival", *columns)


def _windows(key: str, name: str, window: str, hours: int) -> list[pl.Expr]:
    count = pl.col("count").rolling_sum(hours, min_samples=1).over(key)
    total = pl.col("sum").rolling_sum(hours, min_samples=1).over(key)
    greatest = pl.col("max").rolling_max(hours, min_samples=1).over(key)
    mean = pl.when(count > 0).then(total / count)
    values = {"count": count, "mean": mean, "max": greatest}
    return [
        value.alias(f"{name}__arr_delay__{aggregation}__1h__{window}")
        for aggregation, value in values.items()
    ]


def hand_train() -> None:
    joined = pl.scan_parquet("data/departures.parquet").with_row_index("row").sort("scheduled")
    for table, key, time_column, oldest in (
        ("carrier_delays", "carrier", "arrival", None),
        ("origin_delays", "origin", "arrival", None),
        ("tail_last_arrival", "tailnum", "arrival", None),
        ("weather", "origin", "published", "6h"),
    ):
        rows = pl.scan_parquet(f"{table}.parquet").rename({time_column: "known"}).sort("known")
        joined = joined.join_asof(
            rows,
            left_on="scheduled",
            right_on="known",
            by=key,
            tolerance=oldest,
            check_sortedness=False,
        ).drop("known")
    planes = pl.scan_parquet("planes.parquet")
    joined = joined.join(planes, on="tailnum", how="left").sort("row").drop("row")
    joined.collect().write_parquet("train.parquet")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--child"]:
        child(arguments[1])
    else:
        main(*[*map(int, arguments), *(5, 1)[len(arguments) :]])
