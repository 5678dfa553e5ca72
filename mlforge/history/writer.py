"""Writer: a commit of HEAD's tree and one change, published in git's own safe order.

Objects first; then, under `index.lock`, the new index, the compare-and-swap of the ref, and the
rename of the lock. So HEAD never has a path that the index would show as deleted, except while
git itself refuses to write. Law 1 and 8 of the design.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dulwich.config import Config
from dulwich.objects import Blob, Commit, ObjectID, ShaFile
from dulwich.refs import HEADREF, Ref
from dulwich.repo import Repo

from mlforge.errors import HeadMoved, MlforgeError, OperationInProgress
from mlforge.history.base import Change
from mlforge.history.identity import ROLES, Signature, config_stack, sign
from mlforge.history.index import Entries, amended
from mlforge.history.layout import Layout
from mlforge.history.lease import Lease, end, read_lease, settle, write_lease
from mlforge.history.lockfile import create_draft, fill, lock_of, replace, take
from mlforge.history.refs import (
    LogEntry,
    disk_refs,
    head_of,
    log_move,
    path_of,
    read_ref,
    share,
)
from mlforge.history.tags import annotated, free_ref
from mlforge.history.tree import edit, load, name_of, store

LOCK_SECONDS = 5.0

_OPERATIONS = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}


@dataclass(frozen=True, slots=True)
class Move:
    """A ref's step from one commit to the next."""

    ref: Ref
    old: ObjectID | None
    new: ObjectID
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes to one repository, while the writers' lock is held."""

    repo: Repo
    layout: Layout
    lock_seconds: float

    def check_ready(self) -> None:
        """Refuse before anything is written what `commit` would refuse."""
        refuse_operations(self.layout)
        config = config_stack(self.repo, os.environ)
        for role in ROLES:
            sign(role, config, os.environ, datetime.now(UTC))

    def commit(
        self,
        change: Change,
        parent: ObjectID | None,
        now: datetime,
        on_published: Callable[[], None],
    ) -> ObjectID:
        refuse_operations(self.layout)
        config = config_stack(self.repo, os.environ)
        author, committer = (sign(role, config, os.environ, now) for role in ROLES)
        ref = self._checked_head(parent)
        blobs = {path: Blob.from_string(data) for path, data in change.writes.items()}
        base = load(self.repo, parent, Commit).tree if parent else None
        draft = edit(self.repo, base, blobs, change.deletes)
        entries: dict[str, ObjectID | None] = dict.fromkeys(change.deletes)
        entries |= {path: name_of(self.repo, blob) for path, blob in blobs.items()}
        if parent and draft.tree == base:
            self._publish(config, entries, parent, None)
            return parent
        commit = _commit(draft.tree, parent, author, committer, change.message)
        new = name_of(self.repo, commit)
        self._store(config, {**draft.objects, new: commit})
        entry = LogEntry(committer, _reason(change.message, parent))
        self._publish(config, entries, new, Move(ref, parent, new, entry), on_published)
        return new

    def tag(
        self, name: str, message: str, commit: ObjectID, now: datetime, *, is_dry: bool
    ) -> None:
        ref = free_ref(self.repo, name)
        config = config_stack(self.repo, os.environ)
        tagger = sign("committer", config, os.environ, now)
        if is_dry:
            return
        tag = annotated(name, commit, tagger, message)
        new = name_of(self.repo, tag)
        self._store(config, {new: tag})
        entry = LogEntry(tagger, b"tag: tagging " + commit)
        with self._leased({}, new, Move(ref, None, new, entry)):
            path = self._locked_ref(ref)
            # Under its lock: git may have made it meanwhile.
            free_ref(self.repo, name)
            share(config, lock_of(path))
            log_move(self.repo, config, ref, None, new, entry)
            replace(path)

    def recover(self) -> None:
        """Finish or undo what a killed commit has begun."""
        lease = read_lease(self.layout)
        if lease is None:
            return
        is_lost = settle(self.repo, self.layout, lease)
        if is_lost and lease.worktree == self.layout.worktree:
            entries = {
                path: ObjectID(blob.encode()) if blob else None
                for path, blob in lease.entries.items()
            }
            try:
                config = config_stack(self.repo, os.environ)
                self._publish(config, entries, ObjectID(lease.commit.encode()), None)
            except MlforgeError:
                # Not now: for the next one to do, without claim to any lock.
                write_lease(self.layout, dataclasses.replace(lease, index_inode=0, ref_inode=0))
                raise

    def _checked_head(self, parent: ObjectID | None) -> Ref:
        ref, head = head_of(disk_refs(self.repo))
        if head != parent:
            raise _head_moved(parent, head)
        return ref

    def _store(self, config: Config, objects: Mapping[ObjectID, ShaFile]) -> None:
        for path in store(self.repo, objects):
            share(config, path)

    def _publish(
        self,
        config: Config,
        entries: Entries,
        commit: ObjectID,
        move: Move | None,
        on_published: Callable[[], None] = lambda: None,
    ) -> None:
        layout = self.layout
        with self._leased(entries, commit, move):
            take(layout.index_draft, layout.index, timeout_seconds=self.lock_seconds)
            fill(layout.index, amended(self.repo, layout, entries))
            share(config, lock_of(layout.index))
            if move:
                refuse_operations(layout)
                self._swap(config, move)
            on_published()

    @contextmanager
    def _leased(self, entries: Entries, commit: ObjectID, move: Move | None) -> Iterator[None]:
        """While locks are held, what they are for is written down."""
        layout = self.layout
        layout.lease.parent.mkdir(parents=True, exist_ok=True)
        try:
            lease = self._lease(entries, commit, move)
            write_lease(layout, lease)
        except BaseException:
            end(layout)
            raise
        try:
            yield
        finally:
            settle(self.repo, layout, lease)

    def _lease(self, entries: Entries, commit: ObjectID, move: Move | None) -> Lease:
        ref_content = move.new + b"\n" if move else b""
        return Lease(
            pid=os.getpid(),
            worktree=self.layout.worktree,
            ref=(move.ref if move else HEADREF).decode("latin-1"),
            ref_inode=create_draft(self.layout.ref_draft, ref_content) if move else 0,
            index_inode=create_draft(self.layout.index_draft),
            parent=move.old.decode() if move and move.old else None,
            commit=commit.decode(),
            entries={path: blob.decode() if blob else None for path, blob in entries.items()},
        )

    def _swap(self, config: Config, move: Move) -> None:
        """Compare and swap: under the ref's lock, and only if HEAD is still that ref."""
        path = self._locked_ref(move.ref)
        if self._checked_head(move.old) != move.ref:
            raise _head_moved(move.old, move.old)
        share(config, lock_of(path))
        for ref in dict.fromkeys((move.ref, HEADREF)):
            log_move(self.repo, config, ref, move.old, move.new, move.entry)
        replace(path)
        if not self._is_in(move, read_ref(self.repo, move.ref)):
            raise HeadMoved(
                f"{os.fsdecode(move.ref)} was moved away from the new commit {move.new.decode()}",
                hint="git reflog",
            )

    def _locked_ref(self, ref: Ref) -> Path:
        """A ref's file, whose lock has the draft's inode. Raises RepositoryLocked."""
        path = path_of(self.repo, ref)
        path.parent.mkdir(parents=True, exist_ok=True)
        take(self.layout.ref_draft, path, timeout_seconds=self.lock_seconds)
        if path.is_dir():
            # Refs below it were packed or deleted and have left their folder.
            path.rmdir()
        return path

    def _is_in(self, move: Move, tip: ObjectID | None) -> bool:
        """Whether a ref has the new commit: it may have been committed upon already."""
        shallow, seen = self.repo.get_shallow(), {move.old}
        todo = [tip] if tip else []
        while todo:
            oid = todo.pop()
            if oid == move.new:
                return True
            if oid not in seen:
                seen.add(oid)
                todo += [] if oid in shallow else load(self.repo, oid, Commit).parents
        return False


def refuse_operations(layout: Layout) -> None:
    """Raises OperationInProgress: a commit now would become part of the user's merge or rebase."""
    for name, operation in _OPERATIONS.items():
        if (layout.git_dir / name).exists():
            raise OperationInProgress(
                f"a {operation} is in progress",
                hint=f"finish it with git {operation} --continue, or git {operation} --abort",
            )


def _commit(
    tree: ObjectID,
    parent: ObjectID | None,
    author: Signature,
    committer: Signature,
    message: str,
) -> Commit:
    commit = Commit()
    commit.tree = tree
    commit.parents = [parent] if parent else []
    commit.author = author.identity
    commit.author_time, commit.author_timezone = author.seconds, author.offset_seconds
    commit.committer = committer.identity
    commit.commit_time, commit.commit_timezone = committer.seconds, committer.offset_seconds
    commit.message = message.strip("\n").replace("\0", "").encode() + b"\n"
    return commit


def _reason(message: str, parent: ObjectID | None) -> bytes:
    kind = "commit" if parent else "commit (initial)"
    return f"{kind}: {message.strip().partition(chr(10))[0]}".encode()


def _head_moved(expected: ObjectID | None, found: ObjectID | None) -> HeadMoved:
    old, new = ((oid or b"no commit")[:12].decode() for oid in (expected, found))
    return HeadMoved(
        f"HEAD moved from {old} to {new} in the meantime; nothing was committed",
        hint="run the same command again",
    )
