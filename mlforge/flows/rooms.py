"""Rooms: a folder that appears whole, by one rename, and what a killed owner of one has left."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlforge.errors import FolderOccupied
from mlforge.objects.files import (
    TEMPORARY_PREFIX,
    storage_errors,
    sync_folder,
    temporary_name,
)


@contextmanager
def room(target: Path) -> Iterator[Path]:
    """A new folder beside a path, locked, so that only a dead owner's is swept; gone afterwards."""
    draft = temporary_name(target)
    with storage_errors(target):
        draft.mkdir()
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        # A file system without locks has nobody swept either: `_remove_unless_locked`.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield draft
    finally:
        os.close(descriptor)
        shutil.rmtree(draft, ignore_errors=True)


def appear(draft: Path, target: Path) -> None:
    """Give a finished folder, whose files are synced, its name."""
    with storage_errors(target):
        try:
            draft.rename(target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise FolderOccupied(
                    f"somebody has made {target} in the meantime",
                    hint=f"ls -la {shlex.quote(str(target))}",
                ) from error
            raise
        sync_folder(target.parent)


def is_leftover(name: str, of: str) -> bool:
    pattern = rf"{re.escape(TEMPORARY_PREFIX)}[0-9a-f]{{12}}-{re.escape(of)}"
    return re.fullmatch(pattern, name) is not None


def sweep(target: Path) -> None:
    """Remove what a killed run has left beside a path that it was about to make."""
    with suppress(OSError):
        for name in os.listdir(target.parent):
            if is_leftover(name, target.name):
                _remove_unless_locked(target.with_name(name))


def _remove_unless_locked(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)
