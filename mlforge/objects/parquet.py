"""Parquet: the one writer of tables."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from io import BytesIO
from pathlib import Path
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlforge.errors import UnsupportedType
from mlforge.objects.files import storage_errors

# Fixed, so that one writer's equal tables give equal bytes, and small enough that a reader's
# row group of a hundred columns fits the memory, and of one column the cache.
ROW_GROUP_ROWS = 1 << 17
# One for all numbers of a row group, which `plain` reads; text, which is longer, has several.
_PAGE_BYTES = 2 * 8 * ROW_GROUP_ROWS
# Releases that know no limit of rows have none.
_KNOWS_ROWS = "max_rows_per_page" in signature(pq.ParquetWriter.__init__).parameters
_ROWS_OF_A_PAGE = {"max_rows_per_page": ROW_GROUP_ROWS} if _KNOWS_ROWS else {}
_CODEC = "zstd"
_LEVEL = 1
# What compression leaves of a column at most: unpacking more takes longer than reading it.
_MOST_LEFT = 0.75
_TRIED_ROWS = 1 << 14


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as one `TableWriter` does. Raises StorageFailed, UnsupportedType."""
    with TableWriter(path, table.schema) as writer:
        writer.write(table)


class TableWriter:
    """Writes canonical Parquet: fixed row groups, no field metadata.

    The first row group says which columns repeat their values, and have dictionaries, and which
    are worth compression. However the rows are cut, they give the same bytes. Raises
    StorageFailed, and UnsupportedType where this release of pyarrow cannot write a type.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._waiting: list[pa.Table] = [schema.remove_metadata().empty_table()]
        self._rows = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self.close()
        else:
            self.abandon()

    def close(self) -> None:
        """Write what waits, and the footer."""
        with storage_errors(self._path):
            try:
                self._flush(1)
                if self._writer is None:
                    self._write(self._waiting[0])
            finally:
                self._end()

    def abandon(self) -> None:
        """Write no more rows: the file is to be removed."""
        with storage_errors(self._path):
            self._end()

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Go on with the next rows; whole row groups are written, the rest waits."""
        self._waiting.append(table.replace_schema_metadata(None))
        self._rows += table.num_rows
        with storage_errors(self._path):
            self._flush(ROW_GROUP_ROWS)

    def _flush(self, least: int) -> None:
        if self._rows < least:
            return
        table = pa.concat_tables(self._waiting)
        while self._rows >= least:
            rows = min(self._rows, ROW_GROUP_ROWS)
            self._write(table.slice(0, rows).combine_chunks())
            table, self._rows = table.slice(rows), self._rows - rows
        self._waiting = [table]

    def _write(self, group: pa.Table) -> None:
        try:
            if self._writer is None:
                self._writer = _opened(self._path, group)
            self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        except pa.ArrowNotImplementedError as error:
            raise UnsupportedType(
                f"pyarrow {pa.__version__} cannot write these columns",
                cause=str(error),
                hint='pip install "pyarrow>=26", which writes fixed lists with nulls',
            ) from error


def _opened(path: Path, group: pa.Table) -> pq.ParquetWriter:
    """A file whose first rows these are."""
    leaves = (leaf for name in group.column_names for leaf in _leaves(name, group[name]))
    repeated = [leaf for leaf, values in leaves if _repeats(values)]
    tried = BytesIO()
    with _writer(tried, group.schema, repeated, _CODEC, _LEVEL) as writer:
        writer.write_table(group.slice(0, _TRIED_ROWS))
    chunks = pq.read_metadata(tried).row_group(0)
    codecs, levels = dict[str, str](), dict[str, int]()
    for chunk in map(chunks.column, range(chunks.num_columns)):
        codecs[chunk.path_in_schema] = "none"
        if chunk.total_compressed_size <= _MOST_LEFT * chunk.total_uncompressed_size:
            codecs[chunk.path_in_schema] = _CODEC
            levels[chunk.path_in_schema] = _LEVEL
    return _writer(path, group.schema, repeated, codecs, levels)


def _writer(
    where: Path | BytesIO,
    schema: pa.Schema,
    dictionaries: list[str],
    codecs: str | dict[str, str],
    levels: int | dict[str, int],
) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        where,
        schema,
        compression=codecs,
        compression_level=levels,
        version="2.6",
        data_page_version="1.0",
        use_dictionary=dictionaries,
        write_statistics=True,
        store_schema=True,
        data_page_size=_PAGE_BYTES,
        **_ROWS_OF_A_PAGE,
    )


def _leaves(path: str, values: pa.ChunkedArray) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """What a column is stored as, by Parquet's names."""
    if pa.types.is_struct(values.type):
        for field, inner in zip(values.type, values.flatten(), strict=True):
            yield from _leaves(f"{path}.{field.name}", inner)
    elif pa.types.is_large_list(values.type) or pa.types.is_fixed_size_list(values.type):
        yield from _leaves(f"{path}.list.element", pc.list_flatten(values))
    else:
        yield path, values


def _repeats(values: pa.ChunkedArray) -> bool:
    """Whether its values are there twice or more: else a dictionary takes more space and time."""
    # Of lists there are more than rows.
    known = pl.Series(values.slice(0, ROW_GROUP_ROWS)).drop_nulls()
    return 2 * known.n_unique() <= len(known)


def read_column(path: Path, name: str) -> pl.Series:
    """One column of a file that this process has written."""
    with storage_errors(path, "read"):
        return pl.read_parquet(path, columns=[name], glob=False)[name]
