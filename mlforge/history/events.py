"""Events: which commits changed what below a folder, from an index that can be thrown away.

Of each commit the index keeps the folder's tree and the nearest commits, itself included, that
changed something below the folder (`near`). An answer walks only those. Rows say what a commit
is, so they never become wrong: rebased commits are not reached any more, and stay.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from dulwich.objects import Commit, ObjectID
from dulwich.repo import Repo, parse_graftpoints

from mlforge.history.base import CommitInfo, PathEvent, Person
from mlforge.history.changes import changed
from mlforge.history.faults import reading
from mlforge.history.layout import Layout
from mlforge.history.refs import peel, tips
from mlforge.history.tree import Trees, load
from mlforge.ids import CommitId

WAIT_SECONDS = 5.0
# A command asks about HEAD, about all refs, or about both.
_KEPT_ANSWERS = 2

_FORMAT = 1
_TABLES = {
    "origin": "(text TEXT PRIMARY KEY)",
    "commits": "(id TEXT PRIMARY KEY, folder TEXT, near TEXT NOT NULL) WITHOUT ROWID",
    "changers": "(id TEXT PRIMARY KEY, generation INTEGER, before TEXT, parents TEXT, name TEXT,"
    " email TEXT, time INTEGER, subject TEXT, is_boundary INTEGER) WITHOUT ROWID",
    "changes": "(id TEXT, path TEXT, blob TEXT, PRIMARY KEY (id, path)) WITHOUT ROWID",
}

# What rows raise that a bad disk has written: SQLite has no checksums.
_DAMAGED = (AttributeError, KeyError, OverflowError, TypeError, ValueError)


class Events:
    """The answers about one repository; the last ones are kept for who asks again."""

    def __init__(self, repo: Repo, trees: Trees, layout: Layout) -> None:
        self._repo = repo
        self._trees = trees
        self._layout = layout
        self._kept: dict[tuple[object, ...], tuple[PathEvent, ...]] = {}

    def of(self, folder: str, tip: CommitId | None) -> tuple[PathEvent, ...]:
        """Newest first. The index is built, brought up to date or, if it is broken, made anew."""
        starts = frozenset([ObjectID(tip.hex.encode())]) if tip else tips(self._repo)
        edge = _Edge.of(self._layout)
        key = (folder, starts, edge)
        if key not in self._kept:
            if len(self._kept) >= _KEPT_ANSWERS:
                self._kept.clear()
            self._kept[key] = self._found(folder, starts, edge)
        return self._kept[key]

    def _found(
        self, folder: str, starts: frozenset[ObjectID], edge: _Edge
    ) -> tuple[PathEvent, ...]:
        name = f"history-{sha256(folder.encode()).hexdigest()[:16]}.db"
        path = self._layout.cache / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return self._answer(folder, starts, edge, str(path))
        except (sqlite3.OperationalError, OSError):
            # Locked for long, read-only or full: the answer does not depend on the index.
            return self._answer(folder, starts, edge, ":memory:")
        except (sqlite3.DatabaseError, *_DAMAGED):
            path.unlink(missing_ok=True)
            return self._answer(folder, starts, edge, ":memory:")

    def _answer(
        self, folder: str, starts: frozenset[ObjectID], edge: _Edge, database: str
    ) -> tuple[PathEvent, ...]:
        with closing(
            sqlite3.connect(database, timeout=WAIT_SECONDS, isolation_level=None)
        ) as connection:
            return _Index(connection, self._repo, self._trees, edge, folder).answer(starts)


@dataclass(frozen=True, slots=True)
class _Edge:
    """What git reads parents by, apart from commits: where a shallow clone ends, and grafts."""

    shallow: tuple[bytes, ...]
    grafts: tuple[bytes, ...]

    @classmethod
    def of(cls, layout: Layout) -> _Edge:
        common = layout.common_dir
        return cls(_lines(common / "shallow"), _lines(common / "info" / "grafts"))

    @property
    def text(self) -> str:
        lines = [*sorted(frozenset(self.shallow)), b"", *self.grafts]
        return b"\n".join(lines).decode("latin-1")


@dataclass(frozen=True, slots=True)
class _Step:
    """What of a commit matters here."""

    tree: ObjectID
    parents: tuple[ObjectID, ...]


@dataclass(frozen=True, slots=True)
class _Changer:
    """A commit that changed something, and the nearest ones before it that did."""

    generation: int
    before: frozenset[str]
    info: CommitInfo


class _Index:
    """One folder's index, in one database."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        repo: Repo,
        trees: Trees,
        edge: _Edge,
        folder: str,
    ) -> None:
        self._connection = connection
        self._repo = repo
        self._trees = trees
        self._folder = folder
        self._shallow = frozenset(edge.shallow)
        with reading("info/grafts"):
            self._grafts = parse_graftpoints(edge.grafts)
        self._origin = edge.text
        self._folders: dict[ObjectID, ObjectID | None] = {}
        self._changers: dict[str, _Changer] = {}

    def answer(self, starts: frozenset[ObjectID]) -> tuple[PathEvent, ...]:
        self._prepare()
        known = {oid for oid in starts if self._known(oid)}
        peeled = {peel(self._repo, oid) for oid in starts - known}
        unknown = {oid for oid in peeled if oid and not self._known(oid)}
        # After what is known: another process may have indexed it a moment ago.
        self._load_changers()
        if unknown:
            self._connection.execute("BEGIN IMMEDIATE")
            self._load_changers()
            for oid in unknown:
                self._extend(oid)
            self._connection.execute("COMMIT")
        return tuple(self._ordered(self._reached(known | {oid for oid in peeled if oid})))

    def _prepare(self) -> None:
        """Make an empty index, unless this code made this one, before the same shallow edge."""
        if self._is_current():
            return
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        if not self._is_current():
            for table, columns in _TABLES.items():
                run(f"DROP TABLE IF EXISTS {table}")
                run(f"CREATE TABLE {table} {columns}")
            run("INSERT INTO origin VALUES (?)", (self._origin,))
            run(f"PRAGMA user_version = {_FORMAT}")
        run("COMMIT")

    def _is_current(self) -> bool:
        run = self._connection.execute
        if run("PRAGMA user_version").fetchone() != (_FORMAT,):
            return False
        return bool(run("SELECT text FROM origin").fetchone() == (self._origin,))

    def _known(self, oid: bytes) -> tuple[str | None, frozenset[str]] | None:
        """The folder's tree in a commit, and its nearest changers; None if not indexed."""
        found = self._connection.execute(
            "SELECT folder, near FROM commits WHERE id = ?", (oid.decode(),)
        ).fetchone()
        return (found[0], frozenset(found[1].split())) if found else None

    def _load_changers(self) -> None:
        for row in self._connection.execute("SELECT * FROM changers"):
            if row[0] not in self._changers:
                self._changers[row[0]] = _Changer(row[1], frozenset(row[2].split()), _info(row))

    def _extend(self, start: ObjectID) -> None:
        """Index a commit and all before it that are not, parents first."""
        steps: dict[ObjectID, _Step] = {}
        todo = [start]
        while todo:
            oid = todo[-1]
            if self._known(oid):
                todo.pop()
                continue
            step = steps.get(oid) or steps.setdefault(oid, self._step(oid))
            missing = [parent for parent in step.parents if not self._known(parent)]
            if missing:
                todo.extend(missing)
            else:
                self._add(oid, steps.pop(oid))

    def _step(self, oid: ObjectID) -> _Step:
        commit = load(self._repo, oid, Commit)
        parents = () if oid in self._shallow else tuple(commit.parents)
        return _Step(commit.tree, tuple(self._grafts.get(oid, parents)))

    def _add(self, oid: ObjectID, step: _Step) -> None:
        folder = self._folder_in(step.tree)
        before, olds = set[str](), []
        for parent in step.parents:
            old, near = self._known(parent) or (None, frozenset())
            olds.append(ObjectID(old.encode()) if old else None)
            before |= near
        near = self._nearest(before)
        # Against no parent everything is new.
        olds = olds or [None]
        if folder not in olds and self._note(oid, changed(self._trees, folder, olds, self._folder)):
            self._add_changer(oid, near)
            near = frozenset([oid.decode()])
        self._connection.execute(
            "INSERT OR REPLACE INTO commits VALUES (?, ?, ?)",
            (oid.decode(), folder.decode() if folder else None, " ".join(sorted(near))),
        )

    def _folder_in(self, tree: ObjectID) -> ObjectID | None:
        if tree not in self._folders:
            self._folders[tree] = self._trees.folder_at(tree, self._folder)
        return self._folders[tree]

    def _note(self, oid: ObjectID, found: Iterable[tuple[str, ObjectID | None]]) -> bool:
        rows = [(oid.decode(), path, blob.decode() if blob else None) for path, blob in found]
        self._connection.executemany("INSERT OR REPLACE INTO changes VALUES (?, ?, ?)", rows)
        return bool(rows)

    def _add_changer(self, oid: ObjectID, before: frozenset[str]) -> None:
        generation = 1 + max((self._changers[id].generation for id in before), default=0)
        commit = load(self._repo, oid, Commit)
        name, _, rest = commit.author.decode("utf-8", "replace").partition(" <")
        subject = commit.message.decode("utf-8", "replace").strip().partition("\n")[0]
        row = (
            oid.decode(),
            generation,
            " ".join(sorted(before)),
            b" ".join(commit.parents).decode(),
            name,
            rest.removesuffix(">"),
            commit.author_time,
            subject,
            oid in self._shallow,
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO changers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row
        )
        self._changers[row[0]] = _Changer(generation, before, _info(row))

    def _nearest(self, ids: set[str]) -> frozenset[str]:
        """Without those that another one of them comes after."""
        if len(ids) < 2:
            return frozenset(ids)
        floor = min(self._changers[id].generation for id in ids)
        covered = set[str]()
        todo = [before for id in ids for before in self._changers[id].before]
        while todo:
            id = todo.pop()
            if id not in covered and self._changers[id].generation >= floor:
                covered.add(id)
                todo.extend(self._changers[id].before)
        return frozenset(ids - covered)

    def _reached(self, starts: Iterable[ObjectID]) -> frozenset[str]:
        found = set[str]()
        todo = [id for oid in starts for id in (self._known(oid) or (None, ()))[1]]
        while todo:
            id = todo.pop()
            if id not in found:
                found.add(id)
                todo.extend(self._changers[id].before)
        return frozenset(found)

    def _ordered(self, ids: frozenset[str]) -> Iterator[PathEvent]:
        """Children before parents; of those that are free to come next, the newest."""
        changes: dict[str, list[tuple[str, str | None]]] = {id: [] for id in ids}
        for id, *change in self._connection.execute("SELECT * FROM changes ORDER BY id, path"):
            if id in changes:
                changes[id].append((change[0], change[1]))
        waiting = dict.fromkeys(ids, 0)
        for id in ids:
            for before in self._changers[id].before:
                waiting[before] += 1
        ready = [self._rank(id) for id in ids if not waiting[id]]
        heapq.heapify(ready)
        while ready:
            id = heapq.heappop(ready)[1]
            for path, blob in changes[id]:
                yield PathEvent(self._changers[id].info, path, blob)
            for before in self._changers[id].before:
                waiting[before] -= 1
                if not waiting[before]:
                    heapq.heappush(ready, self._rank(before))

    def _rank(self, id: str) -> tuple[float, str]:
        return -self._changers[id].info.time.timestamp(), id


def _info(row: tuple[str, int, str, str, str, str, int, str, int]) -> CommitInfo:
    id, _, _, parents, name, email, time, subject, is_boundary = row
    return CommitInfo(
        CommitId(id),
        tuple(CommitId(parent) for parent in parents.split()),
        Person(name, email),
        datetime.fromtimestamp(time, UTC),
        subject,
        bool(is_boundary),
    )


def _lines(path: Path) -> tuple[bytes, ...]:
    try:
        return tuple(path.read_bytes().split(b"\n"))
    except FileNotFoundError:
        return ()
