"""Lock files: git's way to lock a file, made so that a dead owner's lock can be told from others'.

git takes `<file>.lock` by creating it, writes the new content into it and renames it over the
file. Here a draft with a private name is linked to the lock's name instead: so the inode is
known, and can be written down, before the lock is taken. The draft stays until the lock has
ended: nobody else's file can get an inode that still has a name.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from mlforge.errors import RepositoryLocked


def lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def create_draft(draft: Path, content: bytes = b"") -> int:
    """Make a new file and answer its inode. A leftover may be linked to a live file: unlinked."""
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with open(fd, "wb") as file:
        if content:
            _write_durably(file.fileno(), content)
        return os.fstat(file.fileno()).st_ino


def take(draft: Path, path: Path, *, timeout_seconds: float) -> None:
    """Lock `path` with the draft's inode. Raises RepositoryLocked after the timeout."""
    lock = lock_of(path)
    deadline = time.monotonic() + timeout_seconds
    while not _linked(draft, lock):
        if time.monotonic() >= deadline:
            raise RepositoryLocked(
                f"another git process holds {lock}",
                hint=f"run it again when that has ended; if no git process runs: rm {lock}",
            )
        time.sleep(random.uniform(0.005, 0.05))


def _linked(draft: Path, lock: Path) -> bool:
    try:
        os.link(draft, lock)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links: hold the name first, then put the inode there.
        return _moved(draft, lock)
    return True


def _moved(draft: Path, lock: Path) -> bool:
    try:
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    os.replace(draft, lock)
    return True


def fill(path: Path, content: bytes) -> None:
    """Put durable content into a lock that is held."""
    fd = os.open(lock_of(path), os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        _write_durably(fd, content)
    finally:
        os.close(fd)


def replace(path: Path) -> None:
    """Give the file the lock's content, durably, which frees the lock."""
    os.replace(lock_of(path), path)
    sync_folder(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file durably, or nothing. For one process at a time."""
    draft = path.with_name(path.name + ".tmp")
    create_draft(draft, content)
    os.replace(draft, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_durably(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.fsync(fd)
