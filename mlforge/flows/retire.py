"""Retire: take a feature out of the tree in one commit; its history stays readable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from mlforge.canonical import Plain
from mlforge.errors import FeatureNotFound, HeadMoved, WorkTreeDiffers, did_you_mean
from mlforge.flows.pins import pin_path
from mlforge.flows.resolve import feature_names, versions
from mlforge.flows.workspace import Workspace
from mlforge.history.base import Change
from mlforge.ids import CommitId, Version
from mlforge.notebook import Shown, Table

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True, repr=False)
class Retired(Shown):
    """What was taken out of the tree. `parent` is the last commit that has it."""

    name: str
    versions: tuple[Version, ...]
    parent: CommitId
    commit: CommitId | None
    branch: str | None

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"Retired: {self.name}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge retire --json` prints, but for its `schema` and `dry_run`."""
        return {
            "feature": self.name,
            "versions": [str(version) for version in self.versions],
            "last_commit": self.parent.hex,
            "commit": None if self.commit is None else self.commit.hex,
            "branch": self.branch,
        }


def retire(
    workspace: Workspace, name: str, *, is_dry: bool, message: str | None, now: datetime
) -> Retired:
    """Commit that a feature's folder is gone, and remove it here.

    Raises FeatureNotFound, WorkTreeDiffers, HeadMoved.
    """
    history = workspace.history
    history.check_ready()
    with history.writing():
        workspace.pending.settle()
        for _ in range(_ATTEMPTS):
            at = history.head()
            known = versions(workspace, name, at.commit) if at.commit else ()
            if at.commit is None or not known:
                raise _not_there(workspace, name, at.commit)
            paths = frozenset(_files(workspace, at.commit, workspace.path_of(name)))
            _refuse_uncommitted(workspace, name, paths, known)
            if is_dry:
                return Retired(name, known, at.commit, None, at.branch)
            change = Change({}, paths, _message(name, known, message))
            try:
                commit = workspace.pending.commit(
                    change, dict.fromkeys(sorted(paths)), parent=at.commit, now=now
                )
            except HeadMoved:
                continue
            return Retired(name, known, at.commit, commit, at.branch)
    raise HeadMoved(f"HEAD moved {_ATTEMPTS} times while this was being committed")


def _not_there(workspace: Workspace, name: str, commit: CommitId | None) -> FeatureNotFound:
    known = feature_names(workspace, commit) if commit else ()
    return FeatureNotFound(
        f"HEAD has no feature {name}",
        hint=did_you_mean(name, known) or "mlforge list",
    )


def _files(workspace: Workspace, commit: CommitId, folder: str) -> Iterator[str]:
    for entry in workspace.history.list(commit, folder):
        path = f"{folder}/{entry}"
        below = list(_files(workspace, commit, path))
        yield from below or [path]


def _refuse_uncommitted(
    workspace: Workspace, name: str, paths: frozenset[str], known: tuple[Version, ...]
) -> None:
    """Only what a commit has is removed: nothing could bring back the rest."""
    drafts = [v for v in versions(workspace, name, None) if v not in known]
    if drafts:
        folder = workspace.folder / name / str(drafts[0])
        raise WorkTreeDiffers(
            f"{name} {drafts[0]} is a draft, in no commit", hint=f"rm -r {folder}"
        )
    pin = pin_path(workspace, name)
    if workspace.history.differs([pin]):
        raise WorkTreeDiffers(f"{pin} is not what the commit has", hint=f"mlforge checkout {name}")
    differing = workspace.history.differs(sorted(paths))
    if differing:
        raise WorkTreeDiffers(
            f"{differing[0]} is not what the commit has",
            hint=f"git checkout HEAD -- :/{workspace.path_of(name)}",
        )


def _message(name: str, known: tuple[Version, ...], message: str | None) -> str:
    subject = message or f"mlforge: retire {name} {known[-1]}"
    return f"{subject}\n\nMlforge-Retired: {name}\n"
