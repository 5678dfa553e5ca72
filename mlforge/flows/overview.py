"""Overview: what features and versions there are here, and how each stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from mlforge.canonical import Plain
from mlforge.errors import MlforgeError
from mlforge.flows.remarks import older_sources
from mlforge.flows.resolve import (
    feature_names,
    follow,
    head,
    head_version,
    missing_here,
    versions,
)
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version
from mlforge.manifest import Manifest
from mlforge.notebook import Shown, Table, counted


@dataclass(frozen=True, slots=True, repr=False)
class FeatureOverview(Shown):
    """A feature here: its head, how many versions there are, and whether the head is a draft.

    `newest` is another version than the head while the feature is pinned. `is_retired`: the
    project no longer declares it; None: what it declares is not known.
    """

    manifest: Manifest
    versions: int
    is_draft: bool
    newest: Version
    is_retired: bool | None
    remark: str | None

    @property
    def is_pinned(self) -> bool:
        """Whether the head is another than the highest version."""
        return self.manifest.version != self.newest

    @property
    def marks(self) -> str:
        """What is worth knowing beside the version, in words."""
        pinned = f"pinned, {self.newest} newest"
        marks = ((self.is_retired, "retired"), (self.is_draft, "draft"), (self.is_pinned, pinned))
        return ", ".join(word for is_so, word in marks if is_so)

    @property
    def cells(self) -> tuple[str, str, str, str, str, str]:
        """Name, version, keys, columns, rows and description, for a table."""
        manifest = self.manifest
        return (
            manifest.name,
            f"{manifest.version} {self.marks}".rstrip(),
            ", ".join(manifest.schema.keys),
            str(len(manifest.schema.values)),
            f"{manifest.rows:,}",
            manifest.description or "",
        )

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"FeatureOverview: {self.manifest.name}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge list --json`."""
        manifest = self.manifest
        return {
            "name": manifest.name,
            "version": str(manifest.version),
            "versions": self.versions,
            "draft": self.is_draft,
            "pinned": self.is_pinned,
            "retired": self.is_retired,
            "newest": str(self.newest),
            "remark": self.remark,
            "keys": list(manifest.schema.keys),
            "timestamp": manifest.schema.timestamp,
            "columns": len(manifest.schema.values),
            "rows": manifest.rows,
            "bytes": manifest.size_bytes,
            "tags": list(manifest.tags),
            "owner": manifest.owner,
            "description": manifest.description,
        }


@dataclass(frozen=True, slots=True, repr=False)
class BrokenFeature(Shown):
    """A feature whose head cannot be told, and why."""

    name: str
    error: MlforgeError

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"BrokenFeature: {self.name}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `broken` in `mlforge list --json`."""
        error = self.error
        return {
            "name": self.name,
            "code": error.code,
            "message": error.message,
            "cause": error.cause,
            "hint": error.hint,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Overview(Shown):
    """Every feature that has a version here, in name order, and those that are broken."""

    features: tuple[FeatureOverview, ...]
    broken: tuple[BrokenFeature, ...] = ()

    def __iter__(self) -> Iterator[FeatureOverview]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)

    def _tables(self) -> tuple[Table, ...]:
        rows = [o.cells for o in self]
        rows += [(o.name, f"broken: {o.error.message}", "", "", "", "") for o in self.broken]
        columns = ("feature", "version", "keys", "columns", "rows", "description")
        numbers = frozenset({"columns", "rows"})
        return (Table(f"Overview: {counted(len(self), 'feature')}", columns, tuple(rows), numbers),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge list --json` prints, but for its `schema`."""
        return {
            "features": [feature.to_dict() for feature in self.features],
            "broken": [feature.to_dict() for feature in self.broken],
        }


@dataclass(frozen=True, slots=True)
class VersionOverview:
    """A version in the work tree. `is_pinned`: it is head, and another one is newer."""

    version: Version
    is_head: bool
    is_pinned: bool
    is_draft: bool

    @property
    def marks(self) -> str:
        """What is worth knowing of it, in words."""
        marks = ((self.is_head, "head"), (self.is_pinned, "pinned"), (self.is_draft, "draft"))
        return ", ".join(word for is_so, word in marks if is_so)

    def to_dict(self) -> dict[str, Plain]:
        return {
            "version": str(self.version),
            "head": self.is_head,
            "pinned": self.is_pinned,
            "draft": self.is_draft,
        }


@dataclass(frozen=True, slots=True, repr=False)
class VersionsOverview(Shown):
    """A feature's versions in the work tree, oldest first. `note`: it was asked for by old name."""

    name: str
    head: Version
    versions: tuple[VersionOverview, ...]
    note: str | None = None

    def _tables(self) -> tuple[Table, ...]:
        rows = tuple((str(v.version), v.marks) for v in self.versions)
        return (Table(f"VersionsOverview: {self.name}", (), rows),)

    def to_dict(self) -> dict[str, Plain]:
        return {
            "feature": self.name,
            "head": str(self.head),
            "note": self.note,
            "versions": [version.to_dict() for version in self.versions],
        }


def overview(
    workspace: Workspace, tags: Sequence[str] | None, declared: Collection[str] | None
) -> Overview:
    """Every feature that has a version here; one that is broken keeps no other from being told.

    One that HEAD has and the work tree has not is broken: somebody removed its folder.
    `declared`: all names that the project declares; None: nobody knows them.
    """
    commit = workspace.history.head().commit
    found, broken = list[FeatureOverview](), list[BrokenFeature]()
    here, held = feature_names(workspace, None), _held_names(workspace, commit)
    for name in sorted({*here, *held}):
        if name not in here:
            broken.append(BrokenFeature(name, missing_here(workspace, name)))
            continue
        is_retired = None if declared is None else name not in declared
        try:
            feature = _feature(workspace, name, commit, is_retired)
        except MlforgeError as error:
            broken.append(BrokenFeature(name, error))
            continue
        # None: it was retired while this was read.
        if feature is not None and (not tags or {*tags} & {*feature.manifest.tags}):
            found.append(feature)
    return Overview(tuple(found), tuple(broken))


def _held_names(workspace: Workspace, commit: CommitId | None) -> tuple[str, ...]:
    return feature_names(workspace, commit) if commit else ()


def _feature(
    workspace: Workspace, name: str, commit: CommitId | None, is_retired: bool | None
) -> FeatureOverview | None:
    manifest, known = head(workspace, name, None), versions(workspace, name, None)
    if manifest is None:
        return None
    is_draft = manifest.version not in _committed(workspace, name, commit)
    remark = older_sources(workspace, manifest, None)
    return FeatureOverview(manifest, len(known), is_draft, known[-1], is_retired, remark)


def versions_of(workspace: Workspace, name: str) -> VersionsOverview:
    """A feature's versions here, without reading their manifests.

    Raises FeatureNotFound, PinInvalid.
    """
    called, note = follow(workspace, name, None)
    known, current = versions(workspace, called, None), head_version(workspace, called, None)
    assert current is not None
    committed = _committed(workspace, called, workspace.history.head().commit)
    found = tuple(
        VersionOverview(
            version,
            is_head=version == current,
            is_pinned=version == current != known[-1],
            is_draft=version not in committed,
        )
        for version in known
    )
    return VersionsOverview(called, current, found, note)


def _committed(workspace: Workspace, name: str, commit: CommitId | None) -> tuple[Version, ...]:
    return versions(workspace, name, commit) if commit else ()
