"""Digests: the file beside a version's manifest by which a few columns are read: found and made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from mlforge.digests import FILE_NAME, Digests, ObjectDigests, corrupt, is_large
from mlforge.errors import MlforgeError
from mlforge.flows.decide import Decision
from mlforge.flows.resolve import read_here
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, ObjectId, hash_file
from mlforge.manifest import Manifest
from mlforge.objects.files import storage_errors
from mlforge.plugins import load_module


def find_digests(
    workspace: Workspace, manifest: Manifest, at: CommitId | None
) -> Mapping[ObjectId, ObjectDigests]:
    """Those of a version's objects, from the tree that has its manifest; none if they are no use.

    They are never worth an error: what has none is hashed whole.
    """
    if not _is_large(manifest):
        return {}
    try:
        digests = read_digests(workspace, manifest, at)
    except MlforgeError:
        return {}
    return {one.object: one for one in digests.objects} if digests else {}


def read_digests(workspace: Workspace, manifest: Manifest, at: CommitId | None) -> Digests | None:
    """The same, if the version has any. Raises DigestsCorrupt, FormatUnknown, StorageFailed."""
    where = digests_path(workspace, manifest)
    data = workspace.history.read(at, where) if at else read_here(workspace, workspace.root / where)
    if data is None:
        return None
    digests = Digests.decode(data, where)
    if _described(digests) != ([part.object for part in manifest.parts], manifest.schema.names):
        raise corrupt(where, "it is of other objects than the manifest")
    return digests


def _described(digests: Digests) -> tuple[list[ObjectId], tuple[str, ...]]:
    return [one.object for one in digests.objects], tuple(digests.objects[0].columns)


def digests_path(workspace: Workspace, manifest: Manifest) -> str:
    """Where a version's digests are, as git names it."""
    return workspace.path_of(manifest.name, str(manifest.version), FILE_NAME)


def digests_of(
    workspace: Workspace, decisions: Sequence[Decision], commit: CommitId | None
) -> Mapping[str, bytes]:
    """The digests' files of the new versions that have a large object, by path."""
    files = dict[str, bytes]()
    for decision in decisions:
        manifest = decision.manifest
        if manifest is not None and _is_large(manifest):
            digests = _of_head(workspace, decision, manifest, commit) or _made(workspace, manifest)
            if digests is not None:
                files[digests_path(workspace, manifest)] = digests.encode()
    return files


def _of_head(
    workspace: Workspace, decision: Decision, manifest: Manifest, commit: CommitId | None
) -> Digests | None:
    """Its head's digests, where the rows are its head's."""
    head = decision.head
    if head is None or commit is None or head.parts != manifest.parts:
        return None
    found = find_digests(workspace, head, commit)
    return Digests(tuple(found.values())) if found else None


def _made(workspace: Workspace, manifest: Manifest) -> Digests | None:
    """Of objects that are here and whole. A version without digests is whole, too."""
    oids = [part.object for part in manifest.parts]
    try:
        if all(_is_whole(workspace.objects.path(oid), oid) for oid in oids):
            return Digests(tuple(digest_object(workspace, oid) for oid in oids))
    except MlforgeError:
        return None
    return None


def _is_whole(path: Path, oid: ObjectId) -> bool:
    with storage_errors(path, "read"):
        return hash_file(path) == oid.hex


def digest_object(workspace: Workspace, oid: ObjectId) -> ObjectDigests:
    """The digests of an object that is whole. Raises ObjectNotFound, ObjectCorrupt."""
    path = workspace.objects.path(oid)
    digest = load_module("mlforge.objects.columns", None).digest_columns
    return cast("Callable[[Path, ObjectId], ObjectDigests]", digest)(path, oid)


def _is_large(manifest: Manifest) -> bool:
    return any(is_large(part.bytes) for part in manifest.parts)
