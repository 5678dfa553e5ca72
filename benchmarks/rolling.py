"""Rolling: windows over 10 M events with each engine and by hand in Polars, side by side.

    python benchmarks/rolling.py [RUNS] [EVENTS]

Interval 1 d, windows of 7 d and 30 d over 100,000 entities. Two kinds of events: receipts of the
Complete Journey, grown (many at one moment, ten visits a year), and events that are spread evenly
over 90 days. Each run is a process of its own, in turn; a row is a median. The hand-written
pipeline is the natural one: daily tiles, `rolling` over groups, sums of floats as they come.
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

TRANSACTIONS = Path(__file__).resolve().parents[1] / "examples" / "transactions"
WINDOWS = ("7d", "30d")
BASIC = ("count", "sum", "mean", "min", "max")
WORK = {"five": BASIC, "and std": (*BASIC, "std"), "median": ("median",)}
SIDES = ("by hand", "polars", "duckdb")
NOT_BY_HAND = """\
By hand, rows stand where an event is; in mlforge also where one leaves a window, so that an as-of
join is right at every moment ("rows" says how many). By hand, sums depend on the order of the rows:
the last line says how many of its sums over 30 d are not the exact ones."""


def main(runs: int, events: int) -> None:
    """Run all sides in turn and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in WRITERS:
            source = Path(folder) / f"{kind}.parquet"
            # Not here: a process begins with the peak of the one that it came from.
            command = [sys.executable, __file__, "--write", kind, str(source), str(events)]
            subprocess.run(command, check=True)
            print(f"\n{events:,} events, {kind}; medians of {runs} runs", flush=True)
            print("                     time   ratio    memory   ratio         rows")
            for work in WORK:
                measured: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
                for _ in range(runs):
                    for side, results in measured.items():
                        results.append(_run_in_child(side, work, source))
                _print({side: _medians(results) for side, results in measured.items()}, work)
            command = [sys.executable, __file__, "--differing", str(source)]
            subprocess.run(command, check=True)
    print(NOT_BY_HAND)


def _run_in_child(side: str, work: str, source: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", side, work, str(source)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def _medians(results: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(result[name] for result in results) for name in results[0]}


def _print(medians: dict[str, dict[str, float]], work: str) -> None:
    for side, found in medians.items():
        seconds, peak = (found[name] / medians["by hand"][name] for name in ("seconds", "peak"))
        print(
            f"{work:<9} {side:<8} {found['seconds']:5.2f} s {seconds:6.2f}",
            f"{found['peak']:7.0f} MB {peak:6.2f} {found['rows']:12,.0f}",
            flush=True,
        )


# -- the events --------------------------------------------------------------------------------


def write_receipts(path: Path, events: int) -> None:
    """The transactions again and again, each time with their baskets dealt to other customers."""
    sys.path.insert(0, str(TRANSACTIONS))
    from prepare import transactions

    lines, parts = transactions(), []
    for turn in range(-(-events // len(lines))):
        dealt = pl.col("basket_id").cast(pl.Int64).hash(seed=turn) % 41
        parts.append(
            lines.select(
                user_id=pl.col("household_id").cast(pl.Int64) * 41 + dealt.cast(pl.Int64),
                event_time="at",
                amount="sales_value",
            )
        )
    grown = pl.concat(parts).head(events)
    grown.sample(fraction=1, shuffle=True, seed=1).write_parquet(path)


def write_even(path: Path, events: int) -> None:
    """Amounts at moments that nothing connects."""
    import numpy as np

    rng = np.random.default_rng(1)
    start, day = 1_700_000_000_000_000, 86_400_000_000
    pl.DataFrame(
        {
            "user_id": rng.integers(0, 100_000, events),
            "event_time": pl.Series(start + rng.integers(0, 90 * day, events)).cast(
                pl.Datetime("us", "UTC")
            ),
            "amount": rng.lognormal(3, 1.2, events).round(2),
        }
    ).write_parquet(path)


WRITERS = {"receipts": write_receipts, "even": write_even}


# -- in the child ------------------------------------------------------------------------------


def child(side: str, work: str, source: Path) -> None:
    """Measure one side, from the file to a table in memory."""
    compute = by_hand if side == "by hand" else prepared(side)
    started = time.perf_counter()
    rows = compute(source, WORK[work])
    seconds = time.perf_counter() - started
    a_megabyte = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / a_megabyte
    print(json.dumps({"seconds": seconds, "peak": peak, "rows": rows.height}))


def prepared(side: str):  # type: ignore[no-untyped-def]
    """An engine of mlforge, loaded as by hand Polars is."""
    import mlforge as mlf
    from mlforge.definitions.feature import parse
    from mlforge.engines.base import SourceFiles
    from mlforge.plugins import load_engine
    from mlforge.testing.engines import run

    engine = load_engine(side)

    def compute(source: Path, aggregations: tuple[str, ...]) -> pl.DataFrame:
        @mlf.feature(
            keys=["user_id"],
            source=str(source),
            timestamp="event_time",
            interval="1d",
            metrics=[mlf.Rolling(WINDOWS, {"amount": aggregations})],
        )
        def f(events: pl.LazyFrame) -> pl.LazyFrame:
            return events

        feature, problems = parse(f)
        assert feature is not None, problems
        return run(engine, feature, SourceFiles((source,), "parquet", {})).frame

    return compute


def by_hand(source: Path, aggregations: tuple[str, ...]) -> pl.DataFrame:
    """Daily tiles, then `rolling` over each user's; a median needs the events themselves."""
    events, x = pl.scan_parquet(source), pl.col("amount")
    if aggregations == ("median",):
        ordered = events.sort("user_id", "event_time").collect()
        made = {"median": x.median()}
        frames = [_rolled(ordered, "event_time", window, made) for window in WINDOWS]
    else:
        tiles = (
            events.group_by("user_id", day=pl.col("event_time").dt.truncate("1d"))
            .agg(count=x.count(), sum=x.sum(), min=x.min(), max=x.max(), squares=(x * x).sum())
            .sort("user_id", "day")
            .select("user_id", "day", *_tiled(aggregations))
            .collect()
        )
        frames = [_windows(tiles, window, "std" in aggregations) for window in WINDOWS]
    return pl.concat([frames[0], frames[1].drop(frames[1].columns[:2])], how="horizontal")


def _tiled(aggregations: tuple[str, ...]) -> list[str]:
    return ["count", "sum", "min", "max", *(["squares"] if "std" in aggregations else [])]


def _windows(tiles: pl.DataFrame, window: str, has_std: bool) -> pl.DataFrame:
    made = {name: pl.col(name).sum() for name in tiles.columns[2:]}
    made |= {"min": pl.col("min").min(), "max": pl.col("max").max()}
    rolled = _rolled(tiles, "day", window, made)
    count, total = pl.col(f"count{window}"), pl.col(f"sum{window}")
    rolled = rolled.with_columns((total / count).alias(f"mean{window}"))
    if not has_std:
        return rolled
    squares = f"squares{window}"
    variance = (pl.col(squares) - total**2 / count) / (count - 1)
    return rolled.with_columns(variance.clip(0).sqrt().alias(f"std{window}")).drop(squares)


def _rolled(frame: pl.DataFrame, by: str, window: str, made: dict[str, pl.Expr]) -> pl.DataFrame:
    named = [expression.alias(name + window) for name, expression in made.items()]
    return frame.rolling(by, period=window, group_by="user_id").agg(named)


def differing(source: Path) -> str:
    """How many of the hand-written sums are not the exact ones, at the rows that both have."""
    ours = prepared("polars")(source, ("sum",))
    theirs = by_hand(source, BASIC).with_columns(event_time=pl.col("day").dt.offset_by("1d"))
    both = ours.join(theirs, on=["user_id", "event_time"])
    exact, inexact = both["f__amount__sum__1d__30d"], both["sum30d"]
    share = (exact != inexact).mean()
    return f"by hand, {share:.0%} of {len(both):,} sums over 30 d are not the exact ones"


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--child"]:
        child(arguments[1], arguments[2], Path(arguments[3]))
    elif arguments[:1] == ["--write"]:
        WRITERS[arguments[1]](Path(arguments[2]), int(arguments[3]))
    elif arguments[:1] == ["--differing"]:
        print(differing(Path(arguments[1])))
    else:
        main(
            int(arguments[0]) if arguments else 5,
            int(arguments[1]) if arguments[1:] else 10_000_000,
        )
