"""Scan: the one verified reader of tables: whole, in parts, or some rows of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import polars as pl

from mlforge.batches import batches
from mlforge.digests import ObjectDigests, is_large
from mlforge.errors import ObjectCorrupt
from mlforge.ids import ObjectId, hash_bytes, hash_file
from mlforge.objects.base import ObjectStore
from mlforge.objects.columns import are_whole
from mlforge.objects.files import storage_errors

# No column can be called this: names have no spaces.
_WANTED = "is wanted"
_OTHER_BYTES = "its bytes do not hash to its name"


class Scan:
    """The rows of a version's objects, in order; their bytes are hashed at the beginning.

    Of a large object with `digests`, only the bytes of `columns` and of what says where they are;
    no others may then be read. `where` names feature and version in errors. All methods raise
    ObjectCorrupt and StorageFailed; the beginning raises ObjectNotFound too.
    """

    def __init__(
        self,
        objects: ObjectStore,
        oids: Sequence[ObjectId],
        columns: Sequence[str] | None,
        where: str,
        digests: Mapping[ObjectId, ObjectDigests] | None = None,
    ) -> None:
        known = digests or {}
        self._oids = oids
        self._where = where
        places = [(objects.path(oid), oid) for oid in oids]
        self._first = places[0][0]
        sources: list[bytes | Path]
        if is_large(sum(map(_size, (path for path, _ in places)))):
            for path, oid in places:
                verify_columns(path, oid, where, columns, known.get(oid))
            sources = [path for path, _ in places]
        else:
            sources = [_whole_bytes(path, oid, where) for path, oid in places]
        with self._told():
            # Polars reads twice as fast as pyarrow, whose threads abort some processes at exit.
            self._rows = pl.concat([pl.scan_parquet(source, glob=False) for source in sources])
            if columns is not None:
                self._rows = self._rows.select(columns)
            self.schema = self._rows.collect_schema()

    @cached_property
    def height(self) -> int:
        """How many rows there are, as the footers say."""
        with self._told():
            return int(self._rows.select(pl.len()).collect().item())

    def frame(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """All rows, of all columns if none are named."""
        with self._told():
            return (self._rows if columns is None else self._rows.select(columns)).collect()

    def batches(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """All rows of some columns, in parts; at least one, which may be empty."""
        with self._told():
            yield from batches(self._rows.select(columns))
        yield pl.DataFrame(schema=self.schema).select(columns)

    def where(self, is_wanted: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
        """The rows that are wanted, one flag a row, in the memory of those."""
        flags = is_wanted.alias(_WANTED).to_frame().lazy()
        rows = pl.concat([self._rows.select(columns), flags], how="horizontal")
        with self._told():
            return rows.filter(_WANTED).drop(_WANTED).collect(engine="streaming")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with storage_errors(self._first, "read"):
                yield
        # Before 2.0 Polars panics at some broken files, and a panic is no Exception.
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise _corrupt(self._oids, self._where, str(error)) from error


def read_frame(
    objects: ObjectStore,
    oids: Sequence[ObjectId],
    columns: Sequence[str] | None,
    where: str,
    digests: Mapping[ObjectId, ObjectDigests] | None = None,
) -> pl.DataFrame:
    """All rows of a version's objects, as `Scan` has them."""
    return Scan(objects, oids, columns, where, digests).frame()


def verify_object(path: Path, oid: ObjectId, where: str) -> None:
    """Hash an object's bytes. Raises ObjectCorrupt."""
    with storage_errors(path, "read"):
        if hash_file(path) != oid.hex:
            raise _corrupt([oid], where, _OTHER_BYTES)


def verify_columns(
    path: Path,
    oid: ObjectId,
    where: str,
    columns: Sequence[str] | None,
    expected: ObjectDigests | None,
) -> None:
    """Hash the bytes of some columns of a large object with digests, else all of an object's.

    Raises ObjectCorrupt.
    """
    if columns is not None and expected is not None and is_large(_size(path)):
        with storage_errors(path, "read"):
            # Digests that do not fit decide nothing: the object's name does.
            if are_whole(path, expected, columns):
                return
    verify_object(path, oid, where)


def _size(path: Path) -> int:
    with storage_errors(path, "read"):
        return path.stat().st_size


def _whole_bytes(path: Path, oid: ObjectId, where: str) -> bytes:
    """So small an object's bytes: what is hashed is what is read, whatever becomes of the file."""
    with storage_errors(path, "read"):
        data = path.read_bytes()
    if hash_bytes(data) != oid.hex:
        raise _corrupt([oid], where, _OTHER_BYTES)
    return data


def _corrupt(oids: Sequence[ObjectId], where: str, cause: str) -> ObjectCorrupt:
    return ObjectCorrupt(
        f"{where} is corrupt: no row of it was returned",
        cause=f"object {', '.join(oid.short for oid in oids)}: {cause}",
        hint=f"mlforge build --force -f {where.partition('@')[0]}",
    )
