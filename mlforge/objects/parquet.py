"""Parquet: the one writer and the one verified reader of tables."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mlforge.digests import ObjectDigests, is_large
from mlforge.errors import ObjectCorrupt, UnsupportedType
from mlforge.ids import ObjectId, hash_bytes, hash_file
from mlforge.objects.base import ObjectStore
from mlforge.objects.columns import are_whole
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


def read_frame(
    objects: ObjectStore,
    oids: Sequence[ObjectId],
    columns: Sequence[str] | None,
    where: str,
    digests: Mapping[ObjectId, ObjectDigests] | None = None,
) -> pl.DataFrame:
    """The rows of a version's objects, in order, after their bytes were hashed.

    Of a large object with `digests`, only the bytes of `columns` and of what says where they are.
    `where` names feature and version in errors. Raises ObjectNotFound, ObjectCorrupt.
    """
    known = digests or {}
    return pl.concat([_read(objects.path(o), o, columns, where, known.get(o)) for o in oids])


def _read(
    path: Path,
    oid: ObjectId,
    columns: Sequence[str] | None,
    where: str,
    expected: ObjectDigests | None,
) -> pl.DataFrame:
    with storage_errors(path, "read"), path.open("rb") as file:
        if not is_large(os.fstat(file.fileno()).st_size):
            data = file.read()
            _refuse_damaged(data, oid, where)
            return _parse(data, oid, columns, where)
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        # Digests that do not fit decide nothing: the object's name does.
        if columns is None or expected is None or not are_whole(mapped, expected, columns):
            _refuse_damaged(mapped, oid, where)
        # A mapping is copied by Polars; the file of the mapping it maps itself.
        return _parse(file, oid, columns, where)


def _parse(
    data: bytes | IO[bytes], oid: ObjectId, columns: Sequence[str] | None, where: str
) -> pl.DataFrame:
    # Polars reads twice as fast as pyarrow, whose reading threads abort some processes at exit.
    wanted = None if columns is None else list(columns)
    try:
        frame = pl.read_parquet(data, columns=wanted)
    # Before 2.0 Polars panics at some broken files, and a panic is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _corrupt(oid, where, str(error)) from error
    return frame if wanted is None else frame.select(wanted)


def verify_object(path: Path, oid: ObjectId, where: str) -> None:
    """Hash an object's bytes. Raises ObjectCorrupt."""
    with storage_errors(path, "read"):
        if hash_file(path) != oid.hex:
            raise _corrupt(oid, where, _OTHER_BYTES)


def verify_columns(
    path: Path, oid: ObjectId, where: str, columns: Sequence[str], expected: ObjectDigests | None
) -> None:
    """Hash the bytes of some columns of a large object with digests, else all of an object's.

    Raises ObjectCorrupt.
    """
    with storage_errors(path, "read"), path.open("rb") as file:
        if expected is not None and is_large(os.fstat(file.fileno()).st_size):
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            if are_whole(mapped, expected, columns):
                return
    verify_object(path, oid, where)


def _refuse_damaged(data: bytes | memoryview, oid: ObjectId, where: str) -> None:
    if hash_bytes(data) != oid.hex:
        raise _corrupt(oid, where, _OTHER_BYTES)


_OTHER_BYTES = "its bytes do not hash to its name"


def _corrupt(oid: ObjectId, where: str, cause: str) -> ObjectCorrupt:
    return ObjectCorrupt(
        f"{where} is corrupt: no row of it was returned",
        cause=f"object {oid.short}: {cause}",
        hint=f"mlforge build --force -f {where.partition('@')[0]}",
    )
