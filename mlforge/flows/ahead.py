"""Ahead: the rows of the next feature are read while one is joined."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import polars as pl

from mlforge.flows.joining import Joining

# Larger objects wait for their turn: two tables are in memory while one is read ahead.
_MOST_BYTES = 128 << 20


class Ahead:
    """Opens each of the joinings when it is needed, once, in their order."""

    def __init__(self, joinings: Sequence[Joining]) -> None:
        self._joinings = joinings
        self._pool = ThreadPoolExecutor(1)
        self._opened = 0
        self._next: Future[pl.DataFrame] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def open(self, number: int) -> Joining:
        """The joining of this number, with its rows.

        Raises ObjectNotFound, ObjectCorrupt, ContentDiffers.
        """
        joining = self._joinings[number]
        if number == self._opened:
            table = joining.read() if self._next is None else self._next.result()
            self._opened += 1
            self._next = self._read(self._opened)
            joining.open(table)
        return joining

    def _read(self, number: int) -> Future[pl.DataFrame] | None:
        if number == len(self._joinings):
            return None
        joining = self._joinings[number]
        size = sum(part.bytes for part in joining.selected.manifest.parts)
        return self._pool.submit(joining.read) if size <= _MOST_BYTES else None
