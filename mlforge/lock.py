"""Lock: all that a training set was made from, as the text beside its file; it makes it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlforge.canonical import Plain, decode, encode, encode_lines, first_difference
from mlforge.errors import Corrupt, FormatUnknown, LockCorrupt, MlforgeError
from mlforge.ids import ColumnDigest, CommitId, ContentHash, LockHash, ObjectId
from mlforge.manifest import Manifest, ManifestForm
from mlforge.notebook import Shown, Table
from mlforge.pit import Rule
from mlforge.schema import Column
from mlforge.types import DataType
from mlforge.zones import check_zone

FORMAT = 1
SCHEMA = "mlforge.lock/v1"
SUFFIX = ".lock.json"
# What a spine or an output may be written as.
_FILE_TYPES = (".parquet", ".csv", ".arrow", ".ipc", ".feather")
LARGEST = 16 << 20
_MOST_ROWS = 2**63


@dataclass(frozen=True, slots=True)
class SpineColumn:
    """A column of the spine as it was, in the order of its rows."""

    column: Column
    digest: ColumnDigest


@dataclass(frozen=True, slots=True)
class LockedSpine:
    """The spine by content. `file`: its name; None: it was a frame.

    `unhashed`: its columns whose types are not canonical, of which nothing is known. `path`: where
    it was, from the work tree's root; None: not in it.
    """

    file: str | None
    rows: int
    content_hash: ContentHash
    columns: tuple[SpineColumn, ...]
    unhashed: tuple[str, ...]
    path: str | None = None


@dataclass(frozen=True, slots=True)
class LockedColumn:
    """A column of a feature as it came out. `called`: its name there."""

    name: str
    called: str
    nulls: int
    digest: ColumnDigest


@dataclass(frozen=True, slots=True)
class LockedFeature:
    """A version that was joined. `objects`: what was read of it, in row order.

    `commit` holds exactly this version; None: it was a draft. `on`: by key, or by column that a key
    is made of, the spine's column that is called otherwise.
    """

    manifest: Manifest
    commit: CommitId | None
    objects: tuple[ObjectId, ...]
    columns: tuple[LockedColumn, ...]
    on: Mapping[str, str]

    @property
    def label(self) -> str:
        """`name@X.Y.Z`, as it was then."""
        return f"{self.manifest.name}@{self.manifest.version}"

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features`."""
        return {
            "name": self.manifest.name,
            "version": str(self.manifest.version),
            "content_hash": str(self.manifest.content_hash),
            "commit": None if self.commit is None else self.commit.hex,
            "objects": [str(oid) for oid in self.objects],
            "columns": [
                {"name": c.name, "called": c.called, "nulls": c.nulls, "digest": str(c.digest)}
                for c in self.columns
            ],
            "on": dict(self.on),
            "manifest": self.manifest.to_dict(),
        }


@dataclass(frozen=True, slots=True, repr=False)
class Lock(Shown):
    """A training set's origin by content: what makes it again, whatever became of the repository.

    `commit` and `is_dirty`: as in its provenance. `semantics`: the number of mlforge's rules.
    `versions`: of what computed it, by package. `output`: its file's name, None in Python;
    `content_hash` is of its rows in the spine's order. Fields: docs/formats.md#lock.
    """

    commit: CommitId | None
    is_dirty: bool
    features: tuple[LockedFeature, ...]
    spine: LockedSpine
    rule: Rule
    semantics: int
    versions: Mapping[str, str]
    output: str | None
    rows: int
    content_hash: ContentHash

    @property
    def hash(self) -> LockHash:
        """Of all the other fields."""
        return LockHash.of(encode(self._facts()))

    def written_to(self, output: str) -> Lock:
        """The same of a training set that was written to a file of this name."""
        return replace(self, output=output)

    def encode(self) -> bytes:
        """Canonical JSON: a field a line, a feature a line, sorted keys, LF."""
        return encode_lines(self.to_dict())

    def to_dict(self) -> dict[str, Plain]:
        """The fields of format 1, as plain values."""
        return {**self._facts(), "hash": str(self.hash)}

    def _facts(self) -> dict[str, Plain]:
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            "commit": None if self.commit is None else self.commit.hex,
            "dirty": self.is_dirty,
            "features": [feature.to_dict() for feature in self.features],
            "spine": _spine_record(self.spine),
            "rule": {
                "timestamp": self.rule.timestamp,
                "timezone": self.rule.timezone,
                "ambiguous": "earliest" if self.rule.is_earliest else "raise",
                "exact_matches": self.rule.exact_matches,
                "full_names": self.rule.full_names,
                "semantics": self.semantics,
            },
            "versions": dict(self.versions),
            "output": {
                "file": self.output,
                "rows": self.rows,
                "content_hash": str(self.content_hash),
            },
        }

    def _tables(self) -> tuple[Table, ...]:
        dirty = " (the work tree differed)" if self.is_dirty else ""
        commit = self.commit.short if self.commit else "none"
        title = f"Lock: {self.rows:,} rows, commit {commit}{dirty}"
        rows = tuple(
            (f.label, str(len(f.columns)), f"{sum(c.nulls for c in f.columns):,}")
            for f in self.features
        )
        columns = ("feature", "columns", "nulls")
        hashes: dict[str, Plain] = {"output": str(self.content_hash), "lock": str(self.hash)}
        return (
            Table(title, columns, rows, frozenset(columns[1:])),
            Table.of_fields("hashes", hashes),
        )

    @classmethod
    def decode(cls, data: bytes, where: str) -> Lock:
        """Parse, and refuse whatever is not exactly what `encode` writes.

        Raises LockCorrupt, FormatUnknown.
        """
        try:
            lock = _parsed(data)
        except FormatUnknown:
            raise
        except MlforgeError as error:
            raise _corrupt(f"the lock {where} cannot be read", error.cause or error.message) from (
                error
            )
        if lock.encode() != data:
            raise _corrupt(
                f"the lock {where} is not what mlforge wrote",
                first_difference(lock.encode(), data),
            )
        return lock


def _corrupt(message: str, cause: str) -> LockCorrupt:
    return LockCorrupt(message, cause=cause, hint="train again, or bring the file back from git")


def _spine_record(spine: LockedSpine) -> dict[str, Plain]:
    return {
        "file": spine.file,
        "rows": spine.rows,
        "content_hash": str(spine.content_hash),
        "columns": [
            {"name": c.column.name, "type": str(c.column.type), "digest": str(c.digest)}
            for c in spine.columns
        ],
        "unhashed": list(spine.unhashed),
        **({} if spine.path is None else {"path": spine.path}),
    }


def _parsed(data: bytes) -> Lock:
    header = decode(data, _Header, limit=LARGEST)
    if header.schema.rpartition("/")[0] != SCHEMA.rpartition("/")[0]:
        raise Corrupt(f"its schema is {header.schema[:80]!r}, not {SCHEMA}")
    if header.format != FORMAT or header.schema != SCHEMA:
        raise FormatUnknown(
            f"this lock has format {header.format}; this mlforge reads format {FORMAT}",
            hint="pip install --upgrade mlforge",
        )
    form = decode(data, _Form, limit=LARGEST)
    rows = _count(form.output.rows)
    return Lock(
        commit=None if form.commit is None else CommitId.parse(form.commit),
        is_dirty=form.dirty,
        features=tuple(_feature(feature, rows) for feature in form.features),
        spine=_spine(form.spine),
        rule=_rule(form.rule),
        semantics=_count(form.rule.semantics),
        versions=form.versions,
        output=_file(form.output.file),
        rows=rows,
        content_hash=ContentHash.parse(form.output.content_hash),
    )


def _feature(form: _Feature, rows: int) -> LockedFeature:
    manifest = Manifest.of(form.manifest)
    known = {column.name for column in manifest.schema.values}
    names = [column.name for column in form.columns]
    if not known.issuperset(names) or len({*names}) != len(names):
        raise Corrupt(f"the columns of {manifest.name} are not those of its manifest")
    made_of = {column for surrogate in manifest.surrogates for column in surrogate.columns}
    if not {*manifest.schema.keys, *made_of}.issuperset(form.on):
        raise Corrupt(f"the keys of {manifest.name} are not those of its manifest")
    if not form.objects:
        raise Corrupt(f"{manifest.name} has no objects")
    return LockedFeature(
        manifest=manifest,
        commit=None if form.commit is None else CommitId.parse(form.commit),
        objects=tuple(map(ObjectId.parse, form.objects)),
        columns=tuple(
            LockedColumn(c.name, c.called, _count(c.nulls, rows), ColumnDigest.parse(c.digest))
            for c in form.columns
        ),
        on=form.on,
    )


def _spine(form: _Spine) -> LockedSpine:
    if form.path is not None and not (is_path(form.path) and _name(form.path) == form.file):
        raise Corrupt(f"{form.path[:80]!r} is no path of the spine in a repository")
    return LockedSpine(
        file=_file(form.file),
        rows=_count(form.rows),
        content_hash=ContentHash.parse(form.content_hash),
        columns=tuple(
            SpineColumn(Column(c.name, DataType.parse(c.type)), ColumnDigest.parse(c.digest))
            for c in form.columns
        ),
        unhashed=tuple(form.unhashed),
        path=form.path,
    )


def _rule(form: _Rule) -> Rule:
    if form.ambiguous not in ("raise", "earliest"):
        raise Corrupt(f"ambiguous is {form.ambiguous[:80]!r}")
    if form.timezone is not None and form.timezone != "UTC":
        check_zone(form.timezone)
    return Rule(
        timestamp=form.timestamp,
        exact_matches=form.exact_matches,
        full_names=form.full_names,
        timezone=form.timezone,
        is_earliest=form.ambiguous == "earliest",
    )


def _count(number: int, most: int = _MOST_ROWS - 1) -> int:
    if not 0 <= number <= most:
        raise Corrupt(f"{number} cannot be a number of rows")
    return number


def _file(name: str | None) -> str | None:
    if name is not None and not is_file_name(name):
        raise Corrupt(f"{name[:80]!r} is no name of a file beside the lock")
    return name


def is_file_name(name: str) -> bool:
    """Whether a lock may say this name: nothing in it leads out of the lock's folder."""
    is_plain = name.isprintable() and not {"/", "\\", ":"} & {*name} and len(name) <= 255
    return is_plain and name.lower().endswith(_FILE_TYPES)


def is_path(path: str) -> bool:
    """Whether a lock may say this path: it leads to a file below the folder where it starts."""
    parts = path.split("/")
    is_below = not {"", ".", "..", ".git"} & {part.lower() for part in parts}
    is_plain = path.isprintable() and not {"\\", ":"} & {*path} and len(path) <= 4096
    return is_below and is_plain and is_file_name(parts[-1])


def _name(path: str) -> str:
    return path.rpartition("/")[2]


# What JSON must look like before it is read any further.


@dataclass(frozen=True, slots=True)
class _Header:
    format: int
    schema: str


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    called: str
    nulls: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Feature:
    commit: str | None
    objects: list[str]
    columns: list[_Column]
    on: dict[str, str]
    manifest: ManifestForm


@dataclass(frozen=True, slots=True)
class _SpineColumn:
    name: str
    type: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Spine:
    file: str | None
    rows: int
    content_hash: str
    columns: list[_SpineColumn]
    unhashed: list[str]
    path: str | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    timestamp: str | None
    timezone: str | None
    ambiguous: str
    exact_matches: bool
    full_names: bool
    semantics: int


@dataclass(frozen=True, slots=True)
class _Output:
    file: str | None
    rows: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class _Form:
    commit: str | None
    dirty: bool
    features: list[_Feature]
    spine: _Spine
    rule: _Rule
    versions: dict[str, str]
    output: _Output
