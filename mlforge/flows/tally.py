"""Tally: content and nulls of a frame's columns, counted while its rows come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa

from mlforge.arrow import canonical_array
from mlforge.content import ColumnHasher, Content, column_hasher, content_hash
from mlforge.errors import InvalidTimes, UnsupportedType
from mlforge.schema import Column
from mlforge.types.arrow import from_arrow

# Values that are worth a task of their own: fewer are hashed together with other columns.
_TASK_VALUES = 1 << 20
# The first rows may be few, and those after them not.
_TASK_ROWS = 1 << 14


class Tally:
    """What is told of columns whose rows come in blocks, in their own order.

    `nulls`: how many rows of each column have none. Columns are hashed beside what the caller does;
    `content` waits for them.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(pl.thread_pool_size())
        self._groups: dict[tuple[str, ...], list[_Group]] = {}
        self.nulls = Counter[str]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, block: pl.DataFrame) -> None:
        """The next rows of these columns, which always come together."""
        names = tuple(block.columns)
        if names not in self._groups:
            width = max(1, _TASK_VALUES // max(block.height, _TASK_ROWS))
            parts = (names[start : start + width] for start in range(0, len(names), width))
            self._groups[names] = [_Group(part) for part in parts]
        for column in block.get_columns():
            self.nulls[column.name] += column.null_count()
        for group in self._groups[names]:
            group.take(block, self._pool)

    def content(self) -> Content:
        """Of the columns of canonical types, in the order in which they came."""
        groups = [group for groups in self._groups.values() for group in groups]
        digests = {name: digest for group in groups for name, digest in group.digests().items()}
        hashed = [column for group in groups for column in group.columns if column.name in digests]
        rows = max((group.rows for group in groups), default=0)
        return Content(content_hash(hashed, digests, rows), digests)


class _Group:
    """Columns that are hashed one after the other. `columns`: those whose types are canonical."""

    def __init__(self, names: Sequence[str]) -> None:
        self.columns = list[Column]()
        self.rows = 0
        self._names = [*names]
        self._hashers = dict[str, ColumnHasher]()
        self._last: Future[None] | None = None

    def take(self, block: pl.DataFrame, pool: ThreadPoolExecutor) -> None:
        self.rows += block.height
        self._wait()
        self._last = pool.submit(self._hash, block)

    def digests(self) -> dict[str, str]:
        """By column; those are not here of which a value has no canonical form."""
        self._wait()
        return {name: hasher.digest().hex() for name, hasher in self._hashers.items()}

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()

    def _hash(self, block: pl.DataFrame) -> None:
        if not self.columns:
            self.columns += canonical_columns(block[self._names])
            self._hashers |= {column.name: column_hasher(column.type) for column in self.columns}
        if not self._hashers:
            return
        table = block[[*self._hashers]].rechunk().to_arrow()
        for name, column in zip(list(self._hashers), table.columns, strict=True):
            try:
                values = canonical_array(column, name)
            except (UnsupportedType, InvalidTimes, pa.ArrowInvalid):
                del self._hashers[name]
            else:
                self._hashers[name].add(values)


def content_of(blocks: Iterable[pl.DataFrame]) -> Content:
    """The content of a frame in its own row order, over the columns of canonical types."""
    with Tally() as tally:
        for block in blocks:
            tally.take(block)
        return tally.content()


def canonical_columns(frame: pl.DataFrame) -> Iterator[Column]:
    """A frame's columns of canonical types, in its order."""
    for field in _fields(frame.clear()):
        with suppress(UnsupportedType):
            yield Column(field.name, from_arrow(field.type, field.name))


def _fields(frame: pl.DataFrame) -> Sequence[pa.Field]:
    """Those of a frame without rows that Arrow knows."""
    try:
        return list(frame.to_arrow().schema)
    except pa.ArrowInvalid:
        if frame.width == 1:
            return []
        half = frame.width // 2
        return [*_fields(frame[:, :half]), *_fields(frame[:, half:])]
