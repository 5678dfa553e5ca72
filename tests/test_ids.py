"""Ids: what may be a name, a version and a digest, and what may not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from mlforge.errors import InvalidName, InvalidReference, InvalidVersion
from mlforge.ids import (
    Bump,
    CodeHash,
    CommitId,
    ContentHash,
    Digest,
    Hasher,
    ObjectId,
    Version,
    hash_bytes,
    hash_file,
    parse_name,
)

HEX = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
PARTS = st.integers(0, 999_999_999)
VERSIONS = st.builds(Version, PARTS, PARTS, PARTS)


@pytest.mark.parametrize("name", ["a", "_", "User_Spend2", "headlines", "com", "con1", "a" * 100])
def test_a_plain_name_is_itself(name: str) -> None:
    assert parse_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *[
            "",
            "1a",
            "a b",
            "a-b",
            "a.b",
            "a/b",
            "a\\b",
            "..",
            ".",
            "../x",
            "/etc/passwd",
            "a\n",
            "a\0",
        ],
        *["a" * 101, "é", "ａ", "а", "a\u200b", "\ud800", "a;drop", 'a"', "a'", "~", "C:", "@{u}"],
    ],
)
def test_what_a_path_git_or_sql_could_misread_is_no_name(name: str) -> None:
    with pytest.raises(InvalidName):
        parse_name(name)


@pytest.mark.parametrize("name", ["HEAD", "head", "PIN", "Pin", "manifest", "CON", "nul", "Com1"])
@pytest.mark.parametrize("what", ["name of a feature", "name of a column"])
def test_a_reserved_name_is_refused_in_any_case(name: str, what: str) -> None:
    with pytest.raises(InvalidName, match=f"'{name}' cannot be the {what}") as refused:
        parse_name(name, what)
    assert "keeps it for itself" in str(refused.value.hint)


def test_a_refused_name_is_quoted_short() -> None:
    with pytest.raises(InvalidName) as refused:
        parse_name("é" * 10_000)
    assert len(refused.value.message) < 200


@given(st.text())
def test_every_name_is_ascii_letters_digits_and_underscores(text: str) -> None:
    try:
        assert set(parse_name(text)) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
        )
    except InvalidName:
        assert not (text.isascii() and text.isidentifier() and len(text) < 3)


@given(VERSIONS)
def test_a_version_is_its_text(version: Version) -> None:
    assert Version.parse(str(version)) == version
    assert Version.is_version(str(version))


def test_versions_are_ordered_as_numbers() -> None:
    ordered = [
        Version.parse(text) for text in ("0.9.9", "1.0.9", "1.0.10", "1.2.0", "1.10.0", "10.0.0")
    ]
    assert sorted(random.Random(1).sample(ordered, len(ordered))) == ordered


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "abc",
            "1",
            "1.0",
            "1.0.0.0",
            "01.0.0",
            "1.00.0",
            "1.0.0 ",
            " 1.0.0",
            "1.0.0\n",
            "../x",
        ],
        *["v1.0.0", "-1.0.0", "+1.0.0", "1.0.0-rc1", "1.0.x", "1_0.0.0", "١.٠.٠", "1,0,0", "~=1.0"],
        *["1000000000.0.0", "1.0." + "9" * 5000],
    ],
)
def test_what_is_not_three_plain_numbers_is_no_version(text: str) -> None:
    assert not Version.is_version(text)
    with pytest.raises(InvalidVersion) as refused:
        Version.parse(text)
    assert len(refused.value.message) < 100


@given(
    VERSIONS.filter(lambda version: max(version.major, version.minor, version.patch) < 10**9 - 1)
)
def test_a_bump_raises_its_part_and_clears_those_below(version: Version) -> None:
    assert version.bumped(Bump.MAJOR) == Version(version.major + 1, 0, 0)
    assert version.bumped(Bump.MINOR) == Version(version.major, version.minor + 1, 0)
    assert version.bumped(Bump.PATCH) == Version(version.major, version.minor, version.patch + 1)
    assert version.bumped(Bump.NONE) == version


@pytest.mark.parametrize("bump", [Bump.MAJOR, Bump.MINOR, Bump.PATCH])
def test_no_bump_leads_to_a_number_that_cannot_be_read_again(bump: Bump) -> None:
    last = Version.parse(".".join(["999999999"] * 3))
    with pytest.raises(InvalidVersion, match="1000000000"):
        last.bumped(bump)


def test_bumps_are_ordered_by_strength_and_have_a_word() -> None:
    assert Bump.NONE < Bump.PATCH < Bump.MINOR < Bump.MAJOR
    assert [bump.word for bump in Bump] == ["none", "patch", "minor", "major"]


def test_a_digest_is_its_text() -> None:
    digest = ContentHash.parse(f"b3:{HEX}")
    assert str(digest) == f"b3:{HEX}"
    assert digest == ContentHash.of(b"")
    assert digest.short == HEX[:12]


@pytest.mark.parametrize(
    "text",
    [
        *["", HEX, "b3:", f"b3:{HEX[:-1]}", f"b3:{HEX}0", f"b3:{HEX.upper()}", f"b3:b3:{HEX}"],
        *[f"b3:{HEX}\n", f"B3:{HEX}", f"sha256:{HEX}", "b3:" + "g" * 64, "b3:../../../etc/passwd"],
    ],
)
def test_what_is_not_b3_and_64_digits_is_no_digest(text: str) -> None:
    with pytest.raises(InvalidReference):
        Digest.parse(text)


def test_digests_of_different_things_are_never_equal() -> None:
    kinds = [ObjectId(HEX), ContentHash(HEX), CodeHash(HEX), Digest(HEX)]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("digits", [40, 64])
def test_a_commit_id_is_40_or_64_digits(digits: int) -> None:
    commit = CommitId.parse(HEX[:digits])
    assert str(commit) == HEX[:digits]
    assert commit.short == HEX[:8]


@pytest.mark.parametrize(
    "text", ["", "HEAD", HEX[:39], HEX[:41], HEX[:40].upper(), HEX[:40] + "\n"]
)
def test_a_short_or_odd_commit_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        CommitId.parse(text)


@given(st.lists(st.binary(max_size=100)))
def test_bytes_in_pieces_hash_like_bytes_at_once(pieces: list[bytes]) -> None:
    hasher = Hasher()
    for piece in pieces:
        hasher.update(memoryview(piece))
    assert hasher.hexdigest() == hash_bytes(b"".join(pieces)) == hasher.digest().hex()


@pytest.mark.parametrize("size", [0, 1, 1 << 10, (1 << 20) + 1])
def test_a_file_hashes_like_its_bytes(tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    (tmp_path / "file").write_bytes(data)
    assert hash_file(tmp_path / "file") == hash_bytes(data) == blake3(data).hexdigest()
