"""Plain: what is taken out of the hashed bytes is what Polars reads, or it is read by Polars."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlforge import digests
from mlforge.errors import ObjectCorrupt
from mlforge.ids import BytesDigest, ObjectId
from mlforge.objects import parquet
from mlforge.objects.columns import digest_columns, layout_of
from mlforge.objects.local import LocalObjects
from mlforge.objects.parquet import write_table
from mlforge.objects.plain import plain_columns, read_plain
from mlforge.objects.scan import Scan
from tests.chunks import flip, places

WHERE = "spend@1.0.0"
# More values than a run of levels of one byte says, and than a page may have rows by default.
ROWS = 50_000
GROUP = 21_000
shared = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "LARGE_BYTES", 0)


@pytest.fixture
def store(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "mlforge")


def noise(seed: int, rows: int = ROWS) -> list[float]:
    dice = random.Random(seed)
    odd = [float("nan"), -float("nan"), -0.0, 0.0, 5e-324, float("-inf")]
    return [*odd, *(dice.uniform(-1e9, 1e9) for _ in range(rows - len(odd)))]


def table_of(rows: int = ROWS) -> pa.Table:
    dice = random.Random(7)
    whole = [dice.getrandbits(63) - 2**62 for _ in range(rows)]
    doubles = noise(1, rows)
    return pa.table(
        {
            "double": doubles,
            "single": pa.array(noise(2, rows), pa.float32()),
            "long": whole,
            "short": pa.array([n % 2**31 for n in whole], pa.int32()),
            "some": [None if n % 999 == 5 else x for n, x in enumerate(doubles)],
            "last": [*doubles[:-1], None],
            "few": [float(n % 5) for n in range(rows)],
            "when": pa.array([n // 2**20 for n in whole], pa.timestamp("us", "UTC")),
            "tiny": pa.array([n % 127 for n in whole], pa.int8()),
            "text": [str(n) for n in whole],
            "pair": pa.array([[n, -n] for n in whole], pa.list_(pa.int64(), 2)),
        }
    )


PLAIN = ["double", "single", "long", "short"]
TABLE = table_of()


def put_table(store: LocalObjects, table: pa.Table) -> ObjectId:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROW_GROUP_ROWS", GROUP)
        with store.scratch(".parquet") as path:
            write_table(table, path)
            return store.put(path)


def scan_of(store: LocalObjects, *oids: ObjectId, columns: list[str] | None = None) -> Scan:
    known = {oid: digest_columns(store.path(oid), oid) for oid in oids}
    return Scan(store, oids, columns or TABLE.column_names, WHERE, known)


def rows_of(table: pa.Table, flags: list[bool]) -> pa.Table:
    """What pyarrow has of them."""
    return table.filter(pa.array(flags, pa.bool_()))


def bits(frame: pl.DataFrame) -> list[object]:
    """Of numbers their bits: of NaNs and zeros there are several."""
    whole = [column.fill_null(0) if column.dtype.is_float() else column for column in frame]
    values = [
        column.to_numpy().tobytes() if column.dtype.is_float() else column.to_list()
        for column in whole
    ]
    return [(column.is_null().to_list(), of) for column, of in zip(frame, values, strict=True)]


def frame_of(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


@given(
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.0, 0.0001, 0.1, 0.9, 1.0]),
    cut=st.sampled_from([1, GROUP, 30_000, ROWS]),
    columns=st.lists(st.sampled_from(TABLE.column_names), min_size=1, unique=True),
)
@shared
def test_wanted_rows_have_the_bits_that_were_written(
    store: LocalObjects, seed: int, share: float, cut: int, columns: list[str]
) -> None:
    parts = [part for part in (TABLE.slice(0, cut), TABLE.slice(cut)) if part.num_rows]
    scan = scan_of(store, *(put_table(store, part) for part in parts))
    dice = random.Random(seed)
    flags = [dice.random() < share for _ in range(ROWS)]
    found = scan.where(pl.Series(flags, dtype=pl.Boolean), columns)
    expected = frame_of(rows_of(TABLE.select(columns), flags))
    assert (found.schema, bits(found)) == (expected.schema, bits(expected))


def test_numbers_without_nulls_that_hardly_repeat_are_plain(store: LocalObjects) -> None:
    oid = put_table(store, TABLE)
    path = store.path(oid)
    expected = digest_columns(path, oid)
    layout = layout_of(path, expected, TABLE.column_names)
    assert layout is not None
    dtypes = dict(frame_of(TABLE).schema)
    may_be = plain_columns(layout, dtypes)
    assert {*PLAIN, "last"} <= may_be.keys()
    assert may_be.keys().isdisjoint({"few", "when", "tiny", "text", "pair"})
    read = read_plain(layout, may_be, pl.Series([True] * ROWS))
    assert {name for name, (_, values) in read.items() if values is not None} == {*PLAIN}
    assert {name: digest for name, (digest, _) in read.items()} == {
        name: expected.columns[name] for name in may_be
    }


WRITTEN: dict[str, dict[str, object]] = {
    "dictionaries": {},
    "compressed": {"use_dictionary": False, "compression": "zstd"},
    "several pages": {"use_dictionary": False, "compression": "none", "data_page_size": 4_000},
    "version 2": {"use_dictionary": False, "compression": "none", "data_page_version": "2.0"},
    "checksums": {"use_dictionary": False, "compression": "none", "write_page_checksum": True},
    "split": {"use_dictionary": False, "compression": "none", "use_byte_stream_split": ["a", "b"]},
    "one page": {"use_dictionary": False, "compression": "none"},
}


@pytest.mark.parametrize("how", WRITTEN)
def test_however_files_are_written_their_rows_are_read(store: LocalObjects, how: str) -> None:
    """By others: of few rows all pages might be plain ones."""
    for rows, may_be_null in ((9, True), (9_000, True), (9_000, False), (2, True)):
        values = noise(3, max(rows, 6))[:rows]
        fields = [pa.field(name, pa.float64(), may_be_null) for name in "ab"]
        table = pa.table([values, values[::-1]], pa.schema(fields))
        with store.scratch(".parquet") as path:
            pq.write_table(table, path, **WRITTEN[how])
            oid = store.put(path)
        scan = scan_of(store, oid, columns=["a", "b"])
        flags = [number % 3 != 1 for number in range(rows)]
        found = scan.where(pl.Series(flags), ["b", "a"])
        assert bits(found) == bits(frame_of(rows_of(table.select(["b", "a"]), flags)))


@given(
    column=st.sampled_from(TABLE.column_names),
    chance=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
@shared
def test_a_bit_of_a_column_gives_no_row_of_it(
    store: LocalObjects, column: str, chance: float, bit: int
) -> None:
    oid = put_table(store, TABLE)
    path = store.path(oid)
    known = {oid: digest_columns(path, oid)}
    chunks = places(path, column)
    begin, end = chunks[int(chance * len(chunks))]
    before = path.read_bytes()
    flip(path, begin + int(chance * (end - begin)), bit)
    try:
        scan = Scan(store, [oid], TABLE.column_names, WHERE, known)
        with pytest.raises(ObjectCorrupt, match="no row of it was returned"):
            scan.where(pl.Series([True] * ROWS), [column])
        others = [name for name in ("double", "text") if name != column]
        found = Scan(store, [oid], others, WHERE, known).where(pl.Series([True] * ROWS), others)
        assert bits(found) == bits(frame_of(TABLE.select(others)))
    finally:
        path.write_bytes(before)


def test_a_file_that_changes_after_the_beginning_gives_no_row(store: LocalObjects) -> None:
    """What is hashed is what is read."""
    oid = put_table(store, TABLE)
    path = store.path(oid)
    scan = scan_of(store, oid)
    data = path.read_bytes()
    path.chmod(0o644)
    for other in (data[: len(data) // 3], data[:9] + bytes(len(data) - 9), b""):
        path.write_bytes(other)
        with pytest.raises(ObjectCorrupt, match="no row of it was returned"):
            scan.where(pl.Series([True] * ROWS), ["double"])
    path.write_bytes(data)
    assert scan.where(pl.Series([True] * ROWS), ["double"]).height == ROWS


def test_digests_that_lie_decide_nothing(store: LocalObjects) -> None:
    oid = put_table(store, TABLE)
    expected = digest_columns(store.path(oid), oid)
    lying = replace(expected, columns={**expected.columns, "double": BytesDigest("0" * 64)})
    scan = Scan(store, [oid], TABLE.column_names, WHERE, {oid: lying})
    found = scan.where(pl.Series([True] * ROWS), ["double"])
    assert bits(found) == bits(frame_of(TABLE.select(["double"])))
    flip(store.path(oid), places(store.path(oid), "text")[0][0] + 9)
    scan = Scan(store, [oid], TABLE.column_names, WHERE, {oid: lying})
    with pytest.raises(ObjectCorrupt):
        scan.where(pl.Series([True] * ROWS), ["double"])
