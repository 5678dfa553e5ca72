"""View: an object's bytes under a readable path: a reflink, else a relative link, else a copy."""

from __future__ import annotations

import errno
import fcntl
import filecmp
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mlforge.ids import ObjectId, hash_file
from mlforge.objects.files import storage_errors, temporary_name

VIEW_NAME = "data.parquet"

_FICLONE = 0x40049409
_NO_REFLINK = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EPERM)


def make_view(target: Path, view: Path) -> None:
    """Make `view` show `target`. Hard links are banned: an edit in place would reach the object."""
    with storage_errors(view):
        if _is_view_of(view, target) or _is_occupied(view):
            return
        temporary = temporary_name(view)
        try:
            if not _reflink(target, temporary):
                _link_or_copy(target, temporary)
            temporary.replace(view)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def view_fault(view: Path, targets: Mapping[ObjectId, Path]) -> str | None:
    """Why a view does not show one of these objects, in words; None if it does, or is not there."""
    with storage_errors(view, "read"):
        if view.is_symlink():
            shown = {os.path.realpath(target) for target in targets.values()}
            return None if os.path.realpath(view) in shown else "leads elsewhere"
        if not os.path.lexists(view):
            return None
        if not view.is_file():
            return "is no regular file"
        if any(target.exists() and view.samefile(target) for target in targets.values()):
            return "is a hard link: an edit in place would reach the object"
        return None if ObjectId(hash_file(view)) in targets else "has other bytes"


def _is_occupied(view: Path) -> bool:
    """Whether a folder that holds something is in its place: somebody's, and `verify` tells."""
    if not view.is_dir() or view.is_symlink():
        return False
    with suppress(OSError):
        view.rmdir()
    return view.exists()


def _is_view_of(view: Path, target: Path) -> bool:
    if view.is_symlink():
        try:
            return os.path.samefile(view, target)
        except OSError:
            # A link that leads nowhere, or to itself.
            return False
    # A copy that was edited has another size or time, or was made writable first.
    if not view.is_file() or view.samefile(target) or view.stat().st_mode & 0o222:
        return False
    return filecmp.cmp(view, target)


def _reflink(target: Path, view: Path) -> bool:
    with target.open("rb") as source, view.open("xb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
        except OSError as error:
            if error.errno not in _NO_REFLINK:
                raise
            view.unlink()
            return False
    shutil.copystat(target, view)
    return True


def _link_or_copy(target: Path, view: Path) -> None:
    try:
        view.symlink_to(os.path.relpath(target.resolve(), view.parent.resolve()))
    except OSError:
        shutil.copy2(target, view)
