"""SQLiteOnline: the suite, and what is particular to a file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from mlforge.errors import FormatUnknown, OnlineStoreCorrupt, OnlineStoreUnavailable
from mlforge.online.base import Ask, AsyncOnlineReader, Load, OnlineStore
from mlforge.online.sqlite import SQLiteOnline
from mlforge.online.threads import InThreads
from mlforge.testing.online import OnlineStoreSuite, Opened, rows_of, scanned

LOAD = Load("spend:v:ab", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "git" / "mlforge" / "online é?#%.db"


@pytest.fixture
def opened(path: Path) -> Opened:
    return partial(SQLiteOnline, path)


@pytest.fixture
def store(opened: Opened) -> Iterator[OnlineStore]:
    store = opened()
    yield store
    store.close()


class TestSQLiteOnline(OnlineStoreSuite):
    @pytest.fixture
    def reader(self, store: OnlineStore) -> Callable[[], AsyncOnlineReader]:
        return lambda: InThreads(store)


def test_looking_makes_no_file(store: OnlineStore, path: Path) -> None:
    assert store.board() == {}
    store.drop(LOAD)
    assert not path.parent.exists()


def test_a_file_that_is_still_empty_serves_nothing(store: OnlineStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    assert store.read(["a"]) == [None]
    assert path.read_bytes() == b""
    assert store.swap({"a": None}, {"a": b"1"})
    assert store.read(["a"]) == [b"1"]


def test_a_store_that_was_removed_serves_nothing(store: OnlineStore, path: Path) -> None:
    store.swap({}, {"a": b"1"})
    store.load(LOAD, [rows_of({b"k": b"v"})])
    for file in path.parent.iterdir():
        file.unlink()
    assert store.read(["a"]) == [None]
    assert store.fetch([Ask(LOAD, [b"k"])]) == [[None]]
    assert store.swap({"a": None}, {"a": b"2"})
    assert store.board() == {"a": b"2"}


def test_a_row_that_was_edited_is_still_bytes(store: OnlineStore, path: Path) -> None:
    store.swap({}, {"a": b"1", "b": b"2"})
    store.load(LOAD, [rows_of({b"k": b"v", b"l": b"w"})])
    with closing(sqlite3.connect(path)) as editor, editor:
        editor.execute('UPDATE "spend:v:ab" SET value = 5 WHERE key = ?', (b"k",))
        editor.execute("UPDATE board SET value = 'text' WHERE field = 'a'")
    assert scanned(store, LOAD) == {b"k": b"5", b"l": b"w"}
    assert store.board() == {"a": b"text", "b": b"2"}


def test_a_locked_file_is_told(path: Path) -> None:
    store = SQLiteOnline(path, timeout=0.05)
    store.swap({}, {"a": b"1"})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OnlineStoreUnavailable, match="database is locked") as told:
            store.swap({}, {"a": b"2"})
        assert store.read(["a"]) == [b"1"]
    assert "another process" in (told.value.hint or "")
    assert store.swap({}, {"a": b"3"})
    store.close()


@pytest.mark.parametrize("damage", [b"no database" * 1_000, b"SQLite format 3\0" + b"\xff" * 9_000])
def test_what_is_no_database_is_told(store: OnlineStore, path: Path, damage: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    for act in (store.board, lambda: store.swap({}, {}), lambda: store.drop(LOAD)):
        with pytest.raises(OnlineStoreCorrupt) as told:
            act()
        assert "mlforge online push" in (told.value.hint or "")
    assert path.read_bytes() == damage


def test_rows_that_were_overwritten_are_told(store: OnlineStore, path: Path) -> None:
    store.load(LOAD, [rows_of({b"%d" % number: b"v" * 50 for number in range(5_000)})])
    store.close()
    data = bytearray(path.read_bytes())
    data[8_192:] = b"\xff" * (len(data) - 8_192)
    path.write_bytes(data)
    with pytest.raises(OnlineStoreCorrupt):
        list(store.scan(LOAD))


def test_the_database_of_another_program_is_left_alone(store: OnlineStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE board (field, value)")
    data = path.read_bytes()
    for act in (store.board, lambda: store.swap({}, {"a": b"1"})):
        with pytest.raises(OnlineStoreCorrupt, match="another program"):
            act()
    assert path.read_bytes() == data


def test_a_file_of_a_newer_format_is_left_alone(store: OnlineStore, path: Path) -> None:
    store.swap({}, {"a": b"1"})
    store.close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 2")
    with pytest.raises(FormatUnknown, match="format 2"):
        store.board()


def test_a_folder_in_its_place_is_told(store: OnlineStore, path: Path) -> None:
    path.mkdir(parents=True)
    for act in (store.board, lambda: store.swap({}, {"a": b"1"})):
        with pytest.raises(OnlineStoreUnavailable, match="cannot be used"):
            act()


def test_a_file_in_place_of_its_folder_is_told(store: OnlineStore, path: Path) -> None:
    path.parent.parent.mkdir()
    path.parent.write_bytes(b"")
    with pytest.raises(OnlineStoreUnavailable, match="cannot be used"):
        store.swap({}, {"a": b"1"})


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_file_is_told(store: OnlineStore, path: Path) -> None:
    store.swap({}, {"a": b"1"})
    store.close()
    path.chmod(0o444)
    with pytest.raises(OnlineStoreUnavailable, match="readonly"):
        store.swap({}, {"a": b"2"})


_FULL = """
import resource, signal, sys
from pathlib import Path
from mlforge.errors import OnlineStoreUnavailable
from mlforge.online.base import Load
from mlforge.online.sqlite import SQLiteOnline
from mlforge.testing.online import rows_of, scanned
store = SQLiteOnline(Path(sys.argv[1]))
store.swap({}, {"a": b"1"})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, -1))
try:
    store.load(Load("spend:v:ab", 1), [rows_of({b"%d" % i: b"v" * 50 for i in range(50_000)})])
except OnlineStoreUnavailable as error:
    print(error.cause)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
store.drop(Load("spend:v:ab", 1))
assert store.swap({"a": b"1"}, {"a": b"2"})
store.close()
"""


def test_a_disk_that_takes_no_more_is_told(store: OnlineStore, path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, check=True
    )
    assert child.stdout.strip() in ("disk I/O error", "database or disk is full")
    assert store.board() == {"a": b"2"}


def test_a_query_that_outlives_its_file_does_not_keep_it(path: Path) -> None:
    store, other = SQLiteOnline(path), SQLiteOnline(path)
    load = Load("spend:v:ab", 1)
    store.swap({}, {"a": b"old"})
    store.load(load, [rows_of({b"k": b"v"})])
    rows = store.scan(load)
    next(rows)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    other.swap({}, {"a": b"new"})
    assert store.board() == {"a": b"new"}
    list(rows)
    assert store.swap({"a": b"new"}, {"a": b"newer"})
    assert other.board() == store.board() == {"a": b"newer"}
    store.close()
    other.close()
