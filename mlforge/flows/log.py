"""Log: the versions of features as git's history has them, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mlforge.canonical import Plain
from mlforge.errors import FeatureNotFound, did_you_mean
from mlforge.flows.resolve import feature_names, read_manifest, version_of, versions
from mlforge.flows.workspace import Workspace
from mlforge.history.base import CommitInfo
from mlforge.ids import Version
from mlforge.manifest import Manifest


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A version, and the commit that first held it; None: a draft, in no commit.

    `is_here`: HEAD's tree still has it, or it is a draft; a reverted one is history alone.
    """

    manifest: Manifest
    commit: CommitInfo | None
    is_here: bool = True

    def to_dict(self) -> dict[str, Plain]:
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
        }


@dataclass(frozen=True, slots=True)
class Touched:
    """When a version's files were first and last committed."""

    created_at: datetime | None
    updated_at: datetime | None
    created_in: CommitInfo | None


def log(workspace: Workspace, name: str | None, limit: int | None) -> tuple[LogEntry, ...]:
    """Versions that HEAD's history holds, newest first, drafts before them.

    Raises FeatureNotFound.
    """
    tip = workspace.history.head().commit
    entries = list[LogEntry]()
    seen: set[tuple[str, Version]] = set()
    here: dict[str, tuple[Version, ...]] = {}
    events = workspace.history.events(workspace.prefix, tip=tip) if tip else ()
    # Oldest first: the first commit that holds a version is the one that made it.
    for event in reversed(events):
        found = version_of(workspace, event.path)
        if found is None or event.blob is None or found in seen or found[0] != (name or found[0]):
            continue
        seen.add(found)
        manifest = Manifest.decode(workspace.history.read_blob(event.blob), event.path)
        if found[0] not in here:
            here[found[0]] = versions(workspace, found[0], tip)
        is_here = found[1] in here[found[0]]
        entries.append(LogEntry(manifest, event.commit, is_here))
    entries += _drafts(workspace, name, seen)
    if not entries and name is not None:
        known = feature_names(workspace, None)
        raise FeatureNotFound(
            f"no feature is called {name}", hint=did_you_mean(name, known) or "mlforge build"
        )
    return tuple(reversed(entries))[:limit]


def _drafts(
    workspace: Workspace, name: str | None, committed: set[tuple[str, Version]]
) -> list[LogEntry]:
    names = feature_names(workspace, None) if name is None else (name,)
    return [
        LogEntry(read_manifest(workspace, feature, version, None), None)
        for feature in names
        for version in versions(workspace, feature, None)
        if (feature, version) not in committed
    ]


def touched(workspace: Workspace, name: str, version: Version) -> Touched:
    """When a version's files were first and last committed, as HEAD's history has it."""
    tip = workspace.history.head().commit
    events = [
        event
        for event in (workspace.history.events(workspace.prefix, tip=tip) if tip else ())
        if event.blob and version_of(workspace, event.path) == (name, version)
    ]
    if not events:
        return Touched(None, None, None)
    first, last = events[-1].commit, events[0].commit
    return Touched(
        None if first.is_boundary else first.time, None if last.is_boundary else last.time, first
    )
