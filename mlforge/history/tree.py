"""Trees: git's objects read by path, and the tree of a commit made from another's."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tag, Tree
from dulwich.repo import Repo

from mlforge.errors import InvalidReference, RepositoryCorrupt, RepositoryUnsupported
from mlforge.history.faults import reading
from mlforge.history.kept import Entry, KeptTrees
from mlforge.history.lockfile import create_draft, sync_folder

REGULAR = stat.S_IFREG | 0o644

Kind = TypeVar("Kind", Blob, Commit, Tag, Tree)


def load(repo: Repo, oid: bytes, kind: type[Kind]) -> Kind:
    """One object of a known kind. Raises RepositoryCorrupt."""
    thing = load_any(repo, oid)
    if not isinstance(thing, kind):
        raise RepositoryCorrupt(f"git object {oid.decode()} is not a {kind.type_name.decode()}")
    return thing


def load_any(repo: Repo, oid: bytes) -> ShaFile:
    with reading(f"git object {oid.decode()}"):
        return repo.object_store[ObjectID(oid)]


# Entries of parsed trees that are kept: some 20 MB, a hundred times a store of 1,000 features.
_KEPT_ENTRIES = 1 << 17
_KEPT_FOLDERS = 1 << 14
_NO_ENTRIES: Mapping[bytes, Entry] = MappingProxyType({})


class Trees:
    """A repository's trees, read by path. The last ones are kept parsed: they never change."""

    def __init__(self, repo: Repo, saved: KeptTrees | None = None) -> None:
        """`saved`: what an earlier process has read."""
        self._repo = repo
        self._saved = saved
        self._kept: dict[bytes, Mapping[bytes, Entry]] = {}
        self._count = 0
        self._folders: dict[tuple[bytes, str], ObjectID | None] = {}

    def entries(self, tree: bytes | None) -> Mapping[bytes, Entry]:
        """Mode and id of all that a tree holds, by name; nothing for no tree."""
        if tree is None:
            return _NO_ENTRIES
        found = self._kept.pop(tree, None)
        if found is None:
            found = self._saved.entries(tree) if self._saved else None
            found = self._parsed(tree) if found is None else found
            self._count += len(found) + 1
        # The end of the dict is what was used last.
        self._kept[tree] = found
        while self._count > _KEPT_ENTRIES and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._count -= len(self._kept.pop(oldest)) + 1
        return found

    def _parsed(self, tree: bytes) -> Mapping[bytes, Entry]:
        parsed = load(self._repo, tree, Tree)
        return {name: parsed[name] for name in parsed}

    def save(self) -> None:
        """For the next process."""
        if self._saved:
            self._saved.save(self._kept)

    def entry_at(self, tree: bytes, path: str) -> Entry | None:
        """Mode and id of what a tree holds at a path; the empty path is the tree itself."""
        entry: Entry | None = (stat.S_IFDIR, ObjectID(tree))
        for name in path.encode().split(b"/") if path else []:
            if entry is None or not stat.S_ISDIR(entry[0]):
                return None
            entry = self.entries(entry[1]).get(name)
        return entry

    def folder_at(self, tree: bytes, path: str) -> ObjectID | None:
        """The id of a folder, None if the path is absent or something else."""
        key = tree, path
        if key not in self._folders:
            if len(self._folders) >= _KEPT_FOLDERS:
                self._folders.clear()
            entry = self.entry_at(tree, path)
            self._folders[key] = entry[1] if entry and stat.S_ISDIR(entry[0]) else None
        return self._folders[key]

    def file_at(self, tree: bytes, path: str) -> ObjectID | None:
        """The blob of a regular file, None if the path is absent, a symlink or something else."""
        folder, _, name = path.rpartition("/")
        entry = self.entries(self.folder_at(tree, folder)).get(name.encode())
        return entry[1] if entry and stat.S_ISREG(entry[0]) else None


def hashed(repo: Repo, kind: bytes, data: bytes) -> bytes:
    """The name that git gives to bytes."""
    state = repo.object_format.hash_func()
    state.update(b"%b %d\0" % (kind, len(data)))
    state.update(data)
    return state.hexdigest().encode()


def check_path(path: str) -> bytes:
    """The path as git stores it. Raises InvalidReference if git would refuse it."""
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise InvalidReference(f"{path[:120]!r} is not a path inside the repository")
    return path.encode()


@dataclass(frozen=True, slots=True)
class Draft:
    """Objects that exist in memory only: a tree's id and all that a repository may lack of it."""

    tree: ObjectID
    objects: Mapping[ObjectID, ShaFile]


def edit(
    repo: Repo, tree: bytes | None, writes: Mapping[str, Blob], deletes: frozenset[str]
) -> Draft:
    """A tree with files written and deleted; folders that become empty are gone."""
    edits: dict[bytes, Blob | None] = {check_path(path): None for path in deletes}
    edits |= {check_path(path): blob for path, blob in writes.items()}
    objects: dict[ObjectID, ShaFile] = {}
    oid = _edit(repo, tree, edits, objects)
    return Draft(oid or _add(repo, Tree(), objects), objects)


def _edit(
    repo: Repo,
    tree: bytes | None,
    edits: Mapping[bytes, Blob | None],
    objects: dict[ObjectID, ShaFile],
) -> ObjectID | None:
    result = load(repo, tree, Tree) if tree else Tree()
    below: dict[bytes, dict[bytes, Blob | None]] = {}
    for path, blob in edits.items():
        name, _, rest = path.partition(b"/")
        if rest:
            below.setdefault(name, {})[rest] = blob
        elif blob is not None:
            _refuse_folder(result, name)
            result[name] = (REGULAR, _add(repo, blob, objects))
        elif name in result:
            del result[name]
    for name, inner in below.items():
        _edit_folder(repo, result, name, inner, objects)
    return _add(repo, result, objects) if len(result) else None


def _edit_folder(
    repo: Repo,
    parent: Tree,
    name: bytes,
    edits: Mapping[bytes, Blob | None],
    objects: dict[ObjectID, ShaFile],
) -> None:
    is_there = name in parent
    if is_there and not stat.S_ISDIR(parent[name][0]):
        if any(blob is not None for blob in edits.values()):
            raise _in_the_way(name, "not a folder")
        return
    edited = _edit(repo, parent[name][1] if is_there else None, edits, objects)
    if edited:
        parent[name] = (stat.S_IFDIR, edited)
    elif is_there:
        del parent[name]


def _refuse_folder(tree: Tree, name: bytes) -> None:
    if name in tree and stat.S_ISDIR(tree[name][0]):
        raise _in_the_way(name, "a folder")


def _in_the_way(name: bytes, what: str) -> RepositoryUnsupported:
    shown = name.decode("utf-8", "replace")
    return RepositoryUnsupported(
        f"{shown} is {what} in HEAD, and mlforge keeps something else there",
        hint=f"git mv {shown} elsewhere and commit",
    )


def _add(repo: Repo, thing: ShaFile, objects: dict[ObjectID, ShaFile]) -> ObjectID:
    oid = name_of(repo, thing)
    objects[oid] = thing
    return oid


def name_of(repo: Repo, thing: ShaFile) -> ObjectID:
    thing.object_format = repo.object_format
    return ObjectID(thing.get_id(repo.object_format))


def store(repo: Repo, objects: Mapping[ObjectID, ShaFile]) -> tuple[Path, ...]:
    """Make objects durable, read them back and answer where they are.

    Not by dulwich's own writer: killed, it leaves a `.lock` that refuses the same object for
    ever. What is left here is named as git names it, so that `git gc` removes it. An object that
    is there already is written again: its bytes may never have reached the disk.
    """
    if not isinstance(repo.object_store, DiskObjectStore):
        raise RepositoryUnsupported("the repository keeps its objects elsewhere than on disk")
    root = Path(repo.object_store.path)
    folders = set()
    files = []
    for oid, thing in objects.items():
        path = root / oid[:2].decode() / oid[2:].decode()
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            folders.add(root)
        draft = path.with_name(f"tmp_obj_{secrets.token_hex(8)}")
        create_draft(draft, thing.as_legacy_object())
        draft.chmod(0o444)
        os.replace(draft, path)
        folders.add(path.parent)
        files.append(path)
    for folder in folders:
        sync_folder(folder)
    for oid in objects:
        _read_back(repo, oid)
    return (*folders, *files)


def _read_back(repo: Repo, oid: ObjectID) -> None:
    with reading(f"git object {oid.decode()}"):
        kind, data = repo.object_store.get_raw(oid)
        thing = ShaFile.from_raw_string(kind, data, object_format=repo.object_format)
        if name_of(repo, thing) != oid:
            raise ValueError("its bytes do not hash to its name")
