"""Rollback: a new commit that makes an earlier version head; nothing is lost by it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from mlforge.canonical import Plain
from mlforge.errors import (
    FeatureNotFound,
    HeadMoved,
    NothingEarlier,
    VersionNotFound,
    WorkTreeDiffers,
)
from mlforge.flows.drafts import reconcile_view
from mlforge.flows.pins import pin_here, pin_path, pin_text
from mlforge.flows.resolve import feature_names, follow, head, read_manifest, versions
from mlforge.flows.workspace import Workspace
from mlforge.history.base import Change
from mlforge.ids import CommitId, Version
from mlforge.manifest import Manifest
from mlforge.notebook import Shown, Table

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True, repr=False)
class RolledBack(Shown):
    """From which head to which. `commit` None: nothing had to be committed, or nothing was."""

    before: Manifest
    manifest: Manifest
    newest: Version
    commit: CommitId | None
    branch: str | None
    note: str | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether the head is another than the highest version."""
        return self.manifest.version != self.newest

    @property
    def is_changed(self) -> bool:
        """Whether another version is head than before."""
        return self.before.version != self.manifest.version

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"RolledBack: {self.manifest.name}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge rollback --json` prints, but for its `schema` and `dry_run`."""
        return {
            "feature": self.manifest.name,
            "before": str(self.before.version),
            "version": str(self.manifest.version),
            "newest": str(self.newest),
            "pinned": self.is_pinned,
            "commit": None if self.commit is None else self.commit.hex,
            "branch": self.branch,
            "note": self.note,
        }


def rollback(
    workspace: Workspace,
    name: str,
    to: Version | None,
    *,
    is_dry: bool,
    message: str | None,
    now: datetime,
) -> RolledBack:
    """Commit a PIN that makes an earlier version head; of the highest, commit that PIN is gone.

    Without `to`: the version that the current head replaced.
    Raises FeatureNotFound, VersionNotFound, NothingEarlier, WorkTreeDiffers, HeadMoved.
    """
    history = workspace.history
    history.check_ready()
    with history.writing():
        workspace.pending.settle()
        for _ in range(_ATTEMPTS):
            at = history.head()
            planned = replace(_plan(workspace, name, to, at.commit), branch=at.branch)
            _refuse_uncommitted(workspace, planned)
            if is_dry or not planned.is_changed:
                return planned
            try:
                commit = _commit(workspace, planned, at.commit, message, now)
            except HeadMoved:
                continue
            reconcile_view(workspace, planned.manifest)
            return replace(planned, commit=commit)
    raise HeadMoved(f"HEAD moved {_ATTEMPTS} times while this was being committed")


def _plan(
    workspace: Workspace, name: str, to: Version | None, commit: CommitId | None
) -> RolledBack:
    name, commit, note = _called(workspace, name, commit)
    current = head(workspace, name, commit)
    assert current is not None
    known = versions(workspace, name, commit)
    target = to or current.previous
    if target is None or (to is None and target not in known):
        raise _nothing_earlier(current, known)
    if target not in known:
        raise _no_version(workspace, name, target, known, note)
    manifest = read_manifest(workspace, name, target, commit)
    return RolledBack(current, manifest, known[-1], None, None, note)


def _called(
    workspace: Workspace, name: str, commit: CommitId | None
) -> tuple[str, CommitId, str | None]:
    """What the feature is called at the commit, the commit, and a note if the name is another."""
    names = feature_names(workspace, commit) if commit else ()
    if name not in names and versions(workspace, name, None):
        raise FeatureNotFound(
            f"{name} is a draft, in no commit: there is nothing to roll back",
            hint=f"mlforge build -f {name}",
        )
    if commit is None:
        raise FeatureNotFound(f"no feature is called {name}", hint="mlforge build")
    called, note = follow(workspace, name, commit)
    return called, commit, note


def _nothing_earlier(current: Manifest, known: tuple[Version, ...]) -> NothingEarlier:
    """The head replaced no version, or one that is not in the tree: its old name's, say."""
    name, replaced, old = current.name, current.previous, current.renamed_from
    earlier = [str(version) for version in known if version < current.version]
    if replaced is None:
        message = f"{name} {current.version} replaced no version: there is none to roll back to"
    else:
        message = f"{name} {current.version} replaced {replaced}, which {name} does not have"
    return NothingEarlier(
        message,
        cause=f"it was called {old} then" if replaced is not None and old else None,
        hint=f"mlforge rollback {name} {earlier[-1]}" if earlier else f"mlforge log {name}",
    )


def _no_version(
    workspace: Workspace, name: str, target: Version, known: tuple[Version, ...], note: str | None
) -> VersionNotFound:
    if target in versions(workspace, name, None):
        return VersionNotFound(
            f"{name} {target} is a draft, in no commit: it cannot be rolled back to",
            hint=f"mlforge checkout {name}@{target}",
        )
    return VersionNotFound(
        f"{name} has no version {target} to roll back to",
        cause=note,
        hint="its versions are " + ", ".join(map(str, known)),
    )


def _refuse_uncommitted(workspace: Workspace, planned: RolledBack) -> None:
    """A PIN that the user has changed is replaced only by an equal one."""
    name = planned.manifest.name
    path = pin_path(workspace, name)
    if pin_here(workspace, name) != _pin(planned) and workspace.history.differs([path]):
        raise WorkTreeDiffers(
            f"{path} is not what the commit has: another version is checked out",
            hint=f"mlforge checkout {name}",
        )


def _pin(planned: RolledBack) -> bytes | None:
    return pin_text(planned.manifest.version) if planned.is_pinned else None


def _commit(
    workspace: Workspace,
    planned: RolledBack,
    parent: CommitId | None,
    message: str | None,
    now: datetime,
) -> CommitId:
    path, pin = pin_path(workspace, planned.manifest.name), _pin(planned)
    writes = {} if pin is None else {path: pin}
    deletes = frozenset({path}) if pin is None else frozenset[str]()
    change = Change(writes, deletes, _message(planned, message))
    return workspace.pending.commit(change, {path: pin}, parent=parent, now=now)


def _message(planned: RolledBack, message: str | None) -> str:
    now, before = planned.manifest, planned.before.version
    subject = f"mlforge: {now.name} {now.version} (rollback from {before})"
    trailers = (
        f"Mlforge-Feature: {now.name}@{now.version}",
        f"Mlforge-Content: {now.name} {now.content_hash}",
    )
    return f"{message or subject}\n\n" + "\n".join(trailers) + "\n"
