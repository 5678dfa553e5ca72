"""Ids: names, version numbers and digests, each a type of its own. The home of BLAKE3."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import ClassVar, Self

from blake3 import blake3

from mlforge.errors import InvalidName, InvalidReference, InvalidVersion

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_SHA = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")

# What git, Windows or the store itself keeps for its own use.
_RESERVED = frozenset(
    ["head", "pin", "manifest", "con", "prn", "aux", "nul"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in range(10)]
)


def parse_name(text: str, what: str = "name") -> str:
    """The text itself, when it is a name that git, Windows, SQL and Parquet can all carry.

    Raises InvalidName. Rule: docs/semantics.md#names.
    """
    if not _NAME.match(text):
        raise InvalidName(
            f"{text[:120]!r} cannot be the {what}",
            hint="use letters, digits and _, not starting with a digit, at most 100",
        )
    if text.lower() in _RESERVED:
        raise InvalidName(
            f"{text!r} cannot be the {what}", hint="git, Windows or the store keeps it for itself"
        )
    return text


class Bump(IntEnum):
    """Which part of a version number a change raises; the greater is the stronger."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """X.Y.Z: 1.0.10 comes after 1.0.9."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _VERSION.match(text)
        if not match:
            raise InvalidVersion(f"{text[:40]!r} is not a version", hint="write X.Y.Z, like 1.2.0")
        return cls(*(int(part) for part in match.groups()))

    @classmethod
    def is_version(cls, text: str) -> bool:
        return _VERSION.match(text) is not None

    def bumped(self, bump: Bump) -> Version:
        """The next number. Raises InvalidVersion beyond the last that can be written."""
        match bump:
            case Bump.MAJOR:
                return Version.parse(f"{self.major + 1}.0.0")
            case Bump.MINOR:
                return Version.parse(f"{self.major}.{self.minor + 1}.0")
            case Bump.PATCH:
                return Version.parse(f"{self.major}.{self.minor}.{self.patch + 1}")
            case Bump.NONE:
                return self

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


FIRST_VERSION = Version(1, 0, 0)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A BLAKE3 digest: 64 lower-case hex digits, written `b3:<hex>`."""

    hex: str
    prefix: ClassVar[str] = "b3:"

    @classmethod
    def parse(cls, text: str) -> Self:
        hex = text.removeprefix(cls.prefix)
        if len(hex) == len(text) or not _HEX64.match(hex):
            raise InvalidReference(f"{text[:80]!r} is not a digest (b3: and 64 hex digits)")
        return cls(hex)

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(blake3(data).hexdigest())

    @property
    def short(self) -> str:
        """The first 12 digits: for people, never for lookup."""
        return self.hex[:12]

    def __str__(self) -> str:
        return self.prefix + self.hex


class ObjectId(Digest):
    """Of an object's bytes: where they live, and whether they are whole."""


class ContentHash(Digest):
    """Of a table's canonical logical values: did the data change?"""


class SchemaHash(Digest):
    """Of keys, timestamp, column names and canonical types."""


class ConfigHash(Digest):
    """Of the declaration that changes results or reading."""


class CodeHash(Digest):
    """Of the function's normalised source."""


class Recipe(Digest):
    """Of everything that a build is made from: must it be computed?"""


class SourceDigest(Digest):
    """Of a source file's bytes."""


class ColumnDigest(Digest):
    """Of one column's canonical values, in the order of the rows."""


class BytesDigest(Digest):
    """Of some of an object's bytes: its footer, or one column's chunks."""


class LockHash(Digest):
    """Of all that a lock says."""


@dataclass(frozen=True, slots=True, order=True)
class CommitId:
    """A git commit: 40 hex digits (64 in a SHA-256 repository)."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if not _SHA.match(text):
            raise InvalidReference(f"{text[:80]!r} is not a commit id")
        return cls(text)

    @property
    def short(self) -> str:
        """The first 8 digits: for people, never for lookup."""
        return self.hex[:8]

    def __str__(self) -> str:
        return self.hex


class Hasher:
    """BLAKE3 of bytes that come in pieces. `update` takes any buffer."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = blake3()

    def update(self, data: bytes | bytearray | memoryview) -> Self:
        self._state.update(data)
        return self

    def digest(self) -> bytes:
        return self._state.digest()

    def hexdigest(self) -> str:
        return self._state.hexdigest()


def hash_each(texts: Iterable[bytes]) -> list[str]:
    """BLAKE3 of each of many short texts, as hex."""
    return [blake3(text).hexdigest() for text in texts]


def hash_bytes(data: bytes | bytearray | memoryview) -> str:
    """BLAKE3 of bytes in memory as hex, hashed on all cores."""
    return blake3(data, max_threads=blake3.AUTO).hexdigest()


def hash_pieces(pieces: Iterable[memoryview]) -> str:
    """BLAKE3 of bytes that follow each other, as hex: each piece is hashed on this core."""
    state = blake3()
    for piece in pieces:
        state.update(piece)
    return state.hexdigest()


def hash_file(path: Path) -> str:
    """BLAKE3 of a file's bytes as hex, mapped into memory and hashed on all cores."""
    state = blake3(max_threads=blake3.AUTO)
    state.update_mmap(path)
    return state.hexdigest()
