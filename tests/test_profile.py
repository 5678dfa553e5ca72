"""Profile: its bytes never change, and nothing is read that `encode` would not write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlforge.errors import FormatUnknown, ProfileCorrupt
from mlforge.ids import ContentHash
from mlforge.profile import ColumnProfile, Profile, shortened

GOLDEN = (Path(__file__).parent / "golden" / "profile.json").read_bytes()
WHERE = "feature_store/user_spend/1.0.0/profile.json"
PROFILE = Profile(
    content_hash=ContentHash("5" * 64),
    rows=4,
    distinct_keys=2,
    first_time=1_704_153_600_000_000,
    last_time=1_704_499_200_000_000,
    columns=(
        ColumnProfile("user_id", 0, None, 2, "a", "é|\n", None),
        ColumnProfile("at", 0, None, 4, "2024-01-02T00:00:00Z", "2024-01-06T00:00:00Z", None),
        ColumnProfile("spent", 1, 1, 2, "-inf", "0.1", "-inf"),
        ColumnProfile("visits", 4, None, 0, None, None, None),
    ),
)


def test_a_profile_has_these_bytes_for_ever() -> None:
    assert PROFILE.encode() == GOLDEN
    assert Profile.decode(GOLDEN, WHERE) == PROFILE


COLUMNS = st.builds(
    ColumnProfile,
    name=st.sampled_from(["a", "B_2"]),
    nulls=st.integers(0, 5),
    nans=st.none() | st.integers(0, 5),
    distinct=st.integers(0, 10),
    min=st.none() | st.text(max_size=64),
    max=st.none() | st.text().map(shortened),
    mean=st.none() | st.floats(allow_nan=False).map(repr),
)


@given(st.lists(COLUMNS, max_size=3), st.none() | st.integers(-(2**63), 2**63 - 1))
def test_what_is_encoded_is_decoded(columns: list[ColumnProfile], time: int | None) -> None:
    profile = replace(PROFILE, rows=20, columns=tuple(columns), last_time=time)
    assert Profile.decode(profile.encode(), WHERE) == profile


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-40],
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b'"rows": 4', b'"rows": 4.0'),
        lambda data: data.replace(b'"rows": 4', b'"rows": -1'),
        lambda data: data.replace(b'"rows": 4', b'"rows": 4,\n  "rows": 4'),
        lambda data: data.replace(b'"rows": 4', b'"rows": 4,\n  "x": 4'),
        lambda data: data.replace(b'"distinct_keys": 2', b'"distinct_keys": 5'),
        lambda data: data.replace(b'"distinct":4', b'"distinct":5'),
        lambda data: data.replace(b'"nulls":1', b'"nulls":-1'),
        lambda data: data.replace(b'"mean":"-inf"', b'"mean":"1e3"'),
        lambda data: data.replace(b'"mean":"-inf"', b'"mean":"nan"'),
        lambda data: data.replace(b'"mean":"-inf"', b'"mean":"much"'),
        lambda data: data.replace(b'"name":"spent"', b'"name":"../spent"'),
        lambda data: data.replace(b'"max":"0.1"', b'"max":"' + b"9" * 66 + b'"'),
        lambda data: data.replace(b'"b3:5', b'"b3:X'),
        lambda data: b"[" * 100_000,
        lambda data: b'{"format": 1, "x": "' + b"x" * (5 << 20) + b'"}',
        lambda data: b"\xff\xfe" + data,
    ],
)
def test_what_mlforge_would_not_write_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ProfileCorrupt) as error:
        Profile.decode(spoil(GOLDEN), WHERE)
    assert WHERE in str(error.value)
    assert error.value.hint


def test_another_format_is_refused_as_such() -> None:
    with pytest.raises(FormatUnknown, match="format 2"):
        Profile.decode(GOLDEN.replace(b'"format": 1', b'"format": 2'), WHERE)


def test_long_text_is_cut_with_a_mark() -> None:
    assert shortened("x" * 64) == "x" * 64
    assert shortened("x" * 65) == "x" * 64 + "…"
