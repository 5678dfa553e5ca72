"""Manifest: what one build produced; its canonical bytes are what git stores."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.canonical import Plain, decode, encode_lines, first_difference
from mlforge.errors import Corrupt, FormatUnknown, ManifestCorrupt, MlforgeError
from mlforge.ids import (
    CodeHash,
    ConfigHash,
    ContentHash,
    ObjectId,
    Recipe,
    SourceDigest,
    Version,
    parse_name,
)
from mlforge.schema import Column, Schema, Surrogate
from mlforge.times import Duration
from mlforge.types import DataType, TypeKind

FORMAT = 1
FILE_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Part:
    """An object with some of a version's rows. Parts follow each other in canonical row order."""

    object: ObjectId
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A source as declared, and the digest of its bytes."""

    text: str
    digest: SourceDigest


@dataclass(frozen=True, slots=True)
class Validation:
    """A validator that held for a column, as text."""

    column: str
    rule: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A function of inputs and rules: equal builds on two machines give equal manifests.

    No clock, no host, no absolute path. Fields: docs/formats.md#manifest.
    """

    name: str
    version: Version
    previous: Version | None
    schema: Schema
    entities: tuple[str, ...]
    surrogates: tuple[Surrogate, ...]
    interval: Duration | None
    timezone: str | None
    max_age: Duration | None
    created: str | None
    tiebreak: tuple[str, ...]
    horizon: int | None
    rows: int
    excluded: int
    parts: tuple[Part, ...]
    content_hash: ContentHash
    config_hash: ConfigHash
    code_hash: CodeHash
    recipe: Recipe
    sources: tuple[SourceRecord, ...]
    description: str | None
    owner: str | None
    tags: tuple[str, ...]
    validators: tuple[Validation, ...]
    bump: str | None
    reason: str
    details: tuple[str, ...]
    renamed_from: str | None = None

    @property
    def size_bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    def encode(self) -> bytes:
        """Canonical JSON: a field a line, sorted keys, LF."""
        return encode_lines(self.to_dict())

    def to_dict(self) -> dict[str, Plain]:
        """The fields of format 1, as plain values."""
        return {
            "format": FORMAT,
            "name": self.name,
            "version": str(self.version),
            "previous": _text(self.previous),
            "keys": list(self.schema.keys),
            "timestamp": self.schema.timestamp,
            "columns": [{"name": c.name, "type": str(c.type)} for c in self.schema.columns],
            "schema_hash": str(self.schema.hash()),
            "entities": list(self.entities),
            "surrogates": [{"key": s.key, "columns": list(s.columns)} for s in self.surrogates],
            "interval": _text(self.interval),
            "timezone": self.timezone,
            "max_age": _text(self.max_age),
            "created": self.created,
            "tiebreak": list(self.tiebreak),
            "horizon": self.horizon,
            "rows": self.rows,
            "excluded": self.excluded,
            "parts": [
                {"object": str(p.object), "rows": p.rows, "bytes": p.bytes} for p in self.parts
            ],
            "content_hash": str(self.content_hash),
            "config_hash": str(self.config_hash),
            "code_hash": str(self.code_hash),
            "recipe": str(self.recipe),
            "sources": [{"text": s.text, "digest": str(s.digest)} for s in self.sources],
            "description": self.description,
            "owner": self.owner,
            "tags": list(self.tags),
            "validators": [{"column": v.column, "rule": v.rule} for v in self.validators],
            "bump": self.bump,
            "reason": self.reason,
            "details": list(self.details),
            **({} if self.renamed_from is None else {"renamed_from": self.renamed_from}),
        }

    @classmethod
    def decode(cls, data: bytes, where: str) -> Manifest:
        """Parse, and refuse whatever is not exactly what `encode` writes.

        So unknown fields, double keys, odd numbers and hand edits are refused by one rule.
        Raises ManifestCorrupt, FormatUnknown.
        """
        try:
            manifest = cls._decode(data)
        except FormatUnknown:
            raise
        except MlforgeError as error:
            raise ManifestCorrupt(
                f"the manifest {where} cannot be read",
                cause=error.cause or error.message,
                hint=_restore_hint(where),
            ) from error
        if manifest.encode() != data:
            raise ManifestCorrupt(
                f"the manifest {where} is not the text that mlforge writes",
                cause=first_difference(manifest.encode(), data),
                hint=_restore_hint(where),
            )
        return manifest

    @classmethod
    def _decode(cls, data: bytes) -> Manifest:
        header = decode(data, _Header, limit=_LIMIT)
        if header.format != FORMAT:
            raise FormatUnknown(
                f"this manifest has format {header.format}; this mlforge reads format {FORMAT}",
                hint="pip install --upgrade mlforge",
            )
        return cls.of(decode(data, ManifestForm, limit=_LIMIT))

    @classmethod
    def of(cls, form: ManifestForm) -> Manifest:
        """Parse the fields of format 1. Raises MlforgeError where they cannot be a version's."""
        _check_numbers(form)
        columns = tuple(Column(parse_name(c.name), DataType.parse(c.type)) for c in form.columns)
        schema = _schema(form, columns)
        return cls(
            name=parse_name(form.name),
            version=Version.parse(form.version),
            previous=None if form.previous is None else Version.parse(form.previous),
            schema=schema,
            entities=tuple(form.entities),
            surrogates=_surrogates(form),
            interval=_duration(form.interval),
            timezone=form.timezone,
            max_age=None if form.max_age is None else Duration.parse_fixed(form.max_age),
            created=_created(form, schema),
            tiebreak=tuple(form.tiebreak),
            horizon=form.horizon,
            rows=form.rows,
            excluded=form.excluded,
            parts=tuple(Part(ObjectId.parse(p.object), p.rows, p.bytes) for p in form.parts),
            content_hash=ContentHash.parse(form.content_hash),
            config_hash=ConfigHash.parse(form.config_hash),
            code_hash=CodeHash.parse(form.code_hash),
            recipe=Recipe.parse(form.recipe),
            sources=tuple(SourceRecord(s.text, SourceDigest.parse(s.digest)) for s in form.sources),
            description=form.description,
            owner=form.owner,
            tags=tuple(form.tags),
            validators=tuple(Validation(v.column, v.rule) for v in form.validators),
            bump=form.bump,
            reason=form.reason,
            details=tuple(form.details),
            renamed_from=None if form.renamed_from is None else parse_name(form.renamed_from),
        )


_LIMIT = 16 << 20


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)


def _duration(text: str | None) -> Duration | None:
    return None if text is None else Duration.parse(text)


def _schema(form: ManifestForm, columns: tuple[Column, ...]) -> Schema:
    names = {column.name for column in columns}
    order = [*form.keys, *([form.timestamp] if form.timestamp else [])]
    is_each_once = len(names) == len(columns) and len(set(order)) == len(order)
    if not form.keys or not is_each_once or not names.issuperset(order):
        raise Corrupt("keys, timestamp and columns do not fit together")
    return Schema(tuple(form.keys), form.timestamp, columns)


def _created(form: ManifestForm, schema: Schema) -> str | None:
    times = [column.name for column in schema.values if column.type.kind is TypeKind.DATETIME]
    is_timed = schema.timestamp is not None and form.interval is None
    if form.created is not None and not (is_timed and form.created in times):
        raise Corrupt("created, timestamp, interval and columns do not fit together")
    return form.created


def _surrogates(form: ManifestForm) -> tuple[Surrogate, ...]:
    made = tuple(Surrogate(s.key, tuple(map(parse_name, s.columns))) for s in form.surrogates)
    if any(surrogate.key not in form.keys or not surrogate.columns for surrogate in made):
        raise Corrupt("surrogates and keys do not fit together")
    return made


def _check_numbers(form: ManifestForm) -> None:
    rows, sizes = [part.rows for part in form.parts], [part.bytes for part in form.parts]
    if not rows or min([form.excluded, *rows, *sizes]) < 0 or sum(rows) != form.rows:
        raise Corrupt("rows, excluded and the rows and bytes of parts do not fit together")
    if form.horizon is not None and not -(2**63) <= form.horizon < 2**63:
        raise Corrupt(f"the horizon {form.horizon} is no instant")


def _restore_hint(where: str) -> str:
    return f"git checkout HEAD -- :/{where}"


# What JSON must look like before it is read any further.


@dataclass(frozen=True, slots=True)
class _Header:
    format: int


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class _Surrogate:
    key: str
    columns: list[str]


@dataclass(frozen=True, slots=True)
class _Part:
    object: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Source:
    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Validation:
    column: str
    rule: str


@dataclass(frozen=True, slots=True)
class ManifestForm:
    """A manifest's fields, each of the right JSON type."""

    name: str
    version: str
    previous: str | None
    keys: list[str]
    timestamp: str | None
    columns: list[_Column]
    schema_hash: str
    entities: list[str]
    surrogates: list[_Surrogate]
    interval: str | None
    timezone: str | None
    max_age: str | None
    created: str | None
    tiebreak: list[str]
    horizon: int | None
    rows: int
    excluded: int
    parts: list[_Part]
    content_hash: str
    config_hash: str
    code_hash: str
    recipe: str
    sources: list[_Source]
    description: str | None
    owner: str | None
    tags: list[str]
    validators: list[_Validation]
    bump: str | None
    reason: str
    details: list[str]
    renamed_from: str | None = None
