"""Lock: its bytes never change, and nothing is read that `encode` would not write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlforge.canonical import encode, encode_lines
from mlforge.errors import FormatUnknown, LockCorrupt
from mlforge.ids import ColumnDigest, CommitId, ContentHash, LockHash
from mlforge.lock import (
    Lock,
    LockedColumn,
    LockedFeature,
    LockedSpine,
    SpineColumn,
    is_file_name,
)
from mlforge.pit import Rule
from mlforge.schema import Column
from mlforge.types import DataType
from tests.contracts import IS_UPDATE
from tests.test_manifest import MANIFEST, SUM, hex

FILE = Path(__file__).parent / "golden" / "lock.json"
LOCK = Lock(
    commit=CommitId("1" * 40),
    is_dirty=False,
    features=(
        LockedFeature(
            manifest=MANIFEST,
            commit=CommitId("1" * 40),
            objects=tuple(part.object for part in MANIFEST.parts),
            columns=(LockedColumn(SUM, f"seller_{SUM}", 1, ColumnDigest(hex("2"))),),
            on={"user_id": "seller_id"},
        ),
    ),
    spine=LockedSpine(
        file="labels.parquet",
        rows=3,
        content_hash=ContentHash(hex("3")),
        columns=(
            SpineColumn(Column("seller_id", DataType.parse("int64")), ColumnDigest(hex("4"))),
            SpineColumn(Column("asked at", DataType.parse("datetime")), ColumnDigest(hex("5"))),
        ),
        unhashed=("notes",),
    ),
    rule=Rule("asked at", timezone="Europe/Berlin", is_earliest=True),
    semantics=1,
    versions={"mlforge": "0.5.0", "polars": "2.1.0", "python": "3.11.9"},
    output="train.parquet",
    rows=3,
    content_hash=ContentHash(hex("6")),
)


def decode(data: bytes) -> Lock:
    return Lock.decode(data, "train.lock.json")


def forged(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Another lock whose hash is right."""
    record = LOCK.to_dict()
    told: dict[str, Any] = json.loads(encode({k: v for k, v in record.items() if k != "hash"}))
    change(told)
    return encode_lines({**told, "hash": str(LockHash.of(encode(told)))})


def test_its_bytes_never_change() -> None:
    if IS_UPDATE:
        FILE.write_bytes(LOCK.encode())
    assert LOCK.encode() == FILE.read_bytes()


def test_what_is_written_is_read() -> None:
    assert decode(LOCK.encode()) == LOCK
    assert decode(LOCK.written_to("again.csv").encode()) == replace(LOCK, output="again.csv")
    assert forged(lambda told: None) == LOCK.encode()
    placed = replace(LOCK, spine=replace(LOCK.spine, path="data/é 1/labels.parquet"))
    assert decode(placed.encode()) == placed


def test_it_is_json_with_a_schema_and_a_line_a_field() -> None:
    told = json.loads(LOCK.encode())
    assert (told["format"], told["schema"]) == (1, "mlforge.lock/v1")
    for line in LOCK.encode().decode().splitlines():
        assert line[:5] in ("{", "}", "  ]", "  ],", "    {") or line.startswith('  "')


@pytest.mark.parametrize("line", range(1, len(LOCK.encode().splitlines()) - 1))
def test_an_edited_line_is_noticed(line: int) -> None:
    lines = LOCK.encode().split(b"\n")
    for old, new in ((b"1", b"7"), (b"a", b"b"), (b" ", b"  ")):
        if old in lines[line]:
            edited = [*lines[:line], lines[line].replace(old, new, 1), *lines[line + 1 :]]
            with pytest.raises((LockCorrupt, FormatUnknown)):
                decode(b"\n".join(edited))


EVIL: dict[str, Callable[[dict[str, Any]], object]] = {
    "a field more": lambda told: told.update(zone=None),
    "a path": lambda told: told["spine"].update(file="../labels.parquet"),
    "an absolute path": lambda told: told["spine"].update(file="/etc/labels.parquet"),
    "a backslash": lambda told: told["output"].update(file="..\\out.csv"),
    "a path that leads out": lambda told: told["spine"].update(path="../labels.parquet"),
    "a path that leads back": lambda told: told["spine"].update(path="a/../../labels.parquet"),
    "a path from the disk's root": lambda told: told["spine"].update(path="/labels.parquet"),
    "a path into git's folder": lambda told: told["spine"].update(path=".git/labels.parquet"),
    "a path of a drive": lambda told: told["spine"].update(path="C:/labels.parquet"),
    "a path of another file": lambda told: told["spine"].update(path="data/other.parquet"),
    "a path that is null": lambda told: told["spine"].update(path=None),
    "a path without a name": lambda told: told["spine"].update(path="data/x.csv", file=None),
    "a path that is no line": lambda told: told["spine"].update(path="a\n/labels.parquet"),
    "another ending": lambda told: told["spine"].update(file="id_rsa"),
    "a number as text": lambda told: told["output"].update(rows="3"),
    "fewer rows than none": lambda told: told["output"].update(rows=-1),
    "too many rows": lambda told: told["output"].update(rows=2**63),
    "more nulls than rows": lambda told: told["features"][0]["columns"][0].update(nulls=4),
    "no digest": lambda told: told["output"].update(content_hash="b3:0"),
    "no commit": lambda told: told.update(commit="HEAD"),
    "an unknown column": lambda told: told["features"][0]["columns"][0].update(name="other"),
    "a key as column": lambda told: told["features"][0]["columns"][0].update(name="user_id"),
    "an unknown key": lambda told: told["features"][0].update(on={"other": "a"}),
    "no object": lambda told: told["features"][0].update(objects=[]),
    "a path as object": lambda told: told["features"][0].update(objects=["../../x"]),
    "a path as name": lambda told: told["features"][0]["manifest"].update(name="../x"),
    "two names": lambda told: told["features"][0].update(name="other"),
    "no zone": lambda told: told["rule"].update(timezone="Mars/Olympus"),
    "neither": lambda told: told["rule"].update(ambiguous="latest"),
    "no type": lambda told: told["spine"]["columns"][0].update(type="int65"),
    "another schema": lambda told: told.update(schema="mlforge.train/v1"),
    "a list": lambda told: told.update(features={}),
}


@pytest.mark.parametrize("how", EVIL)
def test_a_forgery_with_a_right_hash_is_refused(how: str) -> None:
    with pytest.raises(LockCorrupt) as caught:
        decode(forged(EVIL[how]))
    assert caught.value.exit_code == 5
    assert caught.value.hint


@pytest.mark.parametrize("other", [{"format": 2}, {"schema": "mlforge.lock/v2"}])
def test_another_format_is_said_to_be_one(other: dict[str, object]) -> None:
    with pytest.raises(FormatUnknown) as caught:
        decode(forged(lambda told: told.update(other)))
    assert caught.value.hint == "pip install --upgrade mlforge"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_lock_is_corrupt(data: bytes) -> None:
    with pytest.raises(LockCorrupt):
        decode(data)


@pytest.mark.parametrize(
    ("name", "is_good"),
    [("labels.parquet", True), ("läbels 1.CSV", True), ("a/b.csv", False), ("..", False)],
)
def test_a_name_is_of_a_file_beside_the_lock(name: str, is_good: bool) -> None:
    assert is_file_name(name) == is_good
