"""Digests: their bytes never change, and nothing is read that `encode` would not write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlforge.digests import LARGE_BYTES, Digests, ObjectDigests, is_large
from mlforge.errors import DigestsCorrupt, FormatUnknown
from mlforge.ids import BytesDigest, ObjectId

GOLDEN = (Path(__file__).parent / "golden" / "digests.json").read_bytes()
WHERE = "feature_store/user_spend/1.0.0/digests.json"
DIGESTS = Digests(
    tuple(
        ObjectDigests(
            ObjectId(first * 64),
            BytesDigest(second * 64),
            {"user_id": BytesDigest(third * 64), "amount": BytesDigest(first + third * 63)},
        )
        for first, second, third in ("1ab", "2cd")
    )
)


def test_digests_have_these_bytes_for_ever() -> None:
    assert DIGESTS.encode() == GOLDEN
    assert Digests.decode(GOLDEN, WHERE) == DIGESTS


def test_an_object_is_large_beyond_64_mib() -> None:
    assert LARGE_BYTES == 64 * 1024 * 1024
    assert (is_large(LARGE_BYTES), is_large(LARGE_BYTES + 1)) == (False, True)


HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.lists(st.from_regex(r"[a-z_][a-z0-9_]{2,9}", fullmatch=True), max_size=4, unique=True)


@given(NAMES, st.integers(1, 3), st.data())
def test_what_is_encoded_is_decoded(names: list[str], count: int, data: st.DataObject) -> None:
    digests = Digests(
        tuple(
            ObjectDigests(
                ObjectId(data.draw(HEX)),
                BytesDigest(data.draw(HEX)),
                {name: BytesDigest(data.draw(HEX)) for name in names},
            )
            for _ in range(count)
        )
    )
    found = Digests.decode(digests.encode(), WHERE)
    assert found == digests
    assert list(found.objects[0].columns) == names


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"b3:1", b"b3:A", 1),
        lambda data: data.replace(b"b3:1", b"1", 1),
        lambda data: data.replace(b'"amount"', b'"user_id"'),
        lambda data: data.replace(b'"amount"', b'"a.b"'),
        lambda data: data.replace(b'"amount"', b'"../amount"'),
        lambda data: data.replace(b'"format": 1', b'"format": 1,\n  "more": 1'),
        lambda data: data.replace(
            b'"columns": [\n', b'"columns": [\n    {"digests":[],"name":"x"},\n'
        ),
        lambda data: data.replace(data[data.index(b'"objects"') :], b'"objects": []\n}\n'),
        lambda data: b"[" * 100_000,
        lambda data: data + b" " * (16 << 20),
    ],
)
def test_anything_else_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    spoiled = spoil(GOLDEN)
    assert spoiled != GOLDEN
    with pytest.raises(DigestsCorrupt, match=WHERE) as refused:
        Digests.decode(spoiled, WHERE)
    assert refused.value.hint == f"git checkout HEAD -- :/{WHERE}"


@given(st.binary())
def test_no_bytes_break_it(data: bytes) -> None:
    with pytest.raises(DigestsCorrupt):
        Digests.decode(data, WHERE)


def test_another_format_is_unknown() -> None:
    with pytest.raises(FormatUnknown, match="have format 2"):
        Digests.decode(GOLDEN.replace(b'"format": 1', b'"format": 2'), WHERE)
