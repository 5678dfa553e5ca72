"""Scan: the one verified reader of tables: whole, in parts, or some rows of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import polars as pl

from mlforge.digests import ObjectDigests, is_large
from mlforge.ids import ObjectId, hash_bytes
from mlforge.objects.base import ObjectStore
from mlforge.objects.files import storage_errors
from mlforge.objects.proven import OTHER_BYTES, ProvenFile, corrupt, size_of

# No column can be called this: names have no spaces.
_WANTED = "is wanted"


class Scan:
    """The rows of a version's objects, in order; of no byte is told that is not hashed.

    Small objects, and those without `digests`, are hashed at the beginning; of a large object with
    digests then only what says where `columns` are, and each column when it is first read: no
    others may be. `is_small`: the bytes are in memory. `where` names feature and version in errors.
    All methods raise ObjectCorrupt and StorageFailed; the beginning raises ObjectNotFound too.
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
        self._files: list[ProvenFile] = []
        sources: list[bytes | Path]
        self.is_small = not is_large(sum(size_of(path) for path, _ in places))
        if self.is_small:
            sources = [_whole_bytes(path, oid, where) for path, oid in places]
        else:
            sources = [path for path, _ in places]
            self._files = [ProvenFile(p, oid, where, columns, known.get(oid)) for p, oid in places]
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
            return self._proven(columns).collect()

    @contextmanager
    def rows(self, columns: Sequence[str]) -> Iterator[pl.LazyFrame]:
        """All rows of some columns, to be read within: there what goes wrong is told."""
        with self._told():
            yield self._proven(columns)

    def where(self, is_wanted: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
        """The rows that are wanted, one flag a row, in the memory of those."""
        with self._told():
            found = self._plain(is_wanted, columns)
            if rest := [name for name in columns if name not in found]:
                flags = is_wanted.alias(_WANTED).to_frame().lazy()
                rows = pl.concat([self._proven(rest), flags], how="horizontal")
                frame = rows.filter(_WANTED).drop(_WANTED).collect(engine="streaming")
                found |= {name: frame[name] for name in rest}
        return pl.DataFrame([found[name].alias(name) for name in columns])

    def _proven(self, columns: Sequence[str] | None) -> pl.LazyFrame:
        names = self.schema.names() if columns is None else columns
        for file in self._files:
            file.prove(names)
        return self._rows.select(names)

    def _plain(self, is_wanted: pl.Series, columns: Sequence[str]) -> dict[str, pl.Series]:
        """The wanted rows of those columns that all files have plainly."""
        dtypes: Mapping[str, pl.DataType] = {name: self.schema[name] for name in columns}
        for file in self._files:
            dtypes = file.plain(dtypes)
        if not (self._files and dtypes):
            return {}
        done, parts = 0, list[dict[str, pl.Series]]()
        for file in self._files:
            height = file.height or 0
            parts.append(file.take_plain(dtypes, is_wanted.slice(done, height)))
            done += height
        if done != len(is_wanted):
            raise corrupt(self._oids, self._where, f"its row groups have {done:,} rows")
        return {n: pl.concat([p[n] for p in parts]) for n in dtypes if all(n in p for p in parts)}

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with storage_errors(self._first, "read"):
                yield
        # Polars panics at some broken files, and a panic is no Exception.
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise corrupt(self._oids, self._where, str(error)) from error


def read_frame(
    objects: ObjectStore,
    oids: Sequence[ObjectId],
    columns: Sequence[str] | None,
    where: str,
    digests: Mapping[ObjectId, ObjectDigests] | None = None,
) -> pl.DataFrame:
    """All rows of a version's objects, as `Scan` has them."""
    return Scan(objects, oids, columns, where, digests).frame()


def _whole_bytes(path: Path, oid: ObjectId, where: str) -> bytes:
    """So small an object's bytes: what is hashed is what is read, whatever becomes of the file."""
    with storage_errors(path, "read"):
        data = path.read_bytes()
    if hash_bytes(data) != oid.hex:
        raise corrupt([oid], where, OTHER_BYTES)
    return data
