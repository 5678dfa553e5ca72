"""Batches: a lazy frame's rows, part by part, and all that goes wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Full, Queue
from threading import Event

import polars as pl

# Batches that wait while one is used.
_AHEAD = 2
# Seconds after which a batch that nobody takes looks whether anybody will.
_PATIENCE = 0.1


def batches(frame: pl.LazyFrame, rows: int | None = None) -> Iterator[pl.DataFrame]:
    """The rows of a frame in their order, about so many at a time; it may be none.

    Raises what the frame's computation raises, panics of Polars' engine among it: these only end
    Polars' own `collect_batches`, as if there were no more rows.
    """
    waiting: Queue[pl.DataFrame | None] = Queue(_AHEAD)
    is_over = Event()

    def hand_on(batch: pl.DataFrame | None) -> bool:
        """Answers whether that is enough."""
        while not is_over.is_set():
            try:
                waiting.put(batch, timeout=_PATIENCE)
            except Full:
                continue
            return False
        return True

    def work() -> None:
        try:
            frame.sink_batches(hand_on, chunk_size=rows, maintain_order=True)
        finally:
            hand_on(None)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        try:
            while (batch := waiting.get()) is not None:
                yield batch
        finally:
            is_over.set()
        done.result()
