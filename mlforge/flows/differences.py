"""Differences: what a diff says of features and columns, from manifests and profiles alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mlforge.canonical import Plain
from mlforge.flows.profiles import find_profile
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version
from mlforge.manifest import Manifest
from mlforge.notebook import STATISTICS, Shown, Table, statistics
from mlforge.profile import ColumnProfile, Profile
from mlforge.times import iso
from mlforge.versioning import UNCHANGED, between, bump_between


class Status(StrEnum):
    """What became of a feature or a column; a column without a profile may be unknown."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Side:
    """A version on one side of a diff; `problem` says why it has no profile."""

    manifest: Manifest
    profile: Profile | None
    problem: str | None

    @classmethod
    def of(cls, workspace: Workspace, manifest: Manifest, at: CommitId | None) -> Side:
        found = find_profile(workspace, manifest, at)
        return cls(manifest, found.profile, found.problem)

    @property
    def version(self) -> Version:
        return self.manifest.version

    def to_dict(self) -> dict[str, Plain]:
        manifest, profile = self.manifest, self.profile
        first, last = (profile.first_time, profile.last_time) if profile else (None, None)
        return {
            "name": manifest.name,
            "version": str(manifest.version),
            "rows": manifest.rows,
            "bytes": manifest.size_bytes,
            "content_hash": str(manifest.content_hash),
            "keys": list(manifest.schema.keys),
            "timestamp": manifest.schema.timestamp,
            "distinct_keys": profile.distinct_keys if profile else None,
            "first_time": None if first is None else iso(first),
            "last_time": None if last is None else iso(last),
            "profile_problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class ColumnSide:
    """A column on one side: its type, and its statistics if there is a profile."""

    type: str
    rows: int
    profile: ColumnProfile | None

    def to_dict(self) -> dict[str, Plain]:
        profile = self.profile
        if profile is None:
            return {"type": self.type} | dict.fromkeys(_STATISTICS)
        return {
            "type": self.type,
            "null_rate": repr(profile.nulls / self.rows) if self.rows else None,
            "nulls": profile.nulls,
            "nans": profile.nans,
            "distinct": profile.distinct,
            "mean": profile.mean,
            "min": profile.min,
            "max": profile.max,
        }


_STATISTICS = ("null_rate", "nulls", "nans", "distinct", "mean", "min", "max")


@dataclass(frozen=True, slots=True)
class ColumnDiff:
    """A column on both sides, on one of them if it was added or removed.

    `is_equal_content`: of the whole tables. Else a column with equal statistics is unchanged.
    """

    name: str
    before: ColumnSide | None
    after: ColumnSide | None
    is_equal_content: bool

    @property
    def status(self) -> Status:
        before, after = self.before, self.after
        is_same = self.is_equal_content
        if before is not None and after is not None and not is_same and before.type == after.type:
            if before.profile is None or after.profile is None:
                return Status.UNKNOWN
            is_same = before.to_dict() == after.to_dict()
        return _status(before, after, is_same=is_same)

    def to_dict(self) -> dict[str, Plain]:
        return {
            "name": self.name,
            "status": self.status.value,
            "before": self.before.to_dict() if self.before else None,
            "after": self.after.to_dict() if self.after else None,
        }


@dataclass(frozen=True, slots=True, repr=False)
class FeatureDiff(Shown):
    """A feature on both sides, on one of them if it was added or removed.

    In `to_dict`, `required` is what the version rule asks for, `actual` what the numbers say.
    """

    name: str
    before: Side | None
    after: Side | None
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """`added`, `removed`, `changed` or `unchanged`."""
        is_same = bool(
            self.before
            and self.after
            and self.before.version == self.after.version
            and between(self.before.manifest, self.after.manifest) == UNCHANGED
        )
        return _status(self.before, self.after, is_same=is_same)

    @property
    def columns(self) -> tuple[ColumnDiff, ...]:
        """In the order of the second side, then those that it has no more."""
        sides = [side for side in (self.after, self.before) if side is not None]
        names = dict.fromkeys(name for side in sides for name in side.manifest.schema.names)
        is_equal = len({side.manifest.content_hash for side in sides}) == 1
        return tuple(
            ColumnDiff(name, _column(self.before, name), _column(self.after, name), is_equal)
            for name in names
        )

    def _tables(self) -> tuple[Table, ...]:
        columns = ("column", "status", "side", "type", *STATISTICS)
        rows = tuple(
            row
            for column in self.columns
            if column.status is not Status.UNCHANGED
            for row in _column_rows(column)
        )
        found = "columns that differ" if rows else "no column differs"
        title = f"FeatureDiff: {self.name}, {found}"
        return (Table(title, columns, rows, frozenset(STATISTICS)),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge diff --json`."""
        return {
            "feature": self.name,
            "status": self.status.value,
            "before": self.before.to_dict() if self.before else None,
            "after": self.after.to_dict() if self.after else None,
            **_rule(self.before, self.after),
            "notes": list(self.notes),
            "columns": [column.to_dict() for column in self.columns],
        }


@dataclass(frozen=True, slots=True)
class Place:
    """One side of a diff in words, and its commit if it is one."""

    name: str
    commit: CommitId | None

    def to_dict(self) -> dict[str, Plain]:
        return {"name": self.name, "commit": self.commit.hex if self.commit else None}


@dataclass(frozen=True, slots=True, repr=False)
class Diff(Shown):
    """What differs between two versions of a feature, or between the heads of two commits.

    `before` and `after` have a `name`, as it was asked for, and a `commit`. `features`: of two
    commits those that differ, in name order.
    """

    before: Place
    after: Place
    features: tuple[FeatureDiff, ...]

    @property
    def is_same(self) -> bool:
        """Whether no feature differs."""
        return all(feature.status is Status.UNCHANGED for feature in self.features)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge diff --json` prints, but for its `schema`."""
        return {
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "same": self.is_same,
            "features": [feature.to_dict() for feature in self.features],
        }

    def _tables(self) -> tuple[Table, ...]:
        columns = ("feature", "status", "version", "required", "reason", "rows")
        rows = tuple(_row(feature) for feature in self.features)
        title = f"Diff: {self.before.name} -> {self.after.name}{', same' if self.is_same else ''}"
        details = self.features[0]._tables() if len(self.features) == 1 else ()
        return Table(title, columns, rows, frozenset({"rows"})), *details


def _row(feature: FeatureDiff) -> tuple[str, ...]:
    sides = [side for side in (feature.before, feature.after) if side is not None]
    rule = _rule(feature.before, feature.after)
    return (
        feature.name,
        feature.status,
        " -> ".join(str(side.version) for side in sides),
        str(rule["required"] or ""),
        str(rule["reason"] or ""),
        " -> ".join(f"{side.manifest.rows:,}" for side in sides),
    )


def _column_rows(column: ColumnDiff) -> Iterator[tuple[str, ...]]:
    name, status = column.name, str(column.status)
    for word, side in (("before", column.before), ("after", column.after)):
        if side is not None:
            yield name, status, word, side.type, *statistics(side.type, side.to_dict())
            name = status = ""


def _status(before: object | None, after: object | None, *, is_same: bool) -> Status:
    if before is None:
        return Status.ADDED
    if after is None:
        return Status.REMOVED
    return Status.UNCHANGED if is_same else Status.CHANGED


def _column(side: Side | None, name: str) -> ColumnSide | None:
    if side is None or name not in side.manifest.schema.names:
        return None
    statistics = side.profile.column(name) if side.profile else None
    return ColumnSide(str(side.manifest.schema.type_of(name)), side.manifest.rows, statistics)


def _rule(before: Side | None, after: Side | None) -> dict[str, Plain]:
    """The version rule: what is required, what the numbers say, and whether that is enough."""
    if before is None or after is None:
        return {"required": None, "reason": None, "details": [], "actual": None, "enough": None}
    change = between(before.manifest, after.manifest)
    actual = bump_between(before.version, after.version)
    return {
        "required": change.bump.word,
        "reason": change.reason,
        "details": list(change.details),
        "actual": None if actual is None else actual.word,
        "enough": actual is not None and actual >= change.bump,
    }
