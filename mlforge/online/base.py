"""OnlineStore: the Protocol of a place that serves rows.

A store holds *loads* and one *board*. A load is the packed rows of one version, written once, under
an id that is never used again. The board is a small table of bytes by field; all that changes
changes there, by compare-and-swap of any number of fields at once: which load of each feature is
served, and which loads there are. So all features of a commit begin to be served at one moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import pyarrow as pa

# Entities of a load that share a bucket, on the average. Redis keeps a hash of at most 128 short
# fields in one block of memory; of buckets filled by chance, none has as many.
BUCKET_ENTITIES = 64

_LOAD_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}:v:[0-9a-f]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Load:
    """The rows of one version: `id` is `FEATURE:v:HEX`; entities lie in numbered buckets.

    Raises ValueError if it is not so: ids become parts of keys and statements.
    """

    id: str
    buckets: int

    def __post_init__(self) -> None:
        if not _LOAD_ID.match(self.id) or not 0 < self.buckets < 1 << 32:
            raise ValueError(f"no load: {self.id!r} of {self.buckets} buckets")


@dataclass(frozen=True, slots=True)
class Rows:
    """Packed rows: of each entity its key, and all that may be served of it (`pa.binary()`)."""

    keys: pa.BinaryArray
    values: pa.BinaryArray


class Ask(NamedTuple):
    """Entities whose rows are wanted of a load, by packed key."""

    load: Load
    keys: Sequence[bytes]


class OnlineReader(Protocol):
    """What answers are read from."""

    # Seconds for which what was read from the board may be used again.
    board_ttl: float

    def read(self, fields: Sequence[str]) -> list[bytes | None]:
        """Fields of the board as of one moment, in this order; None for what is not there.

        Raises OnlineStoreUnavailable.
        """
        ...

    def fetch(self, asked: Sequence[Ask]) -> list[list[bytes | None]]:
        """The values of each ask's keys, in their order; None for what is not there.

        Raises OnlineStoreUnavailable.
        """
        ...


class AsyncOnlineReader(Protocol):
    """An OnlineReader that waits without a thread."""

    board_ttl: float

    async def read(self, fields: Sequence[str]) -> list[bytes | None]: ...

    async def fetch(self, asked: Sequence[Ask]) -> list[list[bytes | None]]: ...

    async def close(self) -> None: ...


class OnlineStore(OnlineReader, Protocol):
    """A reader that rows can be loaded into. Any number of processes may use one at once."""

    @property
    def place(self) -> str:
        """Where it is, in words for people: never with a password."""
        ...

    def board(self) -> dict[str, bytes]:
        """All fields, as of one moment."""
        ...

    def swap(self, before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> bool:
        """If all fields of `before` are so (None: not there), set those of `after`; else nothing.

        One moment for all of them. Answers whether it was done. Raises OnlineStoreUnavailable.
        """
        ...

    def load(self, load: Load, rows: Iterable[Rows]) -> None:
        """Write rows of a load; each entity comes once. Raises OnlineStoreUnavailable."""
        ...

    def scan(self, load: Load) -> Iterator[Rows]:
        """All rows of a load, in parts, in no order."""
        ...

    def drop(self, load: Load) -> None:
        """Remove a load's rows; of a load that is not there, nothing.

        Where the record of a load was lost, `buckets` is less than it has: all go.
        """
        ...

    def close(self) -> None: ...


def bucket_count(entities: int) -> int:
    return max(1, -(-entities // BUCKET_ENTITIES))
