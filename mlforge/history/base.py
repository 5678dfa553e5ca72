"""History: what mlforge asks of a git repository, without saying how it is read or written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from mlforge.ids import CommitId


@dataclass(frozen=True, slots=True)
class Person:
    """Who made a commit."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A commit without its tree. `time` is the author's, in UTC.

    `parents` are what the commit says. At the boundary of a shallow clone they are not here, and
    all that the commit holds looks as if it were added by it.
    """

    id: CommitId
    parents: tuple[CommitId, ...]
    author: Person
    time: datetime
    subject: str
    is_boundary: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """Where the next commit goes. `commit` is None before the first, `branch` when detached."""

    commit: CommitId | None
    branch: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit changes: POSIX paths from the repository's root, regular files only."""

    writes: Mapping[str, bytes]
    deletes: frozenset[str]
    message: str


@dataclass(frozen=True, slots=True)
class PathEvent:
    """One commit's change of one path: the blob after it, None if the commit deleted the path."""

    commit: CommitInfo
    path: str
    blob: str | None


class History(Protocol):
    """A git repository with a work tree."""

    @property
    def root(self) -> Path:
        """The work tree's root, without symlinks."""
        ...

    @property
    def common_dir(self) -> Path:
        """git's common directory, which linked work trees share."""
        ...

    @property
    def is_shallow(self) -> bool:
        """Whether older commits were never fetched."""
        ...

    def head(self) -> Head: ...

    def resolve(self, revision: str) -> CommitId:
        """The commit of a branch, tag, (short) id, HEAD, `main~3`, `HEAD^2`, `refs/...`.

        Raises RevisionNotFound.
        """
        ...

    def has(self, commit: CommitId) -> bool:
        """Whether this clone has a commit."""
        ...

    def follows(self, commit: CommitId, earlier: CommitId) -> bool:
        """Whether a commit is another one, or descends from it; both are in this clone."""
        ...

    def read(self, commit: CommitId, path: str) -> bytes | None:
        """A regular file's bytes; None if there is no such file. Follows no symlink."""
        ...

    def read_near(self, commit: CommitId, path: str) -> bytes | None:
        """As `read`, from the work tree where its file has the very bytes that git names."""
        ...

    def keep(self) -> None:
        """Keep what was read of trees for the next process. A disk that refuses fails nothing."""
        ...

    def list(self, commit: CommitId, folder: str) -> tuple[str, ...]:
        """The sorted names in a folder; none if there is no such folder."""
        ...

    def differing(self, old: CommitId, new: CommitId, folder: str) -> tuple[str, ...]:
        """The sorted names that a folder has in one of two commits only, or with other content."""
        ...

    def events(self, folder: str, *, tip: CommitId | None = None) -> tuple[PathEvent, ...]:
        """Every change below a folder that the tip reaches, children before parents, then newest.

        Without a tip: from any local ref, HEAD of every work tree and the stash. A merge counts
        only for paths that differ from all its parents.
        """
        ...

    def read_blob(self, blob: str) -> bytes: ...

    def message(self, commit: CommitId) -> str:
        """All of a commit's message: subject, body and trailers."""
        ...

    def tag_message(self, revision: str) -> str | None:
        """All of an annotated tag's message; None if the revision is not the name of one."""
        ...

    def differs(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Which files of the work tree are not what HEAD's tree has: changed, new or missing."""
        ...

    def check_ready(self) -> None:
        """Raises what would keep a commit from being made: IdentityMissing, OperationInProgress."""
        ...

    def commit(
        self,
        change: Change,
        *,
        parent: CommitId | None,
        now: datetime,
        on_published: Callable[[], None] = lambda: None,
    ) -> CommitId:
        """Publish a commit of HEAD's tree and this change, and of nothing else.

        `parent` is what the caller has seen as HEAD. Answers `parent` if the change changes
        nothing; the index is put right all the same. The work tree is only read.
        `on_published` runs while git still refuses to write: what it changes in the work tree,
        `git commit -a` cannot find half done.
        Raises HeadMoved, IdentityMissing, OperationInProgress, RepositoryLocked.
        """
        ...

    def tag(
        self, name: str, message: str, *, commit: CommitId, now: datetime, is_dry: bool = False
    ) -> None:
        """Name a commit for good, as `git tag -a` does; dry: only refuse what would be refused.

        Raises InvalidTag, TagExists, IdentityMissing, RepositoryLocked.
        """
        ...

    def writing(self, timeout_seconds: float = 60.0) -> AbstractContextManager[None]:
        """One mlforge writer at a time over all work trees; freed by the kernel on kill -9.

        May be nested, in one thread and on one History. Raises RepositoryLocked.
        """
        ...
