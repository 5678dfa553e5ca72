"""Chunks: where Parquet files have their columns' bytes, and how one of them rots."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq


def places(path: Path, *columns: str) -> list[tuple[int, int]]:
    """Begin and end of each chunk of these columns, of all their leaves."""
    metadata = pq.read_metadata(path)
    found = []
    for group in range(metadata.num_row_groups):
        for leaf in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(leaf)
            if chunk.path_in_schema.split(".")[0] in columns:
                begin = chunk.dictionary_page_offset or chunk.data_page_offset
                found.append((begin, begin + chunk.total_compressed_size))
    return found


def footer_place(path: Path) -> tuple[int, int]:
    """From the footer's first byte to the end of the file."""
    data = path.read_bytes()
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little"), len(data)


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Turn one bit of a file that may be read-only."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def flip_column(path: Path, column: str) -> None:
    """Turn a bit in the middle of a column's last chunk."""
    begin, end = places(path, column)[-1]
    flip(path, (begin + end) // 2)
