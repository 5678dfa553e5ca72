"""ForeignOnline: an online store of another package, whose failures are told as such."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

from mlforge.errors import MlforgeError, OnlineStoreUnavailable
from mlforge.online.base import Ask, Load, OnlineStore, Rows

# What the Protocol has.
_PARTS = ("board", "board_ttl", "close", "drop", "fetch", "load", "place", "read", "scan", "swap")


def opened(make: Callable[[], object], who: str) -> OnlineStore:
    """What another package's class makes. `who`: it, in words. Raises OnlineStoreUnavailable."""
    try:
        store = make()
    except MlforgeError:
        raise
    except Exception as error:
        raise _fails(who, f"{type(error).__name__}: {error}") from error
    lacking = [name for name in _PARTS if not hasattr(store, name)]
    if lacking:
        raise _fails(who, f"it has no {', no '.join(lacking)}")
    return ForeignOnline(cast("OnlineStore", store), who)


class ForeignOnline:
    """The same store. What it raises that is no error of ours is OnlineStoreUnavailable."""

    def __init__(self, store: OnlineStore, who: str) -> None:
        self._store, self._who = store, who
        self.board_ttl = store.board_ttl

    @property
    def place(self) -> str:
        with self._telling():
            return self._store.place

    def read(self, fields: Sequence[str]) -> list[bytes | None]:
        with self._telling():
            found = self._store.read(fields)
            self._check("read", len(found), len(fields))
        return found

    def fetch(self, asked: Sequence[Ask]) -> list[list[bytes | None]]:
        with self._telling():
            found = self._store.fetch(asked)
            self._check("fetch", len(found), len(asked))
            for rows, ask in zip(found, asked, strict=True):
                self._check("fetch", len(rows), len(ask.keys))
        return found

    def board(self) -> dict[str, bytes]:
        with self._telling():
            return self._store.board()

    def swap(self, before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> bool:
        with self._telling():
            return self._store.swap(before, after)

    def load(self, load: Load, rows: Iterable[Rows]) -> None:
        ours: list[Exception] = []

        def watched() -> Iterator[Rows]:
            try:
                yield from rows
            except Exception as error:
                ours.append(error)
                raise

        with self._telling(ours):
            self._store.load(load, watched())

    def scan(self, load: Load) -> Iterator[Rows]:
        with self._telling():
            yield from self._store.scan(load)

    def drop(self, load: Load) -> None:
        with self._telling():
            self._store.drop(load)

    def close(self) -> None:
        with self._telling():
            self._store.close()

    @contextmanager
    def _telling(self, ours: Sequence[Exception] = ()) -> Iterator[None]:
        try:
            yield
        except MlforgeError:
            raise
        except Exception as error:
            if error in ours:
                raise
            raise _fails(self._who, f"{type(error).__name__}: {error}") from error

    def _check(self, method: str, found: int, asked: int) -> None:
        if found != asked:
            cause = f"{method} answers {found} values where {asked} were asked for"
            raise _fails(self._who, cause)


def _fails(who: str, cause: str) -> OnlineStoreUnavailable:
    return OnlineStoreUnavailable(
        f"{who} fails",
        cause=cause,
        hint="if its server is up and its settings are right, tell those who made the package",
    )
