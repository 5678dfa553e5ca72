"""Plain: what is taken out of the hashed bytes is what Polars reads, or it is read by Polars."""

from __future__ import annotations

import random
import struct
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
from mlforge.objects import parquet, plain, proven
from mlforge.objects.columns import digest_columns, layout_of
from mlforge.objects.local import LocalObjects
from mlforge.objects.parquet import write_table
from mlforge.objects.plain import _page, plain_columns, read_plain
from mlforge.objects.proven import verify_object
from mlforge.objects.scan import Scan
from mlforge.testing.objects import put
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
            "first": [*doubles[:5], None, *doubles[6:]],
            "last": [*doubles[:-1], None],
            # Their levels are longer by just what a null saves.
            "early": pa.array([*doubles[:10], None, *doubles[11:]], pa.float32()),
            "twice": pa.array(
                [None if n in (40, 80) else n * 40_000 for n in range(rows)], pa.int32()
            ),
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
    assert {*PLAIN, "first", "last", "early", "twice"} <= may_be.keys()
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


def by_flags(scan: Scan, column: str) -> pl.DataFrame:
    return scan.where(pl.Series([True] * ROWS), [column])


def collected(scan: Scan, column: str) -> pl.DataFrame:
    with scan.rows([column]) as rows:
        return rows.collect()


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
        for read in (
            by_flags,
            lambda scan, column: scan.frame([column]),
            collected,
        ):
            scan = Scan(store, [oid], TABLE.column_names, WHERE, known)
            with pytest.raises(ObjectCorrupt, match="no row of it was returned"):
                read(scan, column)
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


def test_values_of_bytes_that_did_not_fit_are_not_returned(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is made whole again before its name is asked."""
    oid = put_table(store, TABLE)
    path = store.path(oid)
    whole, scan = path.read_bytes(), scan_of(store, oid)
    begin, end = places(path, "double")[0]
    flip(path, (begin + end) // 2)

    def mended(file: Path, known: ObjectId, where: str) -> None:
        path.write_bytes(whole)
        verify_object(file, known, where)

    monkeypatch.setattr(proven, "verify_object", mended)
    found = scan.where(pl.Series([True] * ROWS), ["double"])
    assert bits(found) == bits(frame_of(TABLE.select(["double"])))


def crafted(is_nullable: bool, at: int) -> bytes:
    """A file of one column whose page does not end with its chunk: it has other values there."""
    count = 50_000
    size, levels = 8 * count, _page(count, 8 * count)[1]
    values = pa.array([random.Random(1).random() * n for n in range(count)])
    sink = pa.BufferOutputStream()
    schema = pa.schema([pa.field("a", pa.float64(), is_nullable)])
    with pq.ParquetWriter(sink, schema, use_dictionary=False, compression="none") as writer:
        writer.write_table(pa.table([values], schema))
    data = bytearray(sink.getvalue())
    chunk = pq.read_metadata(pa.BufferReader(bytes(data))).row_group(0).column(0)
    begin, length = chunk.data_page_offset, chunk.total_compressed_size
    page = bytearray(length)
    header = _page(count, size)[0] + bytes(2)
    page[: len(header)] = header
    if is_nullable:
        page[len(header) : len(header) + len(levels)] = levels
    shown = b"".join(struct.pack("<d", n) for n in range(count))
    page[len(header) + at : len(header) + at + size] = shown
    page[length - size - len(levels) : length - size] = levels
    data[begin : begin + length] = page
    return bytes(data)


@pytest.mark.parametrize("is_nullable", [False, True])
def test_a_page_that_ends_before_its_chunk_is_read_as_all_readers_do(
    store: LocalObjects, is_nullable: bool
) -> None:
    levels = len(_page(50_000, 400_000)[1]) if is_nullable else 0
    oid = put(store, crafted(is_nullable, levels))
    scan = scan_of(store, oid, columns=["a"])
    flags = pl.Series([True] * 50_000)
    assert scan.where(flags, ["a"]).equals(scan.frame(["a"]))


def test_two_columns_below_one_name_are_read_by_polars(store: LocalObjects) -> None:
    table = pa.table({"a": noise(1, 900), "a.b": noise(2, 900)})
    with store.scratch(".parquet") as path:
        write_table(table, path)
        oid = store.put(path)
    scan = scan_of(store, oid, columns=["a"])
    assert bits(scan.where(pl.Series([True] * 900), ["a"])) == bits(frame_of(table.select(["a"])))


def test_chunks_that_are_large_are_left_to_polars(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    oid = put_table(store, TABLE)
    layout = layout_of(store.path(oid), digest_columns(store.path(oid), oid), PLAIN)
    assert layout is not None
    dtypes = {name: frame_of(TABLE).schema[name] for name in PLAIN}
    monkeypatch.setattr(plain, "_MOST_BYTES", GROUP * 8)
    assert {*plain_columns(layout, dtypes)} == {"single", "short"}


def test_a_footer_of_other_rows_than_its_groups_gives_no_row(store: LocalObjects) -> None:
    oid = put_table(store, TABLE)
    with pytest.raises(ObjectCorrupt, match="no row of it was returned"):
        scan_of(store, oid).where(pl.Series([True] * (ROWS - 1)), ["double"])


def test_plain_columns_are_read_once(store: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars is not asked for them."""
    scan = scan_of(store, put_table(store, TABLE))
    monkeypatch.setattr(scan, "_proven", None)
    assert scan.where(pl.Series([True] * ROWS), PLAIN).height == ROWS


def test_a_row_group_of_doubles_is_one_page(store: LocalObjects) -> None:
    rows = parquet.ROW_GROUP_ROWS
    table = pa.table({"a": noise(1, 2 * rows)})
    with store.scratch(".parquet") as path:
        write_table(table, path)
        oid = store.put(path)
    scan = scan_of(store, oid, columns=["a"])
    layout = layout_of(store.path(oid), digest_columns(store.path(oid), oid), ["a"])
    assert layout is not None
    assert layout.groups == (rows, rows)
    dtypes = plain_columns(layout, dict(scan.schema))
    ((_, values),) = read_plain(layout, dtypes, pl.Series([True] * 2 * rows)).values()
    assert values is not None
