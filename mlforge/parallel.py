"""Parallel: work in other threads, whose results come in the order of what was given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import polars as pl

A = TypeVar("A")
T = TypeVar("T")


def in_order(work: Callable[[A], T], parts: Iterable[A], workers: int) -> Generator[T]:
    """What becomes of the parts, so many at a time, a few of them ahead of whoever takes them.

    `parts` are asked for in this thread. Raises what `work` raises; then, and where nobody takes
    the rest, what has not begun is left.
    """
    waiting = deque[Future[T]]()
    with ThreadPoolExecutor(workers) as threads:
        try:
            for part in parts:
                waiting.append(threads.submit(work, part))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def on_all_cores(work: Callable[[A], T], parts: Sequence[A]) -> list[T]:
    """What becomes of the parts; of one part no thread is worth its start."""
    if len(parts) <= 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return list(pool.map(work, parts))
