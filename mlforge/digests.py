"""Digests: of a version's objects column by column, so that a few can be read without the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlforge.canonical import Plain, decode, encode_lines
from mlforge.errors import DigestsCorrupt, FormatUnknown, MlforgeError
from mlforge.ids import BytesDigest, ObjectId, parse_name

FORMAT = 1
FILE_NAME = "digests.json"
# Larger objects are mapped, not loaded, and have digests of their columns.
LARGE_BYTES = 64 << 20
_LIMIT = 16 << 20


def is_large(size_bytes: int) -> bool:
    """Whether an object of this size has digests of its columns."""
    return size_bytes > LARGE_BYTES


@dataclass(frozen=True, slots=True)
class ObjectDigests:
    """Of one object: of its footer, and by name of each column's chunks, in the file's order.

    What bytes these are: docs/formats.md#digests.
    """

    object: ObjectId
    footer: BytesDigest
    columns: Mapping[str, BytesDigest]


@dataclass(frozen=True, slots=True)
class Digests:
    """Of all of a version's objects, at least one; they have the same columns, in one order."""

    objects: tuple[ObjectDigests, ...]

    def encode(self) -> bytes:
        """Canonical JSON: a field a line, a column a line, sorted keys, LF."""
        return encode_lines(self.to_dict())

    def to_dict(self) -> dict[str, Plain]:
        """The fields of format 1, as plain values."""
        return {
            "format": FORMAT,
            "objects": [
                {"object": str(one.object), "footer": str(one.footer)} for one in self.objects
            ],
            "columns": [
                {"name": name, "digests": [str(one.columns[name]) for one in self.objects]}
                for name in self.objects[0].columns
            ],
        }

    @classmethod
    def decode(cls, data: bytes, where: str) -> Digests:
        """Parse, and refuse whatever is not exactly what `encode` writes.

        Raises DigestsCorrupt, FormatUnknown.
        """
        try:
            digests = cls._decode(data)
        except FormatUnknown:
            raise
        except MlforgeError as error:
            raise corrupt(where, error.cause or error.message) from error
        if digests.encode() != data:
            raise corrupt(where, "it is not the text that mlforge writes")
        return digests

    @classmethod
    def _decode(cls, data: bytes) -> Digests:
        header = decode(data, _Header, limit=_LIMIT)
        if header.format != FORMAT:
            raise FormatUnknown(
                f"these digests have format {header.format}; this mlforge reads format {FORMAT}",
                hint="pip install --upgrade mlforge",
            )
        form = decode(data, _Form, limit=_LIMIT)
        if not form.objects or any(len(c.digests) != len(form.objects) for c in form.columns):
            raise DigestsCorrupt("its columns and objects do not fit together")
        return cls(
            tuple(
                ObjectDigests(
                    ObjectId.parse(one.object),
                    BytesDigest.parse(one.footer),
                    {
                        parse_name(column.name): BytesDigest.parse(column.digests[number])
                        for column in form.columns
                    },
                )
                for number, one in enumerate(form.objects)
            )
        )


def corrupt(where: str, cause: str) -> DigestsCorrupt:
    """Digests that cannot be used: the version and its rows can."""
    return DigestsCorrupt(
        f"the digests {where} cannot be used", cause=cause, hint=f"git checkout HEAD -- :/{where}"
    )


# What JSON must look like before it is read any further.


@dataclass(frozen=True, slots=True)
class _Header:
    format: int


@dataclass(frozen=True, slots=True)
class _Object:
    object: str
    footer: str


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    digests: list[str]


@dataclass(frozen=True, slots=True)
class _Form:
    objects: list[_Object]
    columns: list[_Column]
