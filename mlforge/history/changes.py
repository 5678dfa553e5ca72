"""Changes: which files of a folder differ between a commit's tree and all its parents' trees."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence

from dulwich.objects import ObjectID

from mlforge.history.kept import Entry
from mlforge.history.tree import Trees


def changed(
    trees: Trees, new: ObjectID | None, olds: Sequence[ObjectID | None], folder: str
) -> Iterator[tuple[str, ObjectID | None]]:
    """Paths and their blobs (None: deleted) that are new against every old tree.

    Equal subtrees are never opened. Only regular files count.
    """
    after = trees.entries(new)
    befores = [trees.entries(old) for old in olds]
    for name in sorted(_differing(after, befores)):
        entry = after.get(name)
        others = [before.get(name) for before in befores]
        shown = name.decode("utf-8", "replace")
        path = f"{folder}/{shown}" if folder else shown
        blob = _of_kind(entry, stat.S_IFREG)
        blobs = [_of_kind(other, stat.S_IFREG) for other in others]
        if blob not in blobs and (blob or all(blobs)):
            yield path, blob
        below = [_of_kind(other, stat.S_IFDIR) for other in others]
        tree = _of_kind(entry, stat.S_IFDIR)
        if tree not in below:
            yield from changed(trees, tree, below, path)


def _differing(
    after: Mapping[bytes, Entry], befores: Sequence[Mapping[bytes, Entry]]
) -> frozenset[bytes]:
    """The names that are not what they are in any of the others."""
    found = [{name for name, _ in after.items() ^ before.items()} for before in befores]
    return frozenset(found[0].intersection(*found[1:])) if found else frozenset()


def _of_kind(entry: Entry | None, kind: int) -> ObjectID | None:
    return entry[1] if entry and stat.S_IFMT(entry[0]) == kind else None
