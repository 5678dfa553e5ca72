"""Parquet: the one writer and the one verified reader of tables. The home of pyarrow.parquet."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mlforge.errors import ObjectCorrupt, UnsupportedType
from mlforge.ids import ObjectId, hash_bytes
from mlforge.objects.base import ObjectStore
from mlforge.objects.files import storage_errors

# Fixed, so that one writer's equal tables give equal bytes, and small enough that a reader's
# row group of a hundred columns fits the memory.
ROW_GROUP_ROWS = 1 << 18
# What is hashed in memory and parsed from the same bytes; larger objects are mapped.
_MAPPED_FROM_BYTES = 64 << 20


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


def read_frame(
    objects: ObjectStore, oids: Sequence[ObjectId], columns: Sequence[str] | None, where: str
) -> pl.DataFrame:
    """The rows of a version's objects, in order, after their bytes were hashed.

    `where` names feature and version in errors. Raises ObjectNotFound, ObjectCorrupt.
    """
    return pl.concat([_read(objects.path(oid), oid, columns, where) for oid in oids])


def _read(path: Path, oid: ObjectId, columns: Sequence[str] | None, where: str) -> pl.DataFrame:
    # Polars reads twice as fast as pyarrow, whose reading threads abort some processes at exit.
    wanted = None if columns is None else list(columns)
    try:
        with _opened(path) as file:
            frame = pl.read_parquet(_source(file, oid, where), columns=wanted)
    # Before 2.0 Polars panics at some broken files, and a panic is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _corrupt(oid, where, str(error)) from error
    return frame if wanted is None else frame.select(wanted)


def verified_bytes(path: Path, oid: ObjectId, where: str) -> bytes | mmap.mmap:
    """An object's bytes, hashed before they are returned. Raises ObjectCorrupt."""
    with _opened(path) as file:
        return _verified(file, oid, where)


def _source(file: BufferedReader, oid: ObjectId, where: str) -> bytes | BufferedReader:
    """What Polars parses: of a map it makes a copy, so it maps the open file itself."""
    data = _verified(file, oid, where)
    if isinstance(data, bytes):
        return data
    data.close()
    return file


def _verified(file: BufferedReader, oid: ObjectId, where: str) -> bytes | mmap.mmap:
    data = _load(file)
    if hash_bytes(memoryview(data)) != oid.hex:
        raise _corrupt(oid, where, "its bytes do not hash to its name")
    return data


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    with storage_errors(path, "read"), path.open("rb") as file:
        yield file


def _load(file: BufferedReader) -> bytes | mmap.mmap:
    if os.fstat(file.fileno()).st_size < _MAPPED_FROM_BYTES:
        return file.read()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _corrupt(oid: ObjectId, where: str, cause: str) -> ObjectCorrupt:
    return ObjectCorrupt(
        f"{where} is corrupt: no row of it was returned",
        cause=f"object {oid.short}: {cause}",
        hint=f"mlforge build --force -f {where.partition('@')[0]}",
    )
