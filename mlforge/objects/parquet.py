"""Parquet: the one writer and the one verified reader of tables. The home of pyarrow.parquet."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

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
    """Write canonical Parquet: zstd, fixed row groups, no field metadata. Raises StorageFailed.

    Raises UnsupportedType where this release of pyarrow cannot write a type.
    """
    try:
        _write(table, path)
    except pa.ArrowNotImplementedError as error:
        raise UnsupportedType(
            f"pyarrow {pa.__version__} cannot write these columns",
            cause=str(error),
            hint='pip install "pyarrow>=26", which writes fixed lists with nulls',
        ) from error


def _write(table: pa.Table, path: Path) -> None:
    with storage_errors(path):
        pq.write_table(
            table.replace_schema_metadata(None).combine_chunks(),
            path,
            row_group_size=ROW_GROUP_ROWS,
            compression="zstd",
            compression_level=1,
            version="2.6",
            data_page_version="1.0",
            use_dictionary=True,
            write_statistics=True,
            store_schema=True,
        )


def read_frame(
    objects: ObjectStore, oids: Sequence[ObjectId], columns: Sequence[str] | None, where: str
) -> pl.DataFrame:
    """The rows of a version's objects, in order, after their bytes were hashed.

    `where` names feature and version in errors. Raises ObjectNotFound, ObjectCorrupt.
    """
    return pl.concat([_read(objects.path(oid), oid, columns, where) for oid in oids])


def _read(path: Path, oid: ObjectId, columns: Sequence[str] | None, where: str) -> pl.DataFrame:
    # Polars reads twice as fast as pyarrow, whose reading threads abort some processes at exit.
    data = verified_bytes(path, oid, where)
    wanted = None if columns is None else list(columns)
    try:
        frame = pl.read_parquet(cast("IO[bytes]", data), columns=wanted)
    # Before 2.0 Polars panics at some broken files, and a panic is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _corrupt(oid, where, str(error)) from error
    return frame if wanted is None else frame.select(wanted)


def verified_bytes(path: Path, oid: ObjectId, where: str) -> bytes | mmap.mmap:
    """An object's bytes, hashed before they are returned. Raises ObjectCorrupt."""
    data = _load(path)
    if hash_bytes(memoryview(data)) != oid.hex:
        raise _corrupt(oid, where, "its bytes do not hash to its name")
    return data


def _load(path: Path) -> bytes | mmap.mmap:
    with storage_errors(path, "read"), path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < _MAPPED_FROM_BYTES:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _corrupt(oid: ObjectId, where: str, cause: str) -> ObjectCorrupt:
    return ObjectCorrupt(
        f"{where} is corrupt: no row of it was returned",
        cause=f"object {oid.short}: {cause}",
        hint=f"mlforge build --force -f {where.partition('@')[0]}",
    )
