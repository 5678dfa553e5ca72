"""Content: the speed of `content_hash` beside BLAKE3 over the same bytes, both on one thread.

    python benchmarks/content.py [ROWS]

Prints, for each kind of column, the time of each and the ratio of their speeds. Least of five runs.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

import pyarrow as pa
from blake3 import blake3

from mlforge.arrow import canonical_table, columns_of
from mlforge.content import hash_content
from mlforge.schema import Schema


def seconds(run: Callable[[], object]) -> float:
    """The least of five."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def columns(rows: int) -> dict[str, tuple[pa.Array, float]]:
    """A column of each kind, and the least share of BLAKE3's speed that it should have."""
    chance = random.Random(1)
    numbers = [chance.random() for _ in range(rows)]
    whole = [int(number * 2**40) for number in numbers]
    gaps = [None if number < 0.1 else number for number in numbers]
    texts = [f"user_{number % 100_000}" for number in whole]
    lists = pa.array([numbers[start : start + 8] for start in range(0, rows, 8)])
    return {
        "int64": (pa.array(whole), 0.5),
        "float64": (pa.array(numbers), 0.5),
        "int64 with nulls": (
            pa.array([w if g else None for w, g in zip(whole, gaps, strict=True)]),
            0.25,
        ),
        "float64 with nulls": (pa.array(gaps), 0.25),
        "bool": (pa.array([number < 0.5 for number in numbers]), 0.0),
        "string": (pa.array(texts, pa.large_string()), 0.1),
        "string with nulls": (
            pa.array(
                [t if g else None for t, g in zip(texts, gaps, strict=True)], pa.large_string()
            ),
            0.1,
        ),
        "fixed_list[float64,8]": (pa.FixedSizeListArray.from_arrays(lists.flatten(), 8), 0.25),
    }


def main(rows: int) -> None:
    print(f"{'column':24}{'bytes':>12}{'blake3 s':>10}{'content s':>11}{'ratio':>8}{'aim':>7}")
    for name, (column, aim) in columns(rows).items():
        table = canonical_table(pa.table({"a": column}))
        schema = Schema((), None, columns_of(table.schema))
        data = b"".join(buffer.to_pybytes() for buffer in table["a"].chunk(0).buffers() if buffer)
        raw = seconds(lambda data=data: blake3(data).digest())
        content = seconds(lambda table=table, schema=schema: hash_content(table, schema))
        print(f"{name:24}{len(data):12,}{raw:10.4f}{content:11.4f}{raw / content:8.2f}{aim:7.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 4_000_000)
