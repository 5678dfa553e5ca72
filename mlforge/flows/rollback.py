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
    did_you_mean,
)
from mlforge.flows.drafts import reconcile_view
from mlforge.flows.pending import commit_with_files, settle
from mlforge.flows.pins import pin_here, pin_path, pin_text
from mlforge.flows.resolve import feature_names, head, read_manifest, versions
from mlforge.flows.workspace import Workspace
from mlforge.history.base import Change
from mlforge.ids import CommitId, Version
from mlforge.manifest import Manifest

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class RolledBack:
    """From which head to which. `commit` None: nothing had to be committed, or nothing was."""

    before: Manifest
    manifest: Manifest
    newest: Version
    commit: CommitId | None
    branch: str | None

    @property
    def is_pinned(self) -> bool:
        return self.manifest.version != self.newest

    @property
    def is_changed(self) -> bool:
        return self.before.version != self.manifest.version

    def to_dict(self) -> dict[str, Plain]:
        return {
            "feature": self.manifest.name,
            "before": str(self.before.version),
            "version": str(self.manifest.version),
            "newest": str(self.newest),
            "pinned": self.is_pinned,
            "commit": None if self.commit is None else self.commit.hex,
            "branch": self.branch,
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
        settle(workspace)
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
    current = head(workspace, name, commit) if commit else None
    if current is None:
        raise _no_feature(workspace, name, commit)
    target = to or current.previous
    known = versions(workspace, name, commit)
    if target is None:
        earlier = [str(version) for version in known if version < current.version]
        raise NothingEarlier(
            f"{name} {current.version} replaced no version: there is none to roll back to",
            hint=f"mlforge rollback {name} {earlier[-1]}" if earlier else f"mlforge log {name}",
        )
    if target not in known:
        raise _no_version(workspace, name, target, known)
    manifest = read_manifest(workspace, name, target, commit)
    return RolledBack(current, manifest, known[-1], None, None)


def _no_feature(workspace: Workspace, name: str, commit: CommitId | None) -> FeatureNotFound:
    if versions(workspace, name, None):
        return FeatureNotFound(
            f"{name} is a draft, in no commit: there is nothing to roll back",
            hint=f"mlforge build -f {name}",
        )
    known = feature_names(workspace, commit) if commit else ()
    return FeatureNotFound(
        f"no feature is called {name}", hint=did_you_mean(name, known) or "mlforge build"
    )


def _no_version(
    workspace: Workspace, name: str, target: Version, known: tuple[Version, ...]
) -> VersionNotFound:
    if target in versions(workspace, name, None):
        return VersionNotFound(
            f"{name} {target} is a draft, in no commit: it cannot be rolled back to",
            hint=f"mlforge checkout {name}@{target}",
        )
    return VersionNotFound(
        f"{name} has no version {target} to roll back to",
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
    return commit_with_files(workspace, change, {path: pin}, parent=parent, now=now)


def _message(planned: RolledBack, message: str | None) -> str:
    now, before = planned.manifest, planned.before.version
    subject = f"mlforge: {now.name} {now.version} (rollback from {before})"
    trailers = (
        f"Mlforge-Feature: {now.name}@{now.version}",
        f"Mlforge-Content: {now.name} {now.content_hash}",
    )
    return f"{message or subject}\n\n" + "\n".join(trailers) + "\n"
