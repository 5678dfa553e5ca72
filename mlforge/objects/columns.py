"""Columns: where a Parquet file has the bytes of each column, and their digests."""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlforge.digests import ObjectDigests
from mlforge.errors import MlforgeError, ObjectCorrupt
from mlforge.ids import BytesDigest, ObjectId, hash_bytes, hash_pieces
from mlforge.objects.files import storage_errors

_MAGIC = b"PAR1"
# After the footer: its length in 4 bytes, and the magic.
_TAIL = 8


def digest_columns(path: Path, oid: ObjectId) -> ObjectDigests:
    """The digests of an object that is known to be whole. Raises ObjectCorrupt, StorageFailed."""
    with storage_errors(path, "read"), path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    footer = _footer(data)
    columns = {name: _digest(data, chunks) for name, chunks in _chunks(data, None).items()}
    return ObjectDigests(oid, BytesDigest(hash_bytes(footer)), columns)


def are_whole(data: memoryview, expected: ObjectDigests, columns: Sequence[str]) -> bool:
    """Whether a file's footer and these of its columns have the digests that they should have.

    No other byte of the file says what these columns hold.
    """
    try:
        # Nothing of a footer is looked at before it is known.
        if hash_bytes(_footer(data)) != expected.footer.hex:
            return False
        chunks = _chunks(data, columns)
    except MlforgeError:
        return False
    return all(
        name in chunks and _digest(data, chunks[name]) == expected.columns.get(name)
        for name in columns
    )


def _digest(data: memoryview, chunks: Iterable[slice]) -> BytesDigest:
    return BytesDigest(hash_pieces(data[chunk] for chunk in chunks))


def _footer(data: memoryview) -> memoryview:
    """From the footer's first byte to the end of the file."""
    length = int.from_bytes(data[-_TAIL:-4], "little")
    begin = len(data) - _TAIL - length
    if data[:4] != _MAGIC or data[-4:] != _MAGIC or begin < len(_MAGIC):
        raise ObjectCorrupt("it is no Parquet file")
    return data[begin:]


def _chunks(data: memoryview, wanted: Collection[str] | None) -> Mapping[str, list[slice]]:
    """By column, its chunks in the order of the row groups; of a nested one, all its leaves'."""
    try:
        found = _told(pq.read_metadata(pa.BufferReader(pa.py_buffer(data))), wanted)
    # Names that are no text are a ValueError, as most of Arrow's own errors are.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ObjectCorrupt("its footer cannot be read", cause=str(error)) from error
    _refuse_odd_places(found.values(), len(data) - len(_footer(data)))
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
