"""Changes: which files of a folder differ between a commit's tree and all its parents' trees."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence

from dulwich.objects import ObjectID, Tree
from dulwich.repo import Repo

from mlforge.history.tree import load

Entry = tuple[int, ObjectID]


def changed(
    repo: Repo, new: ObjectID | None, olds: Sequence[ObjectID | None], folder: str
) -> Iterator[tuple[str, ObjectID | None]]:
    """Paths and their blobs (None: deleted) that are new against every old tree.

    Equal subtrees are never opened. Only regular files count.
    """
    after = _entries(repo, new)
    befores = [_entries(repo, old) for old in olds]
    for name in sorted(set(after).union(*befores)):
        entry = after.get(name)
        others = [before.get(name) for before in befores]
        if entry in others:
            continue
        shown = name.decode("utf-8", "replace")
        path = f"{folder}/{shown}" if folder else shown
        blob = _of_kind(entry, stat.S_IFREG)
        blobs = [_of_kind(other, stat.S_IFREG) for other in others]
        if blob not in blobs and (blob or all(blobs)):
            yield path, blob
        trees = [_of_kind(other, stat.S_IFDIR) for other in others]
        tree = _of_kind(entry, stat.S_IFDIR)
        if tree not in trees:
            yield from changed(repo, tree, trees, path)


def _entries(repo: Repo, tree: ObjectID | None) -> dict[bytes, Entry]:
    if tree is None:
        return {}
    return {item.path: (item.mode, item.sha) for item in load(repo, tree, Tree).iteritems()}


def _of_kind(entry: Entry | None, kind: int) -> ObjectID | None:
    return entry[1] if entry and stat.S_IFMT(entry[0]) == kind else None
