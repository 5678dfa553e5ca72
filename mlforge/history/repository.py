"""Repository: History of a git repository on this disk, through dulwich."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from dulwich.errors import NotGitRepository
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import DiskRefsContainer
from dulwich.repo import Repo, UnsupportedExtension, UnsupportedVersion

from mlforge.errors import NoRepository, RepositoryLocked, RepositoryUnsupported
from mlforge.history.ancestry import is_here, reaches
from mlforge.history.base import Change, Head, History, PathEvent
from mlforge.history.events import Events
from mlforge.history.faults import reading, storing
from mlforge.history.kept import Entry, KeptTrees
from mlforge.history.layout import Layout
from mlforge.history.refs import branch_name, disk_refs, head_of
from mlforge.history.revision import message_of_tag, resolve
from mlforge.history.tree import Trees, load
from mlforge.history.worktree import bytes_of, differs
from mlforge.history.writer import LOCK_SECONDS, Writer
from mlforge.history.writers import WriterLock
from mlforge.ids import CommitId

# Commits whose tree is remembered; a command asks about a few.
_KEPT_COMMITS = 1024


def open_repository(path: Path, *, lock_seconds: float = LOCK_SECONDS) -> History:
    """The repository at or above a path; what a killed commit has left is put right.

    `lock_seconds`: how long to wait for git's own locks.
    Raises NoRepository and RepositoryUnsupported.
    """
    start = Path(os.path.realpath(path))
    for folder in (start, *start.parents):
        if os.path.lexists(folder / ".git"):
            history = GitHistory(_opened(folder), lock_seconds)
            history.recover()
            return history
        if (folder / "objects").is_dir() and (folder / "refs").is_dir():
            raise RepositoryUnsupported(
                f"{folder} is a bare repository, without a work tree",
                hint=f"git clone {folder} somewhere, and work there",
            )
    raise NoRepository(f"{start} is in no git repository", hint="git init")


def _opened(folder: Path) -> Repo:
    try:
        with reading(str(folder / ".git")):
            repo = Repo(folder)
    except NotGitRepository as error:
        raise NoRepository(f"{folder / '.git'} is not a git repository", hint="git init") from error
    except (UnsupportedVersion, UnsupportedExtension) as error:
        raise RepositoryUnsupported(
            f"{folder} uses a git extension that mlforge cannot write",
            cause=str(error),
            hint="git config --get-regexp extensions",
        ) from error
    if not Path(repo.controldir(), "HEAD").is_file():
        repo.close()
        raise NoRepository(
            f"{folder / '.git'} points to {repo.controldir()}, which is no git folder",
            hint="git worktree repair, in the repository that this work tree belongs to",
        )
    if not isinstance(repo.refs, DiskRefsContainer):
        repo.close()
        raise RepositoryUnsupported(
            f"{folder} keeps its refs in a reftable",
            hint="git refs migrate --ref-format=files",
        )
    return repo


class GitHistory:
    """History in git's own files. Safe in several threads only through one object each."""

    def __init__(self, repo: Repo, lock_seconds: float) -> None:
        self._repo = repo
        self._layout = Layout.of(repo)
        self._trees = Trees(repo, KeptTrees(self._layout.cache / "trees"))
        self._tree_ids = dict[CommitId, ObjectID]()
        self._events = Events(repo, self._trees, self._layout)
        self._writers = WriterLock(self._layout.writer_lock)
        self._writer = Writer(repo, self._layout, lock_seconds)
        # Packs stay open for the next read; who drops the object need not close it.
        weakref.finalize(self, repo.close)

    @property
    def root(self) -> Path:
        return self._layout.root

    @property
    def common_dir(self) -> Path:
        return self._layout.common_dir

    @property
    def is_shallow(self) -> bool:
        return (self._layout.common_dir / "shallow").exists()

    def head(self) -> Head:
        ref, oid = head_of(disk_refs(self._repo))
        return Head(_commit_id(oid) if oid else None, branch_name(ref))

    def resolve(self, revision: str) -> CommitId:
        return _commit_id(resolve(self._repo, revision))

    def has(self, commit: CommitId) -> bool:
        return is_here(self._repo, ObjectID(commit.hex.encode()))

    def follows(self, commit: CommitId, earlier: CommitId) -> bool:
        start, wanted = (ObjectID(c.hex.encode()) for c in (commit, earlier))
        return reaches(self._repo, start, wanted)

    def read(self, commit: CommitId, path: str) -> bytes | None:
        blob = self._trees.file_at(self._tree(commit), path)
        return self.read_blob(blob.decode()) if blob else None

    def read_near(self, commit: CommitId, path: str) -> bytes | None:
        blob = self._trees.file_at(self._tree(commit), path)
        if blob is None:
            return None
        here = bytes_of(self._repo, self.root / path, blob)
        return self.read_blob(blob.decode()) if here is None else here

    def keep(self) -> None:
        self._trees.save()

    def list(self, commit: CommitId, folder: str) -> tuple[str, ...]:
        return _sorted_names(self._folder(commit, folder))

    def differing(self, old: CommitId, new: CommitId, folder: str) -> tuple[str, ...]:
        before, after = self._folder(old, folder), self._folder(new, folder)
        return _sorted_names({name for name, _ in before.items() ^ after.items()})

    def events(self, folder: str, *, tip: CommitId | None = None) -> tuple[PathEvent, ...]:
        return self._events.of(folder, tip)

    def read_blob(self, blob: str) -> bytes:
        return load(self._repo, blob.encode(), Blob).data

    def message(self, commit: CommitId) -> str:
        text: bytes = load(self._repo, commit.hex.encode(), Commit).message
        return text.decode("utf-8", "replace")

    def tag_message(self, revision: str) -> str | None:
        return message_of_tag(self._repo, revision)

    def differs(self, paths: Sequence[str]) -> tuple[str, ...]:
        head = self.head().commit
        tree = self._tree(head) if head else None
        return tuple(
            path for path in paths if differs(self._repo, self._trees, self.root, tree, path)
        )

    def check_ready(self) -> None:
        self._writer.check_ready()

    def commit(
        self,
        change: Change,
        *,
        parent: CommitId | None,
        now: datetime,
        on_published: Callable[[], None] = lambda: None,
    ) -> CommitId:
        with self.writing(), storing(self._layout.git_dir):
            old = ObjectID(parent.hex.encode()) if parent else None
            return _commit_id(self._writer.commit(change, old, now, on_published))

    def tag(
        self, name: str, message: str, *, commit: CommitId, now: datetime, is_dry: bool = False
    ) -> None:
        with self.writing(), storing(self._layout.git_dir):
            self._writer.tag(name, message, ObjectID(commit.hex.encode()), now, is_dry=is_dry)

    @contextmanager
    def writing(self, timeout_seconds: float = 60.0) -> Iterator[None]:
        with self._writers.held(timeout_seconds) as is_outermost:
            if is_outermost:
                with storing(self._layout.git_dir):
                    self._writer.recover()
            yield

    def recover(self) -> None:
        """Put right what a killed commit has left, unless somebody is at work."""
        if not self._layout.lease.exists():
            return
        try:
            with self.writing(0):
                pass
        except RepositoryLocked:
            return

    def _tree(self, commit: CommitId) -> ObjectID:
        if commit not in self._tree_ids:
            if len(self._tree_ids) >= _KEPT_COMMITS:
                self._tree_ids.clear()
            oid = ObjectID(load(self._repo, commit.hex.encode(), Commit).tree)
            self._tree_ids[commit] = oid
        return self._tree_ids[commit]

    def _folder(self, commit: CommitId, folder: str) -> Mapping[bytes, Entry]:
        return self._trees.entries(self._trees.folder_at(self._tree(commit), folder))


def _sorted_names(names: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(sorted(map(os.fsdecode, names)))


def _commit_id(oid: ObjectID) -> CommitId:
    return CommitId(oid.decode())
