"""Ancestry: whether one commit follows another."""

from __future__ import annotations

import heapq

from dulwich.objects import Commit, ObjectID
from dulwich.repo import Repo

from mlforge.history.faults import reading
from mlforge.history.tree import load


def is_here(repo: Repo, oid: ObjectID) -> bool:
    """Whether git has this commit: a clone need not have all of them."""
    with reading(oid.decode()):
        return oid in repo.object_store and isinstance(repo.object_store[oid], Commit)


def reaches(repo: Repo, start: ObjectID, wanted: ObjectID) -> bool:
    """Whether a commit is another one, or follows it.

    Newest first: what is near is found soon. No date ends the search, as clocks may be wrong.
    """
    parents = repo.parents_provider()
    seen = {start}
    waiting = [(0, start)]
    while waiting:
        _, oid = heapq.heappop(waiting)
        if oid == wanted:
            return True
        commit = load(repo, oid, Commit)
        for parent in parents.get_parents(oid, commit=commit):
            if parent not in seen:
                seen.add(parent)
                heapq.heappush(waiting, (-load(repo, parent, Commit).commit_time, parent))
    return False
