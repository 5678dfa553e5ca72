"""SQLiteOnline: an online store in one file, for any number of processes of one machine."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import NoReturn, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from mlforge.errors import (
    FormatUnknown,
    OnlineStoreCorrupt,
    OnlineStoreUnavailable,
)
from mlforge.online.base import Ask, Load, Rows
from mlforge.online.runs import runs

FORMAT = 1
# SQLite's own field for whose file it is: "mlfo".
_APPLICATION = 0x6D6C666F
_CAPITAL = re.compile(r"[A-Z]")
# What one transaction writes: others wait for it.
_COMMIT_ROWS = 1 << 15
_COMMIT_BYTES = 16 << 20
# Rows of a statement: to begin and to end one takes as long as a row.
_INSERT_ROWS = 128
_SCAN_ROWS = 1 << 14
# SQLite before 3.32 takes no more variables in a statement.
_VARIABLES = 999
# Connections from before a fork: closed in the child, they could end those of its parent.
_INHERITED: list[list[sqlite3.Connection]] = []

_HEADER = (
    "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
    "FROM pragma_application_id, pragma_user_version"
)
_BOARD = "SELECT CAST(field AS TEXT), CAST(value AS BLOB) FROM board"

Name = TypeVar("Name", str, bytes)


class SQLiteOnline:
    """Rows and board in the SQLite file at `path`, which the first write makes.

    While there is no file, nothing is served. A load is a table of its own. Safe in threads and
    after a fork. `timeout`: seconds to wait for another process that writes.
    """

    def __init__(self, path: Path, *, board_ttl: float = 1.0, timeout: float = 10.0) -> None:
        self.board_ttl = board_ttl
        self._path = path.absolute()
        self._timeout = timeout
        self._idle: list[sqlite3.Connection] = []
        self._process = os.getpid()
        self._inode: tuple[int, int] | None = None

    @property
    def place(self) -> str:
        return f"SQLite {self._path}"

    def __repr__(self) -> str:
        return f"SQLiteOnline({str(self._path)!r})"

    def read(self, fields: Sequence[str]) -> list[bytes | None]:
        if len(fields) > _VARIABLES:
            found = self.board()
        else:
            self._leave_another_file()
            found = dict(self._found(f"{_BOARD} WHERE field IN ({_marks(len(fields))})", fields))
        return [found.get(field) for field in fields]

    def board(self) -> dict[str, bytes]:
        self._leave_another_file()
        nothing: Sequence[str] = ()
        return dict(self._found(_BOARD, nothing))

    def fetch(self, asked: Sequence[Ask]) -> list[list[bytes | None]]:
        return [self._fetched(_table(load.id), keys) for load, keys in asked]

    def swap(self, before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> bool:
        with self._writing() as connection:
            # What is served is on the disk, with the rows that were written before it.
            connection.execute("PRAGMA synchronous = FULL")
            with _transaction(connection):
                board = dict(connection.execute(_BOARD))
                if any(board.get(field) != value for field, value in before.items()):
                    return False
                connection.executemany(
                    "INSERT OR REPLACE INTO board VALUES (?, ?)",
                    [(field, value) for field, value in after.items() if value is not None],
                )
                connection.executemany(
                    "DELETE FROM board WHERE CAST(field AS BLOB) = ?",
                    [(_bytes(field),) for field, value in after.items() if value is None],
                )
        return True

    def load(self, load: Load, rows: Iterable[Rows]) -> None:
        table = _table(load.id)
        with self._writing() as connection:
            # Nothing serves it yet; the swap that does makes it durable.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table} "
                "(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
            )
            for part in chain.from_iterable(map(_commits, runs(rows))):
                with _transaction(connection):
                    _insert(connection, table, part)

    def scan(self, load: Load) -> Iterator[Rows]:
        self._leave_another_file()
        query = f"SELECT CAST(key AS BLOB), CAST(value AS BLOB) FROM {_table(load.id)}"
        with self._connected() as connection:
            if connection is None:
                return
            try:
                cursor = connection.execute(query)
            except sqlite3.OperationalError as error:
                if _is_no_table(error):
                    return
                raise
            with closing(cursor):
                while part := cursor.fetchmany(_SCAN_ROWS):
                    keys, values = zip(*part, strict=True)
                    yield Rows(pa.array(keys, pa.binary()), pa.array(values, pa.binary()))

    def drop(self, load: Load) -> None:
        self._leave_another_file()
        with self._connected() as connection:
            if connection is not None:
                connection.execute(f"DROP TABLE IF EXISTS {_table(load.id)}")

    def close(self) -> None:
        self._leave_parent()
        idle, self._idle = self._idle, []
        while idle:
            idle.pop().close()

    def _fetched(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        known: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _VARIABLES):
            part = keys[start : start + _VARIABLES]
            known.update(self._found(_query(table, len(part)), part))
        return [known.get(key) for key in keys]

    def _found(self, query: str, values: Sequence[Name]) -> list[tuple[Name, bytes]]:
        """What a query finds: nothing, where there is no file or no such table."""
        self._leave_parent()
        idle, connection = self._idle, self._taken(create=False)
        if connection is None:
            return []
        rows: list[tuple[Name, bytes]] = []
        try:
            rows = connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            if not _is_no_table(error):
                connection.close()
                self._fail(error)
        self._give_back(connection, idle)
        return rows

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._leave_another_file()
        with self._connected(create=True) as connection:
            assert connection is not None
            yield connection

    @contextmanager
    def _connected(self, *, create: bool = False) -> Iterator[sqlite3.Connection | None]:
        self._leave_parent()
        idle, connection = self._idle, self._taken(create=create)
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            self._fail(error)
        finally:
            if connection is not None:
                self._give_back(connection, idle)

    def _give_back(self, connection: sqlite3.Connection, idle: list[sqlite3.Connection]) -> None:
        """To where it was taken from; of a file that is at the path no more, it is closed."""
        if idle is self._idle or any(idle is kept for kept in _INHERITED):
            idle.append(connection)
        else:
            connection.close()

    def _taken(self, *, create: bool) -> sqlite3.Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return self._opened(create=create)

    def _leave_parent(self) -> None:
        if self._process != os.getpid():
            _INHERITED.append(self._idle)
            self._idle, self._process = [], os.getpid()

    def _leave_another_file(self) -> None:
        """Close connections to a file that is at the path no more."""
        try:
            stat = self._path.stat()
            inode = (stat.st_dev, stat.st_ino)
        except OSError:
            inode = None
        if inode != self._inode:
            self.close()
            self._inode = inode

    def _opened(self, *, create: bool) -> sqlite3.Connection | None:
        try:
            if create:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            elif not self._path.exists():
                return None
            connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode={'rwc' if create else 'rw'}",
                uri=True,
                timeout=self._timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.DatabaseError) as error:
            self._fail(error)
        try:
            if self._is_ready(connection, create=create):
                return connection
        except sqlite3.DatabaseError as error:
            connection.close()
            self._fail(error)
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _is_ready(self, connection: sqlite3.Connection, *, create: bool) -> bool:
        """Whether the file has a board; one that is still empty gets it if `create`."""
        connection.execute("PRAGMA wal_autocheckpoint = 4096")
        connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        # Who edits a board may write bytes that are no text.
        connection.text_factory = lambda data: data.decode(errors="surrogateescape")
        application, number, tables = connection.execute(_HEADER).fetchone()
        if (application, number) == (_APPLICATION, FORMAT):
            return True
        if application == _APPLICATION:
            raise FormatUnknown(
                f"{self.place} has the format {number}; this mlforge reads format {FORMAT}",
                hint="pip install --upgrade mlforge",
            )
        if (application, number, tables) != (0, 0, 0):
            raise OnlineStoreCorrupt(
                f"{self.place} is no online store",
                cause="it is the database of another program",
                hint="give the store a path of its own",
            )
        if create:
            self._make(connection)
        return create

    def _make(self, connection: sqlite3.Connection) -> None:
        end = time.monotonic() + self._timeout
        while True:
            try:
                # SQLite does not wait here for others that do the same.
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.01)
        with _transaction(connection):
            connection.execute(
                "CREATE TABLE IF NOT EXISTS board "
                "(field TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
            )
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")

    def _fail(self, error: OSError | sqlite3.DatabaseError) -> NoReturn:
        cause = str(error)
        if _code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise OnlineStoreCorrupt(
                f"{self.place} cannot be read",
                cause=cause,
                hint=f"rm '{self._path}'* && mlforge online push",
            ) from error
        hint = _HINTS.get(_code(error), f"ls -ld '{self._path.parent}' '{self._path}'")
        raise OnlineStoreUnavailable(
            f"{self.place} cannot be used", cause=cause, hint=hint
        ) from error


# By SQLite's code, what to do where the permissions are not the reason.
_HINTS = {
    sqlite3.SQLITE_BUSY: "another process writes to it: type the command again when it is done",
    sqlite3.SQLITE_FULL: "free space on the disk: df -h",
}


def _code(error: Exception) -> int:
    """SQLite's primary result code."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _is_no_table(error: sqlite3.DatabaseError) -> bool:
    # A statement that was ready when the table went is told as a schema that has changed.
    codes = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA)
    return _code(error) in codes and str(error).startswith("no such table")


@lru_cache(maxsize=1024)
def _table(load: str) -> str:
    """A load's table, quoted: ids have no quotes, and SQLite's names no case."""
    return '"' + _CAPITAL.sub(lambda letter: "^" + letter[0].lower(), load) + '"'


@lru_cache(maxsize=1024)
def _query(table: str, count: int) -> str:
    return f"SELECT key, CAST(value AS BLOB) FROM {table} WHERE key IN ({_marks(count)})"


def _bytes(field: str) -> bytes:
    return field.encode(errors="surrogateescape")


def _marks(count: int) -> str:
    return ",".join("?" * count)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Where the disk is full, SQLite has rolled back itself.
        with suppress(sqlite3.OperationalError):
            connection.execute("ROLLBACK")
        raise


def _insert(connection: sqlite3.Connection, table: str, part: Rows) -> None:
    cells: list[bytes] = [b""] * (2 * len(part.keys))
    cells[::2], cells[1::2] = part.keys.to_pylist(), part.values.to_pylist()
    done = 0
    for rows in (_INSERT_ROWS, 1):
        marks, step = ",".join(["(?,?)"] * rows), 2 * rows
        end = done + (len(cells) - done) // step * step
        connection.executemany(
            f"INSERT OR REPLACE INTO {table} VALUES {marks}",
            (cells[start : start + step] for start in range(done, end, step)),
        )
        done = end


def _commits(run: Rows) -> Iterator[Rows]:
    """The rows by key, as many at a time as one transaction writes.

    A tree that grows at its end is written once, one that grows everywhere again and again.
    """
    order = pc.sort_indices(run.keys)
    size = run.keys.nbytes + run.values.nbytes
    step = max(1, min(_COMMIT_ROWS, len(order) * _COMMIT_BYTES // size))
    for start in range(0, len(order), step):
        part = order.slice(start, step)
        yield Rows(run.keys.take(part), run.values.take(part))
