"""Refs: where HEAD and the branches point, and the logs of how they moved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dulwich.config import Config
from dulwich.file import adjust_shared_perm
from dulwich.objects import Commit, ObjectID, ShaFile, Tag
from dulwich.reflog import format_reflog_line
from dulwich.refs import HEADREF, LOCAL_BRANCH_PREFIX, DiskRefsContainer, Ref, is_per_worktree_ref
from dulwich.repo import Repo, parse_shared_repository

from mlforge.errors import RepositoryCorrupt
from mlforge.history.faults import reading
from mlforge.history.identity import Signature
from mlforge.history.tree import load_any

SHORT_PREFIXES = (b"refs/tags/", LOCAL_BRANCH_PREFIX, b"refs/remotes/")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Who moved a ref, and why."""

    by: Signature
    reason: bytes


def head_of(refs: DiskRefsContainer) -> tuple[Ref, ObjectID | None]:
    """The ref that a commit on HEAD moves (HEAD itself when detached), and where it points."""
    with reading("HEAD"):
        chain, oid = refs.follow(HEADREF)
    if chain == [HEADREF] and oid is None:
        raise RepositoryCorrupt("HEAD points nowhere", hint="git symbolic-ref HEAD refs/heads/main")
    if oid is None and Path(os.fsdecode(refs.refpath(chain[-1]))).is_file():
        # dulwich takes a file that it cannot read for none; the branch would seem to be unborn.
        raise RepositoryCorrupt(f"{os.fsdecode(chain[-1])} cannot be read", hint="git fsck")
    return chain[-1], oid


def branch_name(ref: Ref) -> str | None:
    if ref == HEADREF:
        return None
    return os.fsdecode(ref.removeprefix(LOCAL_BRANCH_PREFIX))


def path_of(repo: Repo, ref: Ref) -> Path:
    return Path(os.fsdecode(disk_refs(repo).refpath(ref)))


def disk_refs(repo: Repo) -> DiskRefsContainer:
    assert isinstance(repo.refs, DiskRefsContainer)  # open_repository refuses others
    return repo.refs


def read_ref(repo: Repo, ref: Ref) -> ObjectID | None:
    """Where a ref points, loose or packed; None if it is not there."""
    with reading(os.fsdecode(ref)):
        value = repo.refs.read_ref(ref)
    return ObjectID(value) if value else None


def tips(repo: Repo) -> frozenset[ObjectID]:
    """What every ref and every work tree's HEAD points to. Tags are not followed."""
    return frozenset(_values(repo))


def _values(repo: Repo) -> Iterator[ObjectID]:
    with reading("refs"):
        names = repo.refs.allkeys()
    for name in names:
        with reading(os.fsdecode(name)):
            oid = repo.refs.follow(name)[1]
        # A symref may dangle: origin/HEAD after its branch was renamed.
        if oid:
            yield oid
    common = Path(repo.commondir())
    for folder in (common, *sorted(common.glob("worktrees/*"))):
        with reading(f"{folder}/HEAD"):
            oid = DiskRefsContainer(common, folder).follow(HEADREF)[1]
        if oid:
            yield oid


def peel(repo: Repo, oid: ObjectID) -> ObjectID | None:
    """The commit that an object is or that its tag names; None for trees and blobs."""
    thing: ShaFile = load_any(repo, oid)
    while isinstance(thing, Tag):
        oid = thing.object[1]
        thing = load_any(repo, oid)
    return oid if isinstance(thing, Commit) else None


def log_move(
    repo: Repo, config: Config, ref: Ref, old: ObjectID | None, new: ObjectID, entry: LogEntry
) -> None:
    """Append to a ref's log, if git would: core.logAllRefUpdates, or the log is there."""
    folder = repo.controldir() if is_per_worktree_ref(ref) else repo.commondir()
    path = Path(folder, "logs", os.fsdecode(ref))
    if not path.exists():
        if not _is_logged(config, ref):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
    by = entry.by
    before = old or ObjectID(b"0" * len(new))
    line = format_reflog_line(before, new, by.identity, by.seconds, by.offset_seconds, entry.reason)
    with path.open("ab") as file:
        file.write(line + b"\n")
    share(config, path)


def _is_logged(config: Config, ref: Ref) -> bool:
    try:
        wish = config.get((b"core",), b"logallrefupdates").lower()
    except KeyError:
        wish = b"true"
    if wish == b"always":
        return True
    return wish in (b"true", b"yes", b"on", b"1") and (
        ref == HEADREF or ref.startswith((LOCAL_BRANCH_PREFIX, b"refs/remotes/", b"refs/notes/"))
    )


def share(config: Config, path: Path) -> None:
    """Give a new file or folder of git's the mode that core.sharedRepository asks for."""
    try:
        wish = config.get((b"core",), b"sharedrepository")
    except KeyError:
        return
    adjust_shared_perm(path, parse_shared_repository(wish))
