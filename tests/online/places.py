"""Places: the online stores that a shop is served from, each in a state of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shop import Shop


@pytest.fixture(params=["sqlite"])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def flush(shop: Shop, place: str) -> Callable[[], None]:
    """Lose all that is served, as a server without a disk does."""

    def lose() -> None:
        for file in shop.root.glob(".git/mlforge/online.db*"):
            file.unlink()

    return lose


@pytest.fixture
def written(shop: Shop, place: str) -> Callable[[], int]:
    """How often a row was written."""
    import sqlite3

    def tables() -> int:
        with sqlite3.connect(shop.root / ".git/mlforge/online.db") as connection:
            query = "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
            (found,) = connection.execute(query).fetchone()
        connection.close()
        return int(found)

    return tables


@pytest.fixture
def tree(shop: Shop) -> Callable[[], str]:
    """A digest of every file of the project, git's own too, but for what is served."""

    def digest() -> str:
        found = hashlib.sha256()
        for path in sorted(p for p in Path(shop.root).rglob("*") if p.is_file()):
            # A cache of git's history may be made at any time.
            if not path.name.startswith("online.db") and "cache" not in path.parts:
                found.update(f"{path}\n".encode() + path.read_bytes())
        return found.hexdigest()

    return digest
