"""Tally: content and nulls of a frame's columns, counted while its rows come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa

from mlforge.arrow import canonical_array
from mlforge.content import Content, ContentHasher, content_hash
from mlforge.errors import InvalidTimes, UnsupportedType
from mlforge.schema import Column, Schema
from mlforge.types.arrow import from_arrow


class Tally:
    """What is told of columns whose rows come in blocks, in their own order.

    Columns are hashed beside what the caller does; `content` waits for them.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(pl.thread_pool_size())
        self._columns: dict[str, _Counted] = {}

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
        """The next rows of these columns."""
        for column in block:
            if column.name not in self._columns:
                self._columns[column.name] = _Counted(column)
            self._columns[column.name].take(column, self._pool)

    def content(self) -> Content:
        """Of the columns of canonical types, in the order in which they came."""
        hashed, digests, rows = list[Column](), dict[str, str](), 0
        for name, counted in self._columns.items():
            digest = counted.digest()
            if counted.column is not None and digest is not None:
                rows = counted.rows
                hashed.append(counted.column)
                digests[name] = digest
        return Content(content_hash(hashed, digests, rows), digests)

    @property
    def nulls(self) -> dict[str, int]:
        """How many rows of each column have none."""
        return {name: counted.nulls for name, counted in self._columns.items()}


class _Counted:
    """One column. `column` None: its type is not canonical."""

    def __init__(self, values: pl.Series) -> None:
        self.column = next(canonical_columns(values.to_frame()), None)
        self.nulls = 0
        self.rows = 0
        self._hasher: ContentHasher | None = None
        if self.column is not None:
            self._hasher = ContentHasher(Schema((), None, (self.column,)))
        self._last: Future[None] | None = None

    def take(self, values: pl.Series, pool: ThreadPoolExecutor) -> None:
        self.nulls += values.null_count()
        self.rows += len(values)
        if self._last is not None:
            self._last.result()
        self._last = pool.submit(self._hash, values)

    def digest(self) -> str | None:
        """None where a value has no canonical form."""
        if self._last is not None:
            self._last.result()
        if self._hasher is None or self.column is None:
            return None
        return self._hasher.content().columns[self.column.name]

    def _hash(self, values: pl.Series) -> None:
        if self._hasher is None:
            return
        try:
            table = values.to_frame().rechunk().to_arrow()
            array = canonical_array(table.column(0), values.name)
        except (UnsupportedType, InvalidTimes, pa.ArrowInvalid):
            self._hasher = None
            return
        self._hasher.update(pa.table({values.name: array}))


def content_of(blocks: Iterable[pl.DataFrame]) -> Content:
    """The content of a frame in its own row order, over the columns of canonical types."""
    with Tally() as tally:
        for block in blocks:
            tally.take(block)
        return tally.content()


def canonical_columns(frame: pl.DataFrame) -> Iterator[Column]:
    """A frame's columns of canonical types, in its order."""
    for column in frame.clear():
        with suppress(UnsupportedType, pa.ArrowInvalid):
            (field,) = column.to_frame().to_arrow().schema
            yield Column(column.name, from_arrow(field.type, column.name))
