"""Parquet: what was written is read, bit for bit, or no row is."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlforge.arrow import canonical_table, columns_of
from mlforge.content import hash_content
from mlforge.errors import MlforgeError, ObjectCorrupt, ObjectNotFound, UnsupportedType
from mlforge.ids import ContentHash, ObjectId
from mlforge.objects.base import ObjectStore
from mlforge.objects.local import LocalObjects
from mlforge.objects.parquet import ROW_GROUP_ROWS, TableWriter, write_table
from mlforge.objects.scan import read_frame
from mlforge.schema import Schema
from mlforge.testing.objects import put
from mlforge.types import DataType
from mlforge.types.arrow import to_arrow

WHERE = "spend@1.0.0"
NOON = datetime(2024, 2, 29, 12, 0, 0, 1)
VALUES: dict[str, list[object]] = {
    "bool": [True, False],
    **{f"int{bits}": [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": [0, 2**bits - 1] for bits in (8, 16, 32, 64)},
    "float32": [-0.0, float("nan"), float("inf"), 2.0**-149],
    "float64": [-0.0, float("nan"), float("-inf"), 5e-324, 0.1],
    "decimal[9,2]": [Decimal("-1234567.89"), Decimal("0.01")],
    "decimal[38,10]": [Decimal("9" * 28 + "." + "9" * 10), Decimal("-0.0000000001")],
    "string": ["", "é", "\U0001f600", "\0"],
    "binary": [b"", b"\0\xff"],
    "date": [date(1, 1, 1), date(9999, 12, 31)],
    "time": [time(), time(23, 59, 59, 999_999)],
    "datetime": [NOON, datetime(1, 1, 1)],
    "datetime[UTC]": [NOON.replace(tzinfo=UTC), datetime(1969, 12, 31, 23, 59, tzinfo=UTC)],
    "duration": [timedelta(-1), timedelta(microseconds=1)],
}


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return LocalObjects(tmp_path / "mlforge")


def column(type: str, values: list[object]) -> pa.Array:
    return pa.array(values, to_arrow(DataType.parse(type)))


def write(store: ObjectStore, table: pa.Table) -> ObjectId:
    with store.scratch(".parquet") as path:
        write_table(table, path)
        return store.put(path)


def content(table: pa.Table) -> ContentHash:
    whole = canonical_table(table)
    return hash_content(whole, Schema((), None, columns_of(whole.schema))).hash


def read(store: ObjectStore, *oids: ObjectId, columns: list[str] | None = None) -> pl.DataFrame:
    return read_frame(store, oids, columns, WHERE)


@pytest.mark.parametrize("type", VALUES)
@pytest.mark.parametrize("extra", [[], [None], [None] * 1000], ids=["whole", "null", "nulls"])
def test_each_type_is_read_as_it_was_written(
    store: ObjectStore, type: str, extra: list[None]
) -> None:
    table = pa.table({"a": column(type, VALUES[type] + extra)})
    frame = read(store, write(store, table))
    assert content(frame.to_arrow()) == content(table)
    assert columns_of(frame.to_arrow().schema)[0].type == DataType.parse(type)


@pytest.mark.parametrize("type", VALUES)
def test_a_table_without_rows_keeps_its_types(store: ObjectStore, type: str) -> None:
    table = pa.table({"a": column(type, [])})
    frame = read(store, write(store, table))
    assert (len(frame), content(frame.to_arrow())) == (0, content(table))


def test_float_bits_other_than_those_of_zero_and_nan_are_kept(store: ObjectStore) -> None:
    values = [-0.0, 0.1, 5e-324, -1.7976931348623157e308]
    frame = read(store, write(store, pa.table({"a": values})))
    assert [value.hex() for value in frame["a"]] == [value.hex() for value in values]


def test_equal_tables_give_equal_bytes(store: ObjectStore) -> None:
    whole = pa.table({"a": list(range(1000)), "b": ["x"] * 1000})
    chunked = pa.concat_tables([whole.slice(0, 7), whole.slice(7)])
    told = whole.replace_schema_metadata({"by": "pandas"})
    assert write(store, whole) == write(store, chunked) == write(store, told)


def stored(path: Path) -> dict[str, tuple[str, bool]]:
    """Of each leaf, how it is compressed, and whether it has a dictionary."""
    group = pq.read_metadata(path).row_group(0)
    chunks = map(group.column, range(group.num_columns))
    return {c.path_in_schema: (c.compression, c.has_dictionary_page) for c in chunks}


def test_columns_that_gain_nothing_have_no_dictionary_and_no_compression(tmp_path: Path) -> None:
    chance, rows = random.Random(1), range(20_000)
    noise, few = [chance.random() for _ in rows], [row % 5 for row in rows]
    struct = pa.struct([("noise", pa.float64()), ("few", pa.int64())])
    table = pa.table(
        {
            "noise": noise,
            "few": few,
            "counted": list(rows),
            "words": pa.array([f"word {row % 7}" for row in rows], pa.large_string()),
            "noises": pa.array([[n] for n in noise], pa.large_list(pa.float64())),
            "pairs": pa.array([[f, f + 1] for f in few], pa.list_(pa.int64(), 2)),
            "both": pa.array(
                [{"noise": n, "few": f} for n, f in zip(noise, few, strict=True)], struct
            ),
            "nothing": pa.nulls(len(rows), pa.float64()),
        }
    )
    write_table(table, tmp_path / "a.parquet")
    found = stored(tmp_path / "a.parquet")
    assert {found.pop(leaf) for leaf in ("noise", "noises.list.element", "both.noise")} == {
        ("UNCOMPRESSED", False)
    }
    assert found.pop("counted") == ("ZSTD", False)
    repeated = ("few", "words", "pairs.list.element", "both.few")
    assert {found.pop(leaf)[1] for leaf in repeated} == {True}
    assert set(found) == {"nothing"}


def test_how_rows_are_cut_does_not_decide_how_they_are_stored(tmp_path: Path) -> None:
    rows = ROW_GROUP_ROWS + 5
    table = pa.table({"a": [row % (ROW_GROUP_ROWS // 3) for row in range(rows)], "b": [0.5] * rows})
    for name, size in (("a", rows), ("b", 60_000)):
        with TableWriter(tmp_path / name, table.schema) as writer:
            for start in range(0, rows, size):
                writer.write(table.slice(start, size))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert stored(tmp_path / "a") == {"a": ("ZSTD", True), "b": ("UNCOMPRESSED", True)}


def test_rows_beyond_a_row_group_are_read_in_order(store: ObjectStore) -> None:
    rows = list(range(ROW_GROUP_ROWS + 5))
    assert read(store, write(store, pa.table({"a": rows})))["a"].to_list() == rows


def test_parts_follow_each_other(store: ObjectStore) -> None:
    parts = [write(store, pa.table({"a": [number]})) for number in (2, 0, 1)]
    assert read(store, *parts)["a"].to_list() == [2, 0, 1]


def test_only_the_columns_asked_for_are_read_in_their_order(store: ObjectStore) -> None:
    oid = write(store, pa.table({"a": [1], "b": ["x"], "c": [0.5]}))
    assert read(store, oid, columns=["c", "a"]).rows() == [(0.5, 1)]
    assert read(store, oid, columns=["b"]).columns == ["b"]


def test_a_missing_object_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFound):
        read(store, ObjectId("0" * 64))


def test_bytes_that_are_no_parquet_are_corrupt(store: ObjectStore) -> None:
    for data in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"not parquet at all"):
        with pytest.raises(ObjectCorrupt, match=WHERE):
            read(store, put(store, data))


Damage = Callable[[bytes, random.Random], bytes]


def flip(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def truncate(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def extend(data: bytes, dice: random.Random) -> bytes:
    return data + dice.randbytes(dice.randrange(1, 99))


def zero(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes(len(data) - at)


def swap(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(1, len(data))
    return data[at:] + data[:at]


@pytest.mark.parametrize("damage", [flip, truncate, extend, zero, swap])
@pytest.mark.parametrize("seed", range(12))
def test_damaged_bytes_give_no_row(store: ObjectStore, damage: Damage, seed: int) -> None:
    oid = write(store, pa.table({"a": list(range(100)), "b": ["user"] * 100}))
    path, whole = store.path(oid), store.path(oid).read_bytes()
    path.chmod(0o644)
    path.write_bytes(damage(whole, random.Random(seed)))
    with pytest.raises(ObjectCorrupt, match="no row of it was returned") as refused:
        read(store, oid)
    assert refused.value.hint == "mlforge build --force -f spend"


def test_another_whole_object_in_its_place_gives_no_row(store: ObjectStore) -> None:
    one, other = (write(store, pa.table({"a": [number]})) for number in (1, 2))
    store.path(one).unlink()
    store.path(other).rename(store.path(other).parent / "moved")
    home = store.path(write(store, pa.table({"a": [1]})))
    home.unlink()
    (home.parents[2] / other.hex[:2] / other.hex[2:4] / "moved").rename(home)
    with pytest.raises(ObjectCorrupt):
        read(store, one)


def test_a_link_to_the_same_bytes_gives_no_row(store: ObjectStore, tmp_path: Path) -> None:
    path = store.path(oid := write(store, pa.table({"a": [1]})))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ObjectNotFound):
        read(store, oid)


@given(st.integers(0, 10**6), st.sampled_from([flip, truncate, extend, zero, swap]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_broken_parquet_under_its_own_name_is_corrupt_or_read(
    store: ObjectStore, seed: int, damage: Damage
) -> None:
    """A writer's mistake, not a bad disk: whatever the library raises has one name."""
    oid = write(store, pa.table({"a": list(range(50)), "b": ["user"] * 50}))
    broken = put(store, damage(store.path(oid).read_bytes(), random.Random(seed)))
    try:
        read(store, broken)
    except MlforgeError as error:
        assert isinstance(error, ObjectCorrupt)  # noqa: PT017


def test_fixed_lists_with_nulls_are_written_or_refused_with_a_word(tmp_path: Path) -> None:
    """Releases of pyarrow before 26 cannot write them."""
    table = pa.table({"a": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2))})
    if int(pa.__version__.partition(".")[0]) < 26:
        with pytest.raises(UnsupportedType) as refused:
            write_table(table, tmp_path / "a.parquet")
        assert "pyarrow>=26" in str(refused.value.hint)
    else:
        write_table(table, tmp_path / "a.parquet")
        assert pl.read_parquet(tmp_path / "a.parquet")["a"].to_list() == [[1, 2], None, [3, 4]]
