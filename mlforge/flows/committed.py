"""Committed: whether a version's manifest here is the one that HEAD's commit has of it."""

from __future__ import annotations

import shlex

from mlforge.errors import ManifestCorrupt, MlforgeError
from mlforge.flows.resolve import Resolved
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId
from mlforge.manifest import FILE_NAME, Manifest


def is_committed(workspace: Workspace, manifest: Manifest, commit: CommitId) -> bool:
    """Whether a commit's tree has this manifest; it may have none of this number.

    Raises ManifestCorrupt where it has another.
    """
    path = _path(workspace, manifest)
    held = workspace.history.read(commit, path)
    _refuse_other(manifest, held, path)
    return held is not None


def refuse_edited(workspace: Workspace, resolved: Resolved) -> None:
    """Raise ManifestCorrupt for a manifest of the work tree that HEAD's commit has otherwise.

    Reading needs no ref: where git's data cannot be read, or HEAD has no such version, there is
    nothing to compare with. Why it is asked: docs/decisions/0011-reading-compares-with-head.md.
    """
    if resolved.commit is None:
        path = _path(workspace, resolved.manifest)
        _refuse_other(resolved.manifest, at_head(workspace, path), path)


def holder(workspace: Workspace, resolved: Resolved) -> CommitId | None:
    """The commit whose tree has a version: the one that was read, or HEAD's; None: it is a draft.

    Files beside the manifest are to be read there. Where git's data cannot be read, a version is
    as a draft is.
    """
    if resolved.commit is not None:
        return resolved.commit
    is_held = at_head(workspace, _path(workspace, resolved.manifest)) is not None
    return workspace.history.head().commit if is_held else None


def at_head(workspace: Workspace, path: str) -> bytes | None:
    """A file's bytes in HEAD's commit; None if it is not there, or git's data cannot be read."""
    try:
        tip = workspace.history.head().commit
        return workspace.history.read(tip, path) if tip else None
    except MlforgeError:
        return None


def _refuse_other(manifest: Manifest, held: bytes | None, path: str) -> None:
    if held is not None and held != manifest.encode():
        raise ManifestCorrupt(
            f"the manifest {path} is not what was committed",
            cause="it was edited by hand, or by another program than mlforge",
            hint=f"git checkout HEAD -- {shlex.quote(':/' + path)}",
        )


def _path(workspace: Workspace, manifest: Manifest) -> str:
    return workspace.path_of(manifest.name, str(manifest.version), FILE_NAME)
