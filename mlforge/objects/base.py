"""ObjectStore: the Protocol of a place where bytes live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mlforge.ids import ObjectId


class ObjectStore(Protocol):
    """Bytes by content. `put` twice is `put` once."""

    def scratch(self, suffix: str) -> AbstractContextManager[Path]:
        """A new empty file to write an object into; gone afterwards unless it was put."""
        ...

    def put(self, path: Path) -> ObjectId:
        """Move a scratch file in, durably. Raises StorageFailed."""
        ...

    def path(self, oid: ObjectId) -> Path:
        """A local file with the object's bytes, unverified. Raises ObjectNotFound."""
        ...

    def has(self, oid: ObjectId) -> bool: ...

    def ids(self) -> Iterator[ObjectId]:
        """Every object, in no order."""
        ...
