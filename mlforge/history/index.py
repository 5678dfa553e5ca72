"""Index: git's staging area with a commit's own paths put right, and nothing else touched."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from dulwich.index import (
    ConflictedIndexEntry,
    IndexChecksumReader,
    IndexChecksumWriter,
    IndexEntry,
    UnsupportedIndexFormat,
    index_entry_from_stat,
    index_entry_from_tree_entry,
    read_index_dict_with_version,
    write_index_dict,
)
from dulwich.object_format import ObjectFormat
from dulwich.objects import Blob, ObjectID
from dulwich.repo import Repo

from mlforge.errors import RepositoryUnsupported
from mlforge.history.faults import UNREADABLE
from mlforge.history.layout import Layout
from mlforge.history.lockfile import create_draft
from mlforge.history.tree import REGULAR, name_of

Entries = Mapping[str, ObjectID | None]

# Above it, git's own C code is faster than starting it costs.
MANY_ENTRIES = 20_000

_HEADER = struct.Struct(">4sLL")
_ASSUME_UNCHANGED = 0x8000
_SKIP_WORKTREE = 0x4000


def is_whole(content: bytes, form: ObjectFormat) -> bool:
    """Whether these are the bytes of a complete index that mlforge wrote."""
    size = form.oid_length
    body, checksum = content[:-size], content[-size:]
    return body[:4] == b"DIRC" and form.hash_object(body) == checksum


def amended(repo: Repo, layout: Layout, entries: Entries) -> bytes:
    """The index with these entries; None removes a path. Call it while holding the lock.

    Raises RepositoryUnsupported.
    """
    try:
        content = layout.index.read_bytes()
        written = int(layout.index.stat().st_mtime)
    except FileNotFoundError:
        content, written = b"", 0
    git = shutil.which("git")
    if git and len(content) > _HEADER.size and _HEADER.unpack_from(content)[2] > MANY_ENTRIES:
        return _by_git(git, layout, content, entries)
    try:
        return _by_dulwich(repo, layout, content, written, entries)
    except (*UNREADABLE, UnsupportedIndexFormat) as error:
        # A split or sparse index, or a newer one.
        if git:
            return _by_git(git, layout, content, entries)
        raise RepositoryUnsupported(
            f"{layout.index} has a form that needs the git program to write",
            cause=str(error),
            hint="install git, or: git update-index --no-split-index; git sparse-checkout disable",
        ) from error


def _by_dulwich(
    repo: Repo, layout: Layout, content: bytes, written: int, entries: Entries
) -> bytes:
    form = repo.object_format
    known: dict[bytes, IndexEntry | ConflictedIndexEntry] = {}
    version = None
    if content:
        reader = IndexChecksumReader(BytesIO(content), form)
        known, version, _ = read_index_dict_with_version(reader, form)
        reader.check_checksum(allow_empty=True)
    _mark_racy(repo, layout.root, known, written)
    for path, blob in entries.items():
        name = path.encode()
        old = known.pop(name, None)
        if blob:
            known[name] = _entry(repo, layout.root / path, blob, old)
    # No extension is kept: they cache (trees, untracked files) what is not so any more.
    target = BytesIO()
    writer = IndexChecksumWriter(target, form)
    write_index_dict(writer, known, version=version, extensions=[], object_format=form)
    writer.write_checksum()
    return target.getvalue()


def _mark_racy(
    repo: Repo, root: Path, known: Mapping[bytes, IndexEntry | ConflictedIndexEntry], written: int
) -> None:
    """Keep git's doubt about files that changed in the second in which they were staged.

    git doubts stat data that is not older than the index. The index gets a new time here, so
    such entries lose their size, as git itself would write them ("racily clean").
    """
    for name, entry in known.items():
        if not isinstance(entry, IndexEntry) or _seconds(entry.mtime) < written:
            continue
        if not _stat_if_equal(repo, root / os.fsdecode(name), entry.sha):
            entry.size = 0


def _seconds(time: float | tuple[int, int]) -> int:
    return time[0] if isinstance(time, tuple) else int(time)


def _entry(
    repo: Repo, file: Path, blob: ObjectID, old: IndexEntry | ConflictedIndexEntry | None
) -> IndexEntry:
    stat_data = _stat_if_equal(repo, file, blob)
    if stat_data:
        entry = index_entry_from_stat(stat_data, blob, mode=REGULAR)
    else:
        entry = index_entry_from_tree_entry(REGULAR, blob)
    if isinstance(old, IndexEntry):
        entry.flags = old.flags & _ASSUME_UNCHANGED
        entry.set_skip_worktree(bool(old.extended_flags & _SKIP_WORKTREE))
    return entry


def _stat_if_equal(repo: Repo, file: Path, blob: ObjectID) -> os.stat_result | None:
    """The file's stat data if it is a regular file with the blob's bytes: then git trusts it."""
    if os.path.realpath(file.parent) != str(file.parent):
        return None
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as opened:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return None
        is_equal = name_of(repo, Blob.from_string(opened.read())) == blob
    return found if is_equal else None


def _by_git(git: str, layout: Layout, content: bytes, entries: Entries) -> bytes:
    """Let git amend a copy of the index; it comes back whole, neither split nor sparse.

    The entries carry no stat data, so git compares the files' bytes when it next looks.
    """
    copy = layout.index_draft.with_suffix(".copy")
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = [git, "-C", str(layout.root), "-c", "core.splitIndex=false"]
    command += ["-c", "index.sparse=false", "-c", "core.fsmonitor=false"]
    command += ["-c", "index.skipHash=false"]
    copy_lock = copy.with_name(copy.name + ".lock")
    try:
        copy_lock.unlink(missing_ok=True)
        create_draft(copy, content)
        subprocess.run(
            [*command, "update-index", "-z", "--index-info"],
            input=b"".join(_index_info(path, blob) for path, blob in entries.items()),
            env={**env, "GIT_INDEX_FILE": str(copy)},
            check=True,
            capture_output=True,
        )
        return copy.read_bytes()
    except subprocess.CalledProcessError as error:
        raise RepositoryUnsupported(
            f"git cannot amend {layout.index}",
            cause=error.stderr.decode("utf-8", "replace").strip(),
            hint="git fsck; git status",
        ) from error
    finally:
        copy.unlink(missing_ok=True)
        copy_lock.unlink(missing_ok=True)


def _index_info(path: str, blob: ObjectID | None) -> bytes:
    if blob is None:
        # Any id that is not zero will do: 0 is the mode that removes.
        return b"0 " + b"0" * 40 + b"\t" + path.encode() + b"\0"
    return b"100644 " + blob + b"\t" + path.encode() + b"\0"
