"""Surrogate keys: rows a second, beside plain BLAKE3 of each distinct row in a Python loop.

    python benchmarks/surrogate.py [ROWS]

Two short columns, a string and an integer, of that many rows (4,000,000): once with 50,000
distinct pairs, once with all distinct. The least of three runs of each, in turns. The loop hashes
the distinct pairs, already written as bytes, and does nothing else. Aim: 2 million rows a second
with 50,000 distinct pairs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import polars as pl

from mlforge.engines.surrogate import surrogate_key
from mlforge.ids import Hasher

DISTINCT = 50_000
TURNS = 3


def frame(rows: int, distinct: int) -> pl.DataFrame:
    number = pl.int_range(rows).mod(distinct)
    return pl.select(
        name=pl.concat_str(pl.lit("n"), number // 7), number=number.cast(pl.Int32)
    ).sample(fraction=1.0, shuffle=True, seed=7)


def hashed(rows: list[bytes]) -> list[str]:
    return [Hasher().update(row).hexdigest() for row in rows]


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(rows: int, distinct: int) -> None:
    table = frame(rows, distinct)
    pairs = [f"{name}/{number}".encode() for name, number in table.unique().iter_rows()]
    assert len(pairs) == distinct
    keys: list[float] = []
    loop: list[float] = []
    for _ in range(TURNS):
        keys.append(timed(lambda: table.select(surrogate_key("name", "number"))))
        loop.append(timed(lambda: hashed(pairs)))
    speed, times = rows / min(keys) / 1e6, min(keys) / min(loop)
    print(f"{rows:,} rows, {distinct:,} distinct: {speed:.2f} M rows/s, {times:.1f} times the loop")


def main(rows: int) -> None:
    measure(rows, min(DISTINCT, rows))
    measure(rows, rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 4_000_000)
