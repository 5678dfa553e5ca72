"""Columns: what is asked is hashed, and nothing else of the file can change what is read."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlforge import digests
from mlforge.digests import ObjectDigests
from mlforge.errors import ObjectCorrupt
from mlforge.ids import BytesDigest, ObjectId
from mlforge.objects.columns import digest_columns, layout_of
from mlforge.objects.local import LocalObjects
from mlforge.objects.scan import read_frame
from mlforge.testing.objects import put
from tests.chunks import flip, footer_place, places

WHERE = "spend@1.0.0"
TABLE = pa.table(
    {
        "user_id": ["a", "b", None, "a", "c", "c", "d"],
        "amount": [0.5, None, float("nan"), 2.5, -0.0, 1.0, 3.0],
        "tags": [["x"], [], None, ["y", "z"], ["x"], [None], ["x"]],
        "place": [{"lat": 1.0, "names": ["q"]}, None, *[{"lat": 2.0, "names": []}] * 5],
        "visits": pa.array([1, 2, 3, 4, 5, 6, 7], pa.int16()),
        "nothing": pa.array([None] * 7, pa.int64()),
    }
)
COLUMNS = TABLE.column_names
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "LARGE_BYTES", 0)


class Held:
    """An object of row groups of a few rows, in a store, with its digests."""

    def __init__(self, root: Path, table: pa.Table = TABLE, rows: int = 3) -> None:
        self.store = LocalObjects(root)
        with self.store.scratch(".parquet") as path:
            pq.write_table(table, path, row_group_size=rows, compression="zstd")
            self.oid = self.store.put(path)
        self.path = self.store.path(self.oid)
        self.bytes = self.path.read_bytes()
        self.digests = digest_columns(self.path, self.oid)

    def read(
        self, columns: list[str] | None, expected: ObjectDigests | None = None
    ) -> pl.DataFrame:
        known = {self.oid: expected or self.digests}
        return read_frame(self.store, [self.oid], columns, WHERE, known)

    def are_whole(self, data: bytes, expected: ObjectDigests, columns: list[str]) -> bool:
        """Whether a file of these bytes is."""
        copy = self.store.root / "copy.parquet"
        copy.write_bytes(data)
        layout = layout_of(copy, expected, columns)
        return layout is not None and layout.digests(columns) == {
            name: expected.columns[name] for name in columns
        }

    def damage(self, at: int, bit: int) -> None:
        self.path.chmod(0o644)
        self.path.write_bytes(self.bytes)
        flip(self.path, at, bit)


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path / "mlforge")


def frame_of(columns: list[str]) -> pl.DataFrame:
    frame = pl.from_arrow(TABLE.select(columns))
    assert isinstance(frame, pl.DataFrame)
    return frame


SOME = st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True)


def test_a_digest_is_of_a_columns_chunks_in_the_order_of_the_file(held: Held) -> None:
    assert list(held.digests.columns) == COLUMNS
    for column in COLUMNS:
        chunks = b"".join(held.bytes[begin:end] for begin, end in places(held.path, column))
        assert held.digests.columns[column].hex == blake3(chunks).hexdigest()
    begin, end = footer_place(held.path)
    assert held.digests.footer.hex == blake3(held.bytes[begin:end]).hexdigest()


def test_magic_footer_and_chunks_are_all_of_a_file(held: Held) -> None:
    found = sorted([(0, 4), *places(held.path, *COLUMNS), footer_place(held.path)])
    assert [begin for begin, _ in found[1:]] == [end for _, end in found[:-1]]
    assert found[-1][1] == len(held.bytes)


@given(columns=SOME, chance=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@shared
def test_a_bit_of_what_is_read_gives_no_row_and_any_other_changes_none(
    held: Held, columns: list[str], chance: float, bit: int
) -> None:
    at = int(chance * len(held.bytes))
    held.damage(at, bit)
    read = [(0, 4), *places_before(held, columns), footer_before(held)]
    if any(begin <= at < end for begin, end in read):
        with pytest.raises(ObjectCorrupt, match="no row of it was returned"):
            held.read(columns)
    else:
        assert held.read(columns).equals(frame_of(columns), null_equal=True)
    with pytest.raises(ObjectCorrupt):
        held.read(None)


def places_before(held: Held, columns: list[str]) -> list[tuple[int, int]]:
    """Of the whole file: a damaged one may say anything."""
    copy = held.store.root / "whole.parquet"
    copy.write_bytes(held.bytes)
    return places(copy, *columns)


def footer_before(held: Held) -> tuple[int, int]:
    copy = held.store.root / "whole.parquet"
    copy.write_bytes(held.bytes)
    return footer_place(copy)


@given(columns=SOME)
@shared
def test_whole_columns_are_read_in_the_order_asked(held: Held, columns: list[str]) -> None:
    held.damage(0, 0)
    held.path.write_bytes(held.bytes)
    assert held.are_whole(held.bytes, held.digests, columns)
    assert held.read(columns).equals(frame_of(columns), null_equal=True)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 11, 12, 40, 600, -600, -9, -8, -4, -1])
def test_a_truncated_object_gives_no_row(held: Held, size: int) -> None:
    held.path.chmod(0o644)
    held.path.write_bytes(held.bytes[:size])
    with pytest.raises(ObjectCorrupt):
        held.read(["amount"])


def test_bytes_that_were_put_in_or_left_out_give_no_row(held: Held) -> None:
    middle = footer_place(held.path)[0] // 2
    held.path.chmod(0o644)
    for data in (
        held.bytes[:middle] + b"more" + held.bytes[middle:],
        held.bytes[:middle] + held.bytes[middle + 1 :],
        held.bytes + b"PAR1",
        held.bytes[4:],
    ):
        held.path.write_bytes(data)
        with pytest.raises(ObjectCorrupt):
            held.read(["nothing", "user_id"])


OTHER = BytesDigest("0" * 64)


@pytest.mark.parametrize(
    "lie",
    [
        lambda d: replace(d, footer=OTHER),
        lambda d: replace(d, columns={}),
        lambda d: replace(d, columns={**d.columns, "amount": OTHER}),
        lambda d: replace(d, columns={**d.columns, "amount": d.columns["visits"]}),
    ],
)
def test_digests_that_do_not_fit_decide_nothing(held: Held, lie: object) -> None:
    """The object's name does: whole bytes are read, and one wrong bit anywhere is found."""
    assert callable(lie)
    lying = lie(held.digests)
    assert held.read(["amount"], lying).equals(frame_of(["amount"]), null_equal=True)
    flip(held.path, places(held.path, "visits")[0][0] + 3)
    with pytest.raises(ObjectCorrupt):
        held.read(["amount"], lying)


def test_digests_of_an_object_of_other_rows_decide_nothing(held: Held, tmp_path: Path) -> None:
    other = Held(tmp_path / "other", TABLE.slice(1))
    assert held.read(["amount"], other.digests).equals(frame_of(["amount"]), null_equal=True)


def test_a_column_that_the_object_does_not_have_is_not_whole(held: Held) -> None:
    known = replace(held.digests, columns={**held.digests.columns, "more": OTHER})
    assert not held.are_whole(held.bytes, known, ["amount", "more"])


def varint(number: int) -> bytes:
    """As Thrift writes signed numbers of 64 bits in a footer."""
    left, found = (number << 1 ^ number >> 63) & 2**64 - 1, bytearray()
    while left > 127:
        left, low = left >> 7, left & 127
        found.append(low | 128)
    return bytes([*found, left])


@pytest.fixture
def numbers(tmp_path: Path) -> Held:
    """Three columns of one chunk each, whose places are numbers like no other in a footer."""
    dice = random.Random(1)
    table = pa.table({name: [dice.random() for _ in range(9_000)] for name in "abc"})
    return Held(tmp_path / "numbers", table, 9_000)


@given(
    which=st.integers(1, 5),
    told=st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-300_000, 300_000)),
)
@shared
def test_places_that_lie_under_digests_that_agree_are_refused(
    numbers: Held, which: int, told: int
) -> None:
    """Only numbers lie here: at other broken footers pyarrow ends the process."""
    (begin, end), data = footer_place(numbers.path), numbers.bytes
    chunks = [places(numbers.path, column)[0] for column in "abc"]  # the first begins at 4
    facts = [fact for start, stop in chunks for fact in (start, stop - start)]
    footer = data[begin : end - 8]
    assert varint(facts[which]) in footer
    footer = footer.replace(varint(facts[which]), varint(told))
    footer += len(footer).to_bytes(4, "little") + b"PAR1"
    lying = replace(numbers.digests, footer=BytesDigest(blake3(footer).hexdigest()))
    is_true = told == facts[which]
    assert numbers.are_whole(data[:begin] + footer, lying, ["a", "b", "c"]) is is_true


@pytest.mark.parametrize("lost", [1, 200])
def test_chunks_that_reach_into_the_footer_are_refused_under_digests_that_agree(
    held: Held, lost: int
) -> None:
    begin, _ = footer_place(held.path)
    data = held.bytes[: begin - lost] + held.bytes[begin:]
    lying = agreeing(held, data, ["nothing"])
    assert not held.are_whole(data, lying, ["nothing"])


def agreeing(held: Held, data: bytes, columns: list[str]) -> ObjectDigests:
    """Digests of whatever bytes a file says are its columns'."""
    held.path.chmod(0o644)
    held.path.write_bytes(data)
    begin, _ = footer_place(held.path)
    chunks = {c: b"".join(data[i:j] for i, j in places(held.path, c)) for c in columns}
    found = {column: BytesDigest(blake3(of).hexdigest()) for column, of in chunks.items()}
    return ObjectDigests(held.oid, BytesDigest(blake3(data[begin:]).hexdigest()), found)


def test_columns_in_each_others_bytes_are_refused_under_digests_that_agree(tmp_path: Path) -> None:
    held = Held(tmp_path / "mlforge", pa.table({"a": list(range(99)), "b": list(range(99))}))
    first, second = places(held.path, "a")[0], places(held.path, "b")[0]
    begin, _ = footer_place(held.path)
    # Offsets are signed varints: 2n in groups of seven bits, the last one without its high bit.
    old, new = (bytes([2 * n & 127 | 128, 2 * n >> 7]) for n in (second[0], first[0]))
    assert old in held.bytes[begin:]
    data = held.bytes[:begin] + held.bytes[begin:].replace(old, new)
    lying = agreeing(held, data, ["a", "b"])
    assert places(held.path, "b")[0][0] == first[0]
    assert held.are_whole(data, lying, ["a"])
    assert not held.are_whole(data, lying, ["a", "b"])


def test_an_object_that_is_no_parquet_is_corrupt_whatever_its_digests_say(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path / "mlforge")
    for data in (b"PAR1", b"PAR1PAR1", b"PAR1\xff\xff\xff\xffPAR1", b"PAR1" + bytes(4) + b"PAR1"):
        oid = put(store, data)
        known = {oid: ObjectDigests(oid, BytesDigest(blake3(data[4:]).hexdigest()), {"a": OTHER})}
        with pytest.raises(ObjectCorrupt):
            read_frame(store, [oid], ["a"], WHERE, known)
        with pytest.raises(ObjectCorrupt):
            digest_columns(store.path(oid), oid)


def test_a_table_without_rows_has_digests(tmp_path: Path) -> None:
    empty = Held(tmp_path / "mlforge", TABLE.slice(0, 0))
    assert empty.read(["tags"]).height == 0
    assert empty.are_whole(empty.bytes, empty.digests, COLUMNS)


def test_parts_have_digests_each(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path / "mlforge")
    one, other = Held(store.root, TABLE.slice(0, 2)), Held(store.root, TABLE.slice(2))
    known = {part.oid: part.digests for part in (one, other)}
    oids: list[ObjectId] = [one.oid, other.oid]
    flip(one.path, places(one.path, "tags")[0][0] + 2)
    read = read_frame(store, oids, ["visits", "user_id"], WHERE, known)
    assert read.equals(frame_of(["visits", "user_id"]))
    flip(other.path, places(other.path, "visits")[0][0] + 2)
    with pytest.raises(ObjectCorrupt):
        read_frame(store, oids, ["visits"], WHERE, known)
