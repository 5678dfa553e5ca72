"""Proven: an object's file, of which each column is hashed before it is read, or while it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from mlforge.digests import ObjectDigests, is_large
from mlforge.errors import ObjectCorrupt
from mlforge.ids import BytesDigest, ObjectId, hash_file
from mlforge.objects.columns import Layout, layout_of
from mlforge.objects.files import storage_errors
from mlforge.objects.plain import plain_columns, read_plain

OTHER_BYTES = "its bytes do not hash to its name"


class ProvenFile:
    """A file that says to be an object, of which nothing is to be read before it is proven.

    If it is large, has digests, and `columns` are all that will be read of it, each of them is
    hashed when it is asked for; else the whole file at the beginning. `where` names feature and
    version in errors. All methods raise ObjectCorrupt and StorageFailed.
    """

    def __init__(
        self,
        path: Path,
        oid: ObjectId,
        where: str,
        columns: Sequence[str] | None,
        expected: ObjectDigests | None,
    ) -> None:
        self._path, self._oid, self._where = path, oid, where
        self._layout: Layout | None = None
        self._expected = dict[str, BytesDigest]()
        self._proven = set[str]()
        if columns is not None and expected is not None and is_large(size_of(path)):
            self._expected.update(expected.columns)
            with storage_errors(path, "read"):
                self._layout = layout_of(path, expected, columns)
        if self._layout is None:
            verify_object(path, oid, where)

    def prove(self, columns: Sequence[str]) -> None:
        """Hash those of the columns that are not hashed yet."""
        left = [name for name in columns if name not in self._proven]
        if self._layout is not None and left:
            with storage_errors(self._path, "read"):
                found = self._layout.digests(left)
            self._settle(found)

    def plain(self, dtypes: Mapping[str, pl.DataType]) -> Mapping[str, pl.DataType]:
        """Those of the columns that `take_plain` may have."""
        return {} if self._layout is None else plain_columns(self._layout, dtypes)

    @property
    def height(self) -> int | None:
        """How many rows there are; None where no column may be plain."""
        return None if self._layout is None else self._layout.height

    def take_plain(
        self, columns: Mapping[str, pl.DataType], is_wanted: pl.Series
    ) -> dict[str, pl.Series]:
        """The wanted rows of those columns that it has plainly: hashed and read at once."""
        assert self._layout is not None
        with storage_errors(self._path, "read"):
            read = read_plain(self._layout, columns, is_wanted)
        self._settle({name: digest for name, (digest, _) in read.items()})
        # Bytes that did not fit may have been others than those that then proved to be right.
        fit = (name for name, (digest, _) in read.items() if digest == self._expected[name])
        return {name: values for name in fit if (values := read[name][1]) is not None}

    def _settle(self, found: Mapping[str, BytesDigest]) -> None:
        # Digests that do not fit decide nothing: the object's name does, of all columns.
        if any(digest != self._expected[name] for name, digest in found.items()):
            verify_object(self._path, self._oid, self._where)
            self._proven |= self._expected.keys()
        self._proven |= found.keys()


def verify_object(path: Path, oid: ObjectId, where: str) -> None:
    """Hash an object's bytes. Raises ObjectCorrupt."""
    with storage_errors(path, "read"):
        if hash_file(path) != oid.hex:
            raise corrupt([oid], where, OTHER_BYTES)


def size_of(path: Path) -> int:
    """In bytes. Raises StorageFailed."""
    with storage_errors(path, "read"):
        return path.stat().st_size


def corrupt(oids: Sequence[ObjectId], where: str, cause: str) -> ObjectCorrupt:
    """What is told of an object of which no row may be read."""
    return ObjectCorrupt(
        f"{where} is corrupt: no row of it was returned",
        cause=f"object {', '.join(oid.short for oid in oids)}: {cause}",
        hint=f"mlforge build --force -f {where.partition('@')[0]}",
    )
