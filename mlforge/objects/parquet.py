"""Parquet: the one writer of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mlforge.errors import UnsupportedType
from mlforge.objects.files import storage_errors

# Fixed, so that one writer's equal tables give equal bytes, and small enough that a reader's
# row group of a hundred columns fits the memory.
ROW_GROUP_ROWS = 1 << 18


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as one `TableWriter` does. Raises StorageFailed, UnsupportedType."""
    with TableWriter(path, table.schema) as writer:
        writer.write(table)


class TableWriter:
    """Writes canonical Parquet: zstd, fixed row groups, no field metadata.

    However the rows are cut, they give the same bytes. Raises StorageFailed, and UnsupportedType
    where this release of pyarrow cannot write a type.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._waiting: list[pa.Table] = [schema.remove_metadata().empty_table()]
        self._rows = 0
        self._has_groups = False
        with storage_errors(path):
            self._writer = pq.ParquetWriter(
                path,
                schema.remove_metadata(),
                compression="zstd",
                compression_level=1,
                version="2.6",
                data_page_version="1.0",
                use_dictionary=True,
                write_statistics=True,
                store_schema=True,
            )

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
                if not self._has_groups:
                    self._write(self._waiting[0])
            finally:
                self._writer.close()

    def abandon(self) -> None:
        """Write no more rows: the file is to be removed."""
        with storage_errors(self._path):
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
        self._has_groups = True
        try:
            self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        except pa.ArrowNotImplementedError as error:
            raise UnsupportedType(
                f"pyarrow {pa.__version__} cannot write these columns",
                cause=str(error),
                hint='pip install "pyarrow>=26", which writes fixed lists with nulls',
            ) from error


def read_column(path: Path, name: str) -> pl.Series:
    """One column of a file that this process has written."""
    with storage_errors(path, "read"):
        return pl.read_parquet(path, columns=[name], glob=False)[name]
