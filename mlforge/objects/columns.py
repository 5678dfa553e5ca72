"""Columns: where a Parquet file has the bytes of each column, and their digests."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import RawIOBase
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mlforge.digests import ObjectDigests
from mlforge.errors import ObjectCorrupt
from mlforge.ids import BytesDigest, ObjectId, hash_bytes, hash_pieces
from mlforge.objects.files import storage_errors

_MAGIC = b"PAR1"
# After the footer: its length in 4 bytes, and the magic.
_TAIL = 8
# Read at a time, so that what is hashed is still in the cache.
_PIECE = 1 << 20


def digest_columns(path: Path, oid: ObjectId) -> ObjectDigests:
    """The digests of an object that is known to be whole. Raises ObjectCorrupt, StorageFailed."""
    with storage_errors(path, "read"):
        footer, size = _footer(path)
        columns = _digests(path, _chunks(footer, None, size))
    return ObjectDigests(oid, BytesDigest(hash_bytes(footer)), columns)


def are_whole(path: Path, expected: ObjectDigests, columns: Sequence[str]) -> bool:
    """Whether a file's footer and these of its columns have the digests that they should have.

    No other byte of the file says what these columns hold. Raises OSError.
    """
    try:
        footer, size = _footer(path)
        # Nothing of a footer is looked at before it is known.
        if hash_bytes(footer) != expected.footer.hex:
            return False
        chunks = _chunks(footer, columns, size)
    except ObjectCorrupt:
        return False
    if not all(name in chunks and name in expected.columns for name in columns):
        return False
    return all(found == expected.columns[name] for name, found in _digests(path, chunks).items())


def _digests(path: Path, columns: Mapping[str, Sequence[slice]]) -> dict[str, BytesDigest]:
    def digest(chunks: Sequence[slice]) -> BytesDigest:
        with path.open("rb", buffering=0) as file:
            pieces = (piece for chunk in chunks for piece in _pieces(file, chunk))
            return BytesDigest(hash_pieces(pieces))

    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return dict(zip(columns, pool.map(digest, columns.values()), strict=True))


def _pieces(file: RawIOBase, chunk: slice) -> Iterator[memoryview]:
    """The bytes of a place, each piece in the memory of the one before."""
    buffer = memoryview(bytearray(min(_PIECE, chunk.stop - chunk.start)))
    file.seek(chunk.start)
    left = chunk.stop - chunk.start
    while left:
        # A file that has become shorter has another digest.
        if not (size := file.readinto(buffer[:left])):
            return
        yield buffer[:size]
        left -= size


def _footer(path: Path) -> tuple[bytes, int]:
    """From the footer's first byte to the end of the file, and the size of the file."""
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _TAIL, 0))
        tail = file.read(_TAIL)
        begin = size - _TAIL - int.from_bytes(tail[:4], "little")
        if head != _MAGIC or tail[4:] != _MAGIC or begin < len(_MAGIC):
            raise ObjectCorrupt("it is no Parquet file")
        file.seek(begin)
        return file.read(size - begin), size


def _chunks(footer: bytes, wanted: Collection[str] | None, size: int) -> Mapping[str, list[slice]]:
    """By column, its chunks in the order of the row groups; of a nested one, all its leaves'.

    `size`: of the file.
    """
    try:
        # As a file of nothing but a footer, which says where all the rest is.
        found = _told(pq.read_metadata(pa.BufferReader(_MAGIC + footer)), wanted)
    # Names that are no text are a ValueError, as most of Arrow's own errors are.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ObjectCorrupt("its footer cannot be read", cause=str(error)) from error
    _refuse_odd_places(found.values(), size - len(footer))
    return found


def _told(metadata: pq.FileMetaData, wanted: Collection[str] | None) -> dict[str, list[slice]]:
    paths = (metadata.schema.column(leaf).path for leaf in range(metadata.num_columns))
    names = ((leaf, path.partition(".")[0]) for leaf, path in enumerate(paths))
    leaves = [(leaf, name) for leaf, name in names if wanted is None or name in wanted]
    found: dict[str, list[slice]] = {name: [] for _, name in leaves}
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for leaf, name in leaves:
            found[name].append(_place(group.column(leaf)))
    return found


def _place(chunk: pq.ColumnChunkMetaData) -> slice:
    begin = chunk.data_page_offset
    if chunk.has_dictionary_page:
        begin = chunk.dictionary_page_offset
    return slice(begin, begin + chunk.total_compressed_size)


def _refuse_odd_places(columns: Iterable[list[slice]], end: int) -> None:
    """Raise ObjectCorrupt for chunks that overlap, or are not between the magic and the footer."""
    last = len(_MAGIC)
    for begin, stop in sorted((chunk.start, chunk.stop) for chunks in columns for chunk in chunks):
        if not last <= begin <= stop <= end:
            raise ObjectCorrupt("its columns overlap, or are not within the file")
        last = stop
