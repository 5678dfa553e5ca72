"""Rows framed by numpy are what plain Python makes of them, of whatever widths."""

from __future__ import annotations

import subprocess
import sys
from itertools import chain
from zlib import crc32

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.online import matrix
from mlforge.online.base import Load, Rows
from mlforge.online.matrix import Texts, hashed, hsets
from mlforge.online.resp import command, together
from mlforge.online.runs import runs

BASE = b"p:f:v:0:"
ANY = st.binary(max_size=3) | st.binary(min_size=60, max_size=70) | st.binary(max_size=300)
# Texts of one width, or of any.
TEXTS = st.just(ANY) | st.integers(0, 70).map(lambda n: st.binary(min_size=n, max_size=n))


def framed(load: Load, rows: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The command of each bucket, by its key."""
    buckets: dict[int, list[bytes]] = {}
    for key, value in rows:
        buckets.setdefault(crc32(key) % load.buckets, []).extend((key, value))
    names = {number: BASE + str(number).encode() for number in sorted(buckets)}
    return {name: command(b"HSET", name, *buckets[number]) for number, name in names.items()}


@given(st.data(), st.integers(1, 9), st.sampled_from([1, 200, 1 << 20]), st.sampled_from([0, 512]))
@settings(max_examples=300, deadline=None)
def test_rows_become_a_command_for_each_bucket(
    data: st.DataObject, buckets: int, piece: int, long: int
) -> None:
    rows = data.draw(
        st.tuples(TEXTS, TEXTS).flatmap(lambda two: st.lists(st.tuples(*two), min_size=1))
    )
    start = data.draw(st.integers(0, len(rows) - 1))
    load, arrays = (
        Load("f:v:0", buckets),
        [pa.array(one, pa.binary()) for one in zip(*rows, strict=True)],
    )
    expected = framed(load, rows[start:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix, "PIECE_BYTES", piece)
        patch.setattr(matrix, "LONG_BYTES", long)
        # Slices, whose bytes begin in the middle of their buffers.
        pieces = [*hsets(BASE, load, Rows(*(array.slice(start) for array in arrays)))]
    found = [pair for names, packed in pieces for pair in zip(names, packed, strict=True)]
    assert found == [*expected.items()]
    assert b"".join(bytes(together(packed)) for _, packed in pieces) == b"".join(expected.values())


@given(TEXTS.flatmap(lambda texts: st.lists(texts, min_size=1)))
@settings(max_examples=300, deadline=None)
def test_hashes_of_keys_are_those_of_readers(keys: list[bytes]) -> None:
    assert hashed(Texts.of(pa.array(keys, pa.binary()))).tolist() == [*map(crc32, keys)]


@given(st.lists(st.lists(st.tuples(ANY, ANY))), st.integers(1, 2000))
@settings(max_examples=300, deadline=None)
def test_runs_are_the_same_rows_in_parts_of_a_size(
    parts: list[list[tuple[bytes, bytes]]], most: int
) -> None:
    arrays = ([pa.array([row[at] for row in part], pa.binary()) for at in (0, 1)] for part in parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlforge.online.runs.RUN_BYTES", most)
        found = [*runs((Rows(*pair) for pair in arrays), 1 + most // 4)]
    rows = [(run.keys.to_pylist(), run.values.to_pylist()) for run in found]
    assert [*chain(*(zip(*pair, strict=True) for pair in rows))] == [*chain(*parts)]
    sizes = [(len(run.keys), run.keys.nbytes + run.values.nbytes) for run in found]
    assert all(count == 1 or (count > 1 and size <= most) for count, size in sizes)


def test_no_online_store_imports_pandas() -> None:
    code = "import sys, mlforge.flows.loading, mlforge.online.redis, mlforge.online.sqlite"
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit('pandas' in sys.modules)"], check=True)
