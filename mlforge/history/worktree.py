"""Work tree: whether its files are what a commit has."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dulwich.objects import Blob
from dulwich.repo import Repo

from mlforge.history.faults import reading
from mlforge.history.tree import Trees, check_path, hashed, name_of

_LARGEST_NEAR = 1 << 20


def differs(repo: Repo, trees: Trees, root: Path, tree: bytes | None, path: str) -> bool:
    """Whether a file is changed, new or missing; line endings and filters count as git's do."""
    check_path(path)
    with reading(path):
        found = _blob(root / path)
    held = trees.entry_at(tree, path) if tree else None
    if found is None or held is None:
        return found is not None or held is not None
    mode, blob = found
    if mode != stat.S_IFMT(held[0]):
        return True
    if name_of(repo, blob) == held[1]:
        return False
    with reading(path):
        stored = repo.get_blob_normalizer().checkin_normalize(blob, path.encode())
    return name_of(repo, stored) != held[1]


def bytes_of(repo: Repo, path: Path, blob: bytes) -> bytes | None:
    """A small file's bytes if they are a blob's, None if it has others or cannot be read."""
    try:
        # Neither a link nor a pipe is followed or waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_NEAR:
                return None
            data = file.read(_LARGEST_NEAR)
    except OSError:
        return None
    return data if hashed(repo, b"blob", data) == blob else None


def _blob(path: Path) -> tuple[int, Blob] | None:
    """A file's or symlink's kind and content; None if there is neither."""
    try:
        kind = stat.S_IFMT(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if kind == stat.S_IFLNK:
        return kind, Blob.from_string(os.fsencode(os.readlink(path)))
    if kind != stat.S_IFREG:
        return None
    return kind, Blob.from_string(path.read_bytes())
