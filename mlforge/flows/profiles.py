"""Profiles: the file beside a version's manifest, read, checked and handed on to equal content."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlforge.errors import MlforgeError, StorageFailed
from mlforge.flows.committed import at_head
from mlforge.flows.decide import Decision
from mlforge.flows.resolve import read_manifest, versions
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId
from mlforge.manifest import Manifest
from mlforge.profile import FILE_NAME, Profile, corrupt

_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """A version's profile, or in words why there is none to use. It is never worth an error."""

    profile: Profile | None
    problem: str | None = None


def find_profile(workspace: Workspace, manifest: Manifest, at: CommitId | None) -> Found:
    """The profile of a version in a commit's tree, or here."""
    try:
        profile = read_profile(workspace, manifest, at)
        held = None if at or not profile else at_head(workspace, profile_path(workspace, manifest))
        if profile and held is not None and held != profile.encode():
            return Found(None, "it is not what was committed")
        return Found(profile, None if profile else "there is none")
    except MlforgeError as error:
        return Found(None, error.cause or error.message)


def read_profile(workspace: Workspace, manifest: Manifest, at: CommitId | None) -> Profile | None:
    """The same, if the version has one. Raises ProfileCorrupt, FormatUnknown, StorageFailed."""
    where = profile_path(workspace, manifest)
    data = workspace.history.read(at, where) if at else _read_here(workspace, where)
    return None if data is None else _decoded(data, manifest, where)


def profile_path(workspace: Workspace, manifest: Manifest) -> str:
    """Where a version's profile is, as git names it."""
    return workspace.path_of(manifest.name, str(manifest.version), FILE_NAME)


def _decoded(data: bytes, manifest: Manifest, where: str) -> Profile:
    """Raises ProfileCorrupt, also for a profile that is whole and of other content."""
    profile = Profile.decode(data, where)
    described = (manifest.content_hash, manifest.rows, sorted(manifest.schema.names))
    names = sorted(column.name for column in profile.columns)
    if (profile.content_hash, profile.rows, names) != described:
        raise corrupt(where, "it is of other content than the manifest")
    return profile


def _read_here(workspace: Workspace, where: str) -> bytes | None:
    path = workspace.root / where
    try:
        facts = os.lstat(path)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
            raise corrupt(where, "it is a link, a folder, or too large to be a profile")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageFailed(f"cannot read {path}", cause=error.strerror) from error


def profiles_of(
    workspace: Workspace, decisions: Sequence[Decision], commit: CommitId | None
) -> Mapping[str, bytes]:
    """The profile files of the new versions, by path. A version without one is whole, too."""
    files = dict[str, bytes]()
    for decision in decisions:
        if decision.manifest is not None:
            profile = next(_offered(workspace, decision, decision.manifest, commit), None)
            if profile is not None:
                files[profile_path(workspace, decision.manifest)] = profile.encode()
    return files


def _offered(
    workspace: Workspace, decision: Decision, manifest: Manifest, commit: CommitId | None
) -> Iterator[Profile]:
    """Profiles of this content: the restored version's own, the head's, the computed one.

    While a version is pinned, another one in the tree than the head may have this content.
    """
    if decision.is_restored:
        yield from _in_history(workspace, manifest)
    head, computed = decision.head, decision.product.profile
    if head is not None and commit is not None:
        yield from _of_version(workspace, manifest, head, commit)
    if computed is not None and computed.content_hash == manifest.content_hash:
        yield computed
    if head is not None and commit is not None:
        for version in reversed(versions(workspace, head.name, commit)):
            other = read_manifest(workspace, head.name, version, commit)
            yield from _of_version(workspace, manifest, other, commit)


def _of_version(
    workspace: Workspace, manifest: Manifest, other: Manifest, commit: CommitId
) -> Iterator[Profile]:
    if other.content_hash == manifest.content_hash:
        profile = find_profile(workspace, other, commit).profile
        if profile is not None:
            yield profile


def _in_history(workspace: Workspace, manifest: Manifest) -> Iterator[Profile]:
    where = profile_path(workspace, manifest)
    for event in workspace.history.events(workspace.prefix):
        if event.path == where and event.blob is not None:
            try:
                yield _decoded(workspace.history.read_blob(event.blob), manifest, where)
            except MlforgeError:
                continue
