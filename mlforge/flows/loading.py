"""Loading: the rows of one version, written to an online store under an id of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from mlforge.canonical import Plain, encode
from mlforge.errors import MlforgeError, OnlineStoreUnavailable
from mlforge.flows.packed import PACKING, layout_of, packed_rows
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Digest
from mlforge.manifest import Manifest
from mlforge.online.base import Load, OnlineStore, Rows, bucket_count
from mlforge.online.board import LoadRecord, Served, load_field
from mlforge.times import SECOND

# A writer that has said nothing for so long is dead, and its rows are nobody's.
ABANDONED = 600 * SECOND
# How often a writer says that it is alive.
_PULSE = 20 * SECOND
# Clocks of servers differ: a load also answers those that are behind by less than this.
CLOCK_SKEW = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Written:
    """A load that is ready, and the bytes of its keys and values."""

    record: LoadRecord
    bytes: int


class LoadLost(Exception):
    """The record of a load was changed by somebody else, or the server forgot it."""


class Loader:
    """Writes loads. `now`: microseconds. `new_digits`: hex digits that were never given before."""

    def __init__(
        self,
        workspace: Workspace,
        store: OnlineStore,
        now: Callable[[], int],
        new_digits: Callable[[], str],
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._now = now
        self._new_digits = new_digits

    def load(self, manifest: Manifest, on_rows: Callable[[int, int], None]) -> Written:
        """Write what counts of a version from now on; `on_rows`: entities written, and of how many.

        What is half written when this fails is removed.
        Raises LoadLost, OnlineStoreUnavailable, ObjectNotFound, ObjectCorrupt.
        """
        since = self._now() - CLOCK_SKEW
        rows = packed_rows(self._workspace, manifest, since)
        load = Load(f"{manifest.name}:v:{self._new_digits()}", bucket_count(rows.entities))
        writer = _Writer(self._store, self._now, load, content_of(manifest), since)
        writer.begin()
        try:
            self._store.load(load, writer.watched(rows.parts, rows.entities, on_rows))
            return writer.end()
        except BaseException:
            writer.abandon()
            raise


class _Writer:
    """One load on its way: its record is what others see of it."""

    def __init__(
        self, store: OnlineStore, now: Callable[[], int], load: Load, content: str, since: int
    ) -> None:
        self._store = store
        self._now = now
        self._field = load_field(load.id)
        self._record = LoadRecord(load, content, "loading", since, now())
        self._told: bytes | None = None
        self._states = 0
        self._bytes = 0

    def begin(self) -> None:
        self._tell(self._record)

    def watched(
        self,
        parts: Iterator[tuple[Rows, int]],
        entities: int,
        on_rows: Callable[[int, int], None],
    ) -> Iterator[Rows]:
        done = 0
        for rows, states in parts:
            if self._now() - self._record.touched > _PULSE:
                self._tell(replace(self._record, touched=self._now()))
            yield rows
            done += len(rows.keys)
            self._states += states
            self._bytes += sum(_size(array) for array in (rows.keys, rows.values))
            self._record = replace(self._record, entities=done)
            on_rows(done, entities)

    def end(self) -> Written:
        record = self._record
        self._tell(replace(record, state="ready", touched=self._now(), rows=self._states))
        return Written(self._record, self._bytes)

    def abandon(self) -> None:
        """Best effort: what ended it is told, and what is left the next push collects."""
        with suppress(MlforgeError):
            if self._is_marked() or self._is_mine():
                self._store.drop(self._record.load)
                # A load's id is given once: nobody tells anything else of it any more.
                self._store.swap({}, {self._field: None})

    def _is_marked(self) -> bool:
        """False, too, where memory is full: then a record can be removed, and none be changed."""
        dropping = replace(self._record, state="dropping").encode()
        with suppress(OnlineStoreUnavailable):
            return self._store.swap({self._field: self._told}, {self._field: dropping})
        return False

    def _is_mine(self) -> bool:
        """A record that somebody changed is theirs; one that is gone leaves rows behind."""
        return self._store.read([self._field])[0] in (self._told, None)

    def _tell(self, record: LoadRecord) -> None:
        text = record.encode()
        if not self._store.swap({self._field: self._told}, {self._field: text}):
            raise LoadLost(record.load.id)
        self._record, self._told = record, text


def _size(array: pa.BinaryArray) -> int:
    """The bytes of its values."""
    return pc.sum(pc.binary_length(array)).as_py() or 0


def content_of(manifest: Manifest) -> str:
    """A digest of all that packed rows are made from, but for when: equal ones are equal rows."""
    layout = layout_of(manifest)
    told: dict[str, Plain] = {
        "packing": PACKING,
        "content_hash": str(manifest.content_hash),
        "keys": list(layout.keys),
        "timestamp": layout.timestamp,
        "created": layout.created,
        "columns": [{"name": c.name, "type": str(c.type)} for c in layout.columns],
    }
    return str(Digest.of(encode(told)))


def served_entry(manifest: Manifest, commit: CommitId, record: LoadRecord) -> Served:
    """What is said of a version whose rows a load has."""
    return Served(
        feature=manifest.name,
        version=manifest.version,
        commit=commit,
        content_hash=manifest.content_hash,
        load=record.load,
        layout=layout_of(manifest),
        since=record.since,
        entities=record.entities,
        rows=record.rows,
        interval=None if manifest.interval is None else str(manifest.interval),
        timezone=manifest.timezone,
        max_age=None if manifest.max_age is None else str(manifest.max_age),
        horizon=manifest.horizon,
        surrogates=manifest.surrogates,
    )
