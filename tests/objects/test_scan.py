"""Scan: whole, in parts or by rows, the same rows are read, or none."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlforge import digests
from mlforge.batches import batches
from mlforge.errors import ObjectCorrupt, StorageFailed
from mlforge.ids import ObjectId
from mlforge.objects.local import LocalObjects
from mlforge.objects.scan import Scan
from mlforge.testing.objects import put

WHERE = "spend@1.0.0"
ROWS = 23
TABLE = pa.table(
    {
        "user_id": [f"u{n // 4}" for n in range(ROWS)],
        "amount": [None if n % 5 == 3 else n / 2 for n in range(ROWS)],
        "tags": [None if n % 7 == 1 else [str(n)] * (n % 3) for n in range(ROWS)],
    }
)
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def store(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "mlforge")


def write(store: LocalObjects, table: pa.Table, rows: int = 5) -> ObjectId:
    with store.scratch(".parquet") as path:
        pq.write_table(table, path, row_group_size=rows)
        return store.put(path)


def frame_of(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def parts_of(scan: Scan, columns: list[str]) -> list[pl.DataFrame]:
    with scan.rows(columns) as rows:
        return list(batches(rows))


@pytest.mark.parametrize("is_large", [False, True])
@given(flags=st.lists(st.booleans(), min_size=ROWS, max_size=ROWS), cut=st.integers(0, ROWS))
@shared
def test_wanted_rows_are_those_of_the_whole(
    store: LocalObjects, is_large: bool, flags: list[bool], cut: int
) -> None:
    oids = [write(store, TABLE.slice(0, cut)), write(store, TABLE.slice(cut))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "LARGE_BYTES", 0 if is_large else 1 << 20)
        scan = Scan(store, oids, None, WHERE)
        assert (scan.height, scan.schema) == (ROWS, frame_of(TABLE).schema)
        assert scan.frame().equals(frame_of(TABLE))
        wanted = scan.where(pl.Series(flags), ["tags", "amount"])
        assert wanted.equals(frame_of(TABLE).filter(flags).select("tags", "amount"))
        parts = parts_of(scan, ["amount", "user_id"])
    assert pl.concat(parts).equals(frame_of(TABLE).select("amount", "user_id"))


def test_a_table_without_rows_has_columns(store: LocalObjects) -> None:
    scan = Scan(store, [write(store, TABLE.slice(0, 0))], ["tags", "amount"], WHERE)
    assert scan.frame(["amount"]).schema == {"amount": pl.Float64()}
    assert scan.where(pl.Series([], dtype=pl.Boolean), ["tags"]).schema == {
        "tags": pl.List(pl.Utf8)
    }
    assert scan.height == 0


def test_bytes_of_small_objects_are_read_once(store: LocalObjects) -> None:
    """What was hashed is what is read, whatever becomes of the file."""
    oid = write(store, TABLE)
    scan = Scan(store, [oid], None, WHERE)
    path = store.path(oid)
    path.chmod(0o644)
    path.write_bytes(b"other bytes")
    assert scan.where(pl.Series([True] * ROWS), ["amount"]).height == ROWS


def test_what_is_no_parquet_gives_no_row(store: LocalObjects) -> None:
    for data in (b"", b"PAR1", b"no table", b"PAR1" + bytes(99) + b"PAR1"):
        oid = put(store, data)
        with pytest.raises(ObjectCorrupt, match="no row of it was returned") as caught:
            Scan(store, [oid], None, WHERE).frame()
        assert oid.short in str(caught.value.cause)


def test_a_damaged_page_that_agrees_with_its_name_gives_no_row(store: LocalObjects) -> None:
    """Such an object was put by others: its hash is right, and its pages are nonsense."""
    data = bytearray(store.path(write(store, TABLE, ROWS)).read_bytes())
    data[8:60] = bytes(52)
    oid = put(store, bytes(data))
    scan = Scan(store, [oid], None, WHERE)
    for read in (
        scan.frame,
        lambda: scan.where(pl.Series([True] * ROWS), scan.schema.names()),
        lambda: parts_of(scan, scan.schema.names()),
    ):
        with pytest.raises(ObjectCorrupt, match="no row of it was returned"):
            read()


def test_parts_that_cannot_be_read_are_missed(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file is read after it is hashed. Where Polars panics there, its parts just end."""
    monkeypatch.setattr(digests, "LARGE_BYTES", 0)
    oid = write(store, pa.table({"amount": [n * 1.1 for n in range(2000)]}), 500)
    scan = Scan(store, [oid], None, WHERE)
    path = store.path(oid)
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    path.write_bytes(half)
    with pytest.raises(ObjectCorrupt, match="no row of it was returned"):
        parts_of(scan, ["amount"])


def test_a_large_object_that_is_gone_by_now_is_told(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "LARGE_BYTES", 0)
    oid = write(store, TABLE)
    scan = Scan(store, [oid], None, WHERE)
    store.path(oid).unlink()
    for read in (
        scan.frame,
        lambda: scan.where(pl.Series([True] * ROWS), ["amount"]),
        lambda: parts_of(scan, ["amount"]),
    ):
        with pytest.raises(StorageFailed, match=oid.hex):
            read()
