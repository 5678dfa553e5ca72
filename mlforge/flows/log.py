"""Log: the versions of features as git's history has them, newest first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TypeAlias

from mlforge.canonical import Plain
from mlforge.errors import FeatureNotFound
from mlforge.flows.resolve import feature_names, follow, read_manifest, version_of, versions
from mlforge.flows.workspace import Workspace
from mlforge.history.base import CommitInfo, PathEvent
from mlforge.ids import Version
from mlforge.manifest import FILE_NAME, Manifest
from mlforge.notebook import Shown, Table, shortened

# Where a shallow clone cannot know which commit, whose and when.
BEFORE_BOUNDARY = "before the shallow boundary"

# Versions with the event that brought each.
Held: TypeAlias = "Mapping[tuple[str, Version], PathEvent]"


@dataclass(frozen=True, slots=True, repr=False)
class LogEntry(Shown):
    """A version, and the commit that first held it; None: a draft, in no commit.

    `is_here`: HEAD's tree still has it, or it is a draft; a reverted one is history alone.
    `is_before_boundary`: a shallow clone does not have its commit, or cannot tell; `commit` None.
    """

    manifest: Manifest
    commit: CommitInfo | None
    is_here: bool = True
    is_before_boundary: bool = False

    @property
    def place(self) -> str:
        """The commit in words: its short id, or why there is none."""
        return _place(self.commit, is_before_boundary=self.is_before_boundary)

    def _tables(self) -> tuple[Table, ...]:
        title = f"LogEntry: {self.manifest.name}@{self.manifest.version}"
        return (Table.of_fields(title, self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `versions` in `mlforge log --json`."""
        manifest, commit = self.manifest, self.commit
        return {
            "feature": manifest.name,
            "version": str(manifest.version),
            "bump": manifest.bump,
            "reason": manifest.reason,
            "details": list(manifest.details),
            "rows": manifest.rows,
            "content_hash": str(manifest.content_hash),
            "commit": None if commit is None else commit.id.hex,
            "author": None if commit is None else commit.author.name,
            "in_tree": self.is_here,
            "date": None if commit is None else commit.time.isoformat(),
            "before_boundary": self.is_before_boundary,
        }


class Log(Shown, tuple[LogEntry, ...]):
    """Versions, newest first."""

    __slots__ = ()

    def _tables(self) -> tuple[Table, ...]:
        title = f"Log: {len(self)} version{'' if len(self) == 1 else 's'}"
        columns = ("feature", "version", "bump", "reason", "rows", "commit", "date", "author")
        return (Table(title, columns, tuple(_row(e) for e in self), frozenset({"rows"})),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge log --json` prints, but for its `schema`."""
        return {"versions": [entry.to_dict() for entry in self]}


def _row(entry: LogEntry) -> tuple[str, ...]:
    manifest, commit = entry.manifest, entry.commit
    details = f" ({shortened(manifest.details)})" if manifest.details else ""
    reason = manifest.reason + details + ("" if entry.is_here else ", not in the tree")
    cells = (manifest.name, str(manifest.version), manifest.bump or "", reason)
    if commit is None:
        return *cells, f"{manifest.rows:,}", entry.place, "", ""
    date = f"{commit.time:%Y-%m-%d %H:%M}"
    return *cells, f"{manifest.rows:,}", entry.place, date, commit.author.name


def _place(commit: CommitInfo | None, *, is_before_boundary: bool) -> str:
    if is_before_boundary:
        return BEFORE_BOUNDARY
    return "draft" if commit is None else commit.id.short


@dataclass(frozen=True, slots=True)
class Touched:
    """When a version's files were first and last committed, as far as this clone knows.

    `is_before_boundary`: they were committed, and in a shallow clone nobody can tell where.
    """

    created_at: datetime | None
    updated_at: datetime | None
    created_in: CommitInfo | None
    is_before_boundary: bool = False

    @property
    def place(self) -> str:
        """The commit in words: its short id, or why there is none."""
        return _place(self.created_in, is_before_boundary=self.is_before_boundary)

    @classmethod
    def between(cls, first: CommitInfo, last: CommitInfo) -> Touched:
        """All that the boundary of a shallow clone holds looks as if that commit had brought it."""
        is_before = first.is_boundary
        return cls(
            created_at=None if is_before else first.time,
            updated_at=None if last.is_boundary else last.time,
            created_in=None if is_before else first,
            is_before_boundary=is_before,
        )


def log(workspace: Workspace, name: str | None, limit: int | None) -> Log:
    """Versions that HEAD's history holds, newest first, drafts before them.

    Of one commit: by name, and the highest number first. Of one feature: what it continues under
    the name that it had before belongs to it, and an old name that is not in the tree means the
    new one. Raises FeatureNotFound.
    """
    tip = workspace.history.head().commit
    events = workspace.history.events(workspace.prefix, tip=tip) if tip else ()
    # Oldest first: the first commit that holds a version is the one that made it.
    first = dict[tuple[str, Version], PathEvent]()
    for event in reversed(events):
        found = version_of(workspace, event.path)
        if found is not None and event.blob is not None:
            first.setdefault(found, event)
    if name is None:
        wanted = set(first)
        drafts = _drafts(workspace, feature_names(workspace, None), set(first))
    else:
        called = _called(workspace, name, first)
        drafts = _drafts(workspace, (called,), set(first))
        wanted = set(_lineage(workspace, called, first, drafts))
    here = {known: versions(workspace, known, tip) for known in {key[0] for key in wanted}}
    listed = _of_one_commit(drafts)
    newest_first = [(key, event) for key, event in reversed(first.items()) if key in wanted]
    for commit, group in groupby(newest_first, key=lambda held: held[1].commit):
        listed += _of_one_commit(
            _entry(_manifest(workspace, event), commit, is_here=version in here[feature])
            for (feature, version), event in group
        )
    return Log(tuple(listed)[:limit])


def _entry(manifest: Manifest, commit: CommitInfo, *, is_here: bool) -> LogEntry:
    is_before = commit.is_boundary
    return LogEntry(manifest, None if is_before else commit, is_here, is_before)


def _of_one_commit(entries: Iterable[LogEntry]) -> list[LogEntry]:
    """What came at once: by name, and the highest number first."""
    highest_first = sorted(entries, key=lambda entry: entry.manifest.version, reverse=True)
    return sorted(highest_first, key=lambda entry: entry.manifest.name)


def _called(workspace: Workspace, name: str, committed: Held) -> str:
    """The feature that a name means, in the tree or in history alone. Raises FeatureNotFound."""
    try:
        return follow(workspace, name, None)[0]
    except FeatureNotFound:
        if any(known == name for known, _ in committed):
            return name
        raise


def _lineage(
    workspace: Workspace, name: str, committed: Held, drafts: Sequence[LogEntry]
) -> Iterator[tuple[str, Version]]:
    """A feature's committed versions, and those that they continue under an earlier name."""
    newer = [draft.manifest for draft in drafts]
    seen, until = set[str](), None
    while name not in seen:
        seen.add(name)
        own = [v for known, v in committed if known == name and (until is None or v <= until)]
        yield from ((name, version) for version in own)
        # A feature's first version is the one that continues another.
        first = [_manifest(workspace, committed[name, min(own)])] if own else newer
        if not first or first[0].renamed_from is None or first[0].previous is None:
            return
        name, until, newer = first[0].renamed_from, first[0].previous, []


def _manifest(workspace: Workspace, event: PathEvent) -> Manifest:
    assert event.blob is not None
    return Manifest.decode(workspace.history.read_blob(event.blob), event.path)


def _drafts(
    workspace: Workspace, names: Iterable[str], committed: Collection[tuple[str, Version]]
) -> list[LogEntry]:
    return [
        LogEntry(read_manifest(workspace, name, version, None), None)
        for name in names
        for version in versions(workspace, name, None)
        if (name, version) not in committed
    ]


def touched(workspace: Workspace, name: str, version: Version) -> Touched:
    """When a version's files were first and last committed, as HEAD's history has it."""
    tip, path = workspace.history.head().commit, workspace.path_of(name, str(version), FILE_NAME)
    events = [
        event
        for event in (workspace.history.events(workspace.prefix, tip=tip) if tip else ())
        if event.blob and event.path == path
    ]
    if not events:
        return Touched(None, None, None)
    return Touched.between(events[-1].commit, events[0].commit)
