"""Ahead: the next feature is verified, and its keys and times read, while one is joined."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from mlforge.flows.joining import Joining

# More rows wait for their turn: two features' times are in memory while one is read ahead.
_MOST_ROWS = 1 << 25


class Ahead:
    """Reads each of the joinings once, in their order; the first one at once."""

    def __init__(self, joinings: Sequence[Joining]) -> None:
        self._joinings = joinings
        self._pool = ThreadPoolExecutor(1)
        self._reads = list[Future[None]]()

    def __enter__(self) -> Self:
        self._read(0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def wait(self, number: int) -> None:
        """Until the joining of this number is read.

        Raises ObjectNotFound, ObjectCorrupt, ContentDiffers.
        """
        if number == len(self._reads):
            self._read(number)
        self._reads[number].result()
        after = number + 1
        if after == len(self._reads) and self._is_small(after):
            self._read(after)

    def _is_small(self, number: int) -> bool:
        few = self._joinings[number : number + 1]
        return any(joining.selected.manifest.rows <= _MOST_ROWS for joining in few)

    def _read(self, number: int) -> None:
        self._reads += [self._pool.submit(j.read) for j in self._joinings[number : number + 1]]
