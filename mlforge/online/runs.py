"""Runs: parts of a load, put together as far as memory goes, for stores that write in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from mlforge.online.base import Rows

RUN_BYTES = 128 << 20


def runs(parts: Iterable[Rows], first: int = RUN_BYTES) -> Iterator[Rows]:
    """The same rows, in parts of at most about 128 MiB; none is empty.

    `first`: bytes of the first part; each is at most twice as long as the one before.
    """
    run: list[Rows] = []
    size, limit = 0, first
    for part in parts:
        for piece in _pieces(part):
            more = _size(piece)
            if run and size + more > limit:
                yield _joined(run)
                run, size, limit = [], 0, min(2 * limit, RUN_BYTES)
            run.append(piece)
            size += more
    if run:
        yield _joined(run)


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


def _joined(run: list[Rows]) -> Rows:
    return Rows(
        pa.concat_arrays([part.keys for part in run]),
        pa.concat_arrays([part.values for part in run]),
    )
