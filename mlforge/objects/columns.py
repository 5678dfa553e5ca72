"""Columns: where a Parquet file has the bytes of each column, and their digests."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlforge.digests import ObjectDigests
from mlforge.errors import ObjectCorrupt
from mlforge.ids import BytesDigest, ObjectId, hash_bytes, hash_pieces
from mlforge.objects.files import storage_errors
from mlforge.parallel import on_all_cores

_MAGIC = b"PAR1"
# After the footer: its length in 4 bytes, and the magic.
_TAIL = 8
# Read at a time, so that what is hashed is still in the cache.
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a Parquet file has its columns, as its footer says.

    `groups`: how many rows each row group has. `chunks`: by column, in the order of the row
    groups; of a nested one, all its leaves'. `flat`: the columns that are not nested, may have
    nulls, and are not compressed.
    """

    path: Path
    groups: tuple[int, ...]
    chunks: Mapping[str, Sequence[slice]]
    flat: frozenset[str]

    @property
    def height(self) -> int:
        """How many rows there are."""
        return sum(self.groups)

    def digests(self, columns: Iterable[str]) -> dict[str, BytesDigest]:
        """Of these columns' bytes, hashed by all cores. Raises OSError."""
        names = list(columns)
        return dict(zip(names, on_all_cores(self._digest, names), strict=True))

    def _digest(self, column: str) -> BytesDigest:
        with self.path.open("rb", buffering=0) as file:
            pieces = (piece for chunk in self.chunks[column] for piece in _pieces(file, chunk))
            return BytesDigest(hash_pieces(pieces))


def digest_columns(path: Path, oid: ObjectId) -> ObjectDigests:
    """The digests of an object that is known to be whole. Raises ObjectCorrupt, StorageFailed."""
    with storage_errors(path, "read"):
        footer, size = _footer(path)
        layout = _layout(path, footer, None, size)
        return ObjectDigests(oid, BytesDigest(hash_bytes(footer)), layout.digests(layout.chunks))


def layout_of(path: Path, expected: ObjectDigests, columns: Sequence[str]) -> Layout | None:
    """Where a file has these columns; None if its footer is not the expected one, or has not all.

    No bytes but the footer and a column's own say what the column holds. Raises OSError.
    """
    try:
        footer, size = _footer(path)
        # Nothing of a footer is looked at before it is known.
        if hash_bytes(footer) != expected.footer.hex:
            return None
        layout = _layout(path, footer, columns, size)
    except ObjectCorrupt:
        return None
    are_known = all(name in layout.chunks and name in expected.columns for name in columns)
    return layout if are_known else None


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


def _layout(path: Path, footer: bytes, wanted: Collection[str] | None, size: int) -> Layout:
    """`size`: of the file."""
    try:
        # As a file of nothing but a footer, which says where all the rest is.
        metadata = pq.read_metadata(pa.BufferReader(_MAGIC + footer))
        groups = list(map(metadata.row_group, range(metadata.num_row_groups)))
        chunks, flat = _chunks(metadata.schema, groups, wanted)
    # Names that are no text are a ValueError, as most of Arrow's own errors are.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ObjectCorrupt("its footer cannot be read", cause=str(error)) from error
    _refuse_odd_places(chunks.values(), size - len(footer))
    return Layout(path, tuple(group.num_rows for group in groups), chunks, flat)


def _chunks(
    schema: pq.ParquetSchema, groups: Sequence[pq.RowGroupMetaData], wanted: Collection[str] | None
) -> tuple[dict[str, list[slice]], frozenset[str]]:
    """The chunks of a layout, and its flat columns."""
    leaves = list(map(schema.column, range(len(schema))))
    names = [leaf.path.partition(".")[0] for leaf in leaves]
    own = [at for at, name in enumerate(names) if wanted is None or name in wanted]
    found: dict[str, list[slice]] = {names[at]: [] for at in own}
    packed = set[str]()
    for group in groups:
        for at in own:
            chunk = group.column(at)
            found[names[at]].append(_place(chunk))
            if chunk.compression != "UNCOMPRESSED":
                packed.add(names[at])
    levels = {leaf.path: (leaf.max_definition_level, leaf.max_repetition_level) for leaf in leaves}
    flat = (
        name
        for name, chunks in found.items()
        if levels.get(name) == (1, 0) and len(chunks) == len(groups)
    )
    return found, frozenset(flat) - packed


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
