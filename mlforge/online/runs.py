"""Runs: parts of a load, put together as far as memory goes, for stores that write in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlforge.online.base import Rows
from mlforge.online.matrix import Pile

RUN_BYTES = 512 << 20
# How much longer each run is than the one before, while the one before is written.
_GROWTH = 4


def runs(parts: Iterable[Rows], first: int = RUN_BYTES) -> Iterator[Rows]:
    """The same rows, in parts of at most about 512 MiB; none is empty.

    `first`: bytes of the first part; each is at most four times as long as the one before.
    """
    keys, values = Pile(), Pile()
    size, limit = 0, first
    for part in parts:
        for piece in _pieces(part):
            more = _size(piece)
            if size and size + more > limit:
                yield Rows(keys.array(), values.array())
                keys, values = Pile(), Pile()
                size, limit = 0, min(_GROWTH * limit, RUN_BYTES)
            keys.add(piece.keys)
            values.add(piece.values)
            size += more
    if size:
        yield Rows(keys.array(), values.array())


def _pieces(part: Rows) -> Iterator[Rows]:
    count = len(part.keys)
    if count > 1 and _size(part) > RUN_BYTES:
        half = count // 2
        yield from _pieces(Rows(part.keys.slice(0, half), part.values.slice(0, half)))
        yield from _pieces(Rows(part.keys.slice(half), part.values.slice(half)))
    elif count:
        yield part


def _size(part: Rows) -> int:
    return int(part.keys.nbytes + part.values.nbytes)
