"""Mirrored: a shop whose heads are served, as its user and as somebody beside it see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mlforge.api.mirror import Mirror
from mlforge.api.project import find_project
from mlforge.flows.board import Board
from mlforge.online.base import OnlineStore
from tests.shop import Shop


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The shop, and what the store that is configured holds."""

    shop: Shop

    @property
    def mirror(self) -> Mirror:
        return find_project(self.shop.root).mirror()

    def push(self, **options: object) -> dict[str, str]:
        """What was done to each feature."""
        report = self.mirror.push(**options)  # type: ignore[arg-type]
        return {name: feature.action.value for name, feature in report.items()}

    @contextmanager
    def store(self) -> Iterator[OnlineStore]:
        store = self.mirror.place.open(self.mirror)
        try:
            yield store
        finally:
            store.close()

    def board(self) -> Board:
        with self.store() as store:
            return Board.of(store)

    def board_raw(self) -> dict[str, bytes]:
        with self.store() as store:
            return store.board()

    def versions(self) -> dict[str, str]:
        return {name: str(served.version) for name, served in self.board().served.items()}

    def served(self) -> dict[str, tuple[str, dict[bytes, bytes]]]:
        """Of each feature the version that is served, and every row."""
        return {name: (version, self.rows(name)) for name, version in self.versions().items()}

    def commits(self) -> set[str]:
        return {commit.hex for commit in self.board().commits()}

    def rows(self, feature: str) -> dict[bytes, bytes]:
        """What is served of a feature, by packed key."""
        with self.store() as store:
            served = Board.of(store).served[feature]
            parts = [*store.scan(served.load)]
        pairs = [zip(p.keys.to_pylist(), p.values.to_pylist(), strict=True) for p in parts]
        return dict(sorted((key, value) for part in pairs for key, value in part))

    def swap(self, field: str, value: bytes | None) -> None:
        """Edit the board by hand."""
        with self.store() as store:
            assert store.swap({}, {field: value})
