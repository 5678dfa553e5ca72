"""Lease: what a commit does while it holds git's locks; it outlives only a process that died.

There is at most one, because a commit holds the writers' lock, which the kernel frees with its
process: whoever has that lock and finds a lease, finds a dead process's. Success, failure and
recovery all end in `settle`.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from dulwich.objects import Commit
from dulwich.refs import HEADREF, DiskRefsContainer, Ref, is_per_worktree_ref
from dulwich.repo import Repo

from mlforge.canonical import decode, encode
from mlforge.errors import Corrupt
from mlforge.history.faults import reading
from mlforge.history.index import is_whole
from mlforge.history.layout import Layout
from mlforge.history.lockfile import lock_of, replace, write_file
from mlforge.history.tree import Trees, load

# Without hard links no draft keeps the inode of a lock that somebody removed, and a live git's
# lock may get it; not within this time.
_SAME_TIME_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Lease:
    """Locks by their inodes, and what the index holds if the commit is published.

    `ref` is in Latin-1, to carry any bytes. `ref_inode` is 0 if no ref moves. `entries` are blobs
    by path, None for a deleted path.
    """

    pid: int
    worktree: str
    ref: str
    ref_inode: int
    index_inode: int
    parent: str | None
    commit: str
    entries: dict[str, str | None]


def write_lease(layout: Layout, lease: Lease) -> None:
    write_file(layout.lease, encode(asdict(lease)))


def read_lease(layout: Layout) -> Lease | None:
    """The lease of a dead process, if it left one. What cannot be read is not one of ours."""
    try:
        return decode(layout.lease.read_bytes(), Lease)
    except FileNotFoundError:
        return None
    except Corrupt:
        layout.lease.unlink()
        return None


def settle(repo: Repo, layout: Layout, lease: Lease) -> bool:
    """Free the lease's locks: the index becomes the new one if HEAD has the commit's entries.

    Says whether HEAD has them while the index is neither old nor new: somebody removed the lock
    by hand, and in the index those paths look deleted.
    """
    written = layout.lease.stat().st_mtime
    git_dir = layout.of_worktree(lease.worktree)
    index = git_dir / "index"
    _free(_ref_path(layout, git_dir, lease), lease.ref_inode, written)
    published = _is_published(repo, layout, git_dir, lease)
    is_lost = False
    if not _is_ours(lock_of(index), lease.index_inode, written):
        # Of a tag nothing is in the index.
        is_ours = not lease.entries or _is_ours(index, lease.index_inode, written)
        is_lost = published and not is_ours
    elif published and is_whole(lock_of(index).read_bytes(), repo.object_format):
        replace(index)
    else:
        lock_of(index).unlink()
    end(layout)
    return is_lost


def end(layout: Layout) -> None:
    """Remove a lease that names no lock any more. Last, so that every crash before it is seen.

    Not made durable: a lease that comes back after a power cut finds nothing to do.
    """
    layout.ref_draft.unlink(missing_ok=True)
    layout.index_draft.unlink(missing_ok=True)
    layout.lease.unlink(missing_ok=True)


def _free(path: Path, inode: int, written: float) -> None:
    if _is_ours(lock_of(path), inode, written):
        lock_of(path).unlink()


def _is_ours(path: Path, inode: int, written: float) -> bool:
    try:
        stat = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.st_ino == inode and abs(stat.st_mtime - written) < _SAME_TIME_SECONDS


def _ref_path(layout: Layout, git_dir: Path, lease: Lease) -> Path:
    ref = Ref(lease.ref.encode("latin-1"))
    return (git_dir if is_per_worktree_ref(ref) else layout.common_dir) / os.fsdecode(ref)


def _is_published(repo: Repo, layout: Layout, git_dir: Path, lease: Lease) -> bool:
    """Whether HEAD of the lease's work tree has its entries: by this commit or any other."""
    with reading(f"{git_dir}/HEAD"):
        head = DiskRefsContainer(layout.common_dir, git_dir).follow(HEADREF)[1]
    if head is None:
        return False
    if head == lease.commit.encode():
        return True
    tree, trees = load(repo, head, Commit).tree, Trees(repo)
    return all(
        (trees.file_at(tree, path) or b"").decode() == (blob or "")
        for path, blob in lease.entries.items()
    )
