"""RedisOnline: an online store in a Redis, a Valkey, or a cluster of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import cast

import pyarrow as pa

from mlforge.online.address import Address
from mlforge.online.base import Ask, Load, Rows
from mlforge.online.buckets import Found, Keys
from mlforge.online.matrix import hsets
from mlforge.online.resp import command
from mlforge.online.runs import RUN_BYTES, runs
from mlforge.online.wire import Answer, Wire

# Pieces of a load that wait to be written: for so long the next run may take to be put together.
_AHEAD = 8
# While one waits for answers, what the other has sent is written.
_WRITERS = 2
# Of a run that is put in order before anything is written; those after it are meanwhile.
_FIRST_BYTES = 8 << 20
# A server pays for each time that it meets a bucket: a load of several of the longest runs begins
# with a longer one. So much is in a bucket, or less.
_BUCKET_BYTES = 4 << 10
_LONG_FIRST_BYTES = RUN_BYTES // 4
_DROP_KEYS = 1_000
# What a scan reads at once.
_SCAN_BYTES = 8 << 20
_SCAN_KEYS = 1_024


class RedisOnline:
    """Rows and board in keys that begin with `prefix`; no other key is touched.

    The board is the one hash `PREFIX:head`; rows are the hashes `PREFIX:FEATURE:v:HEX:BUCKET`.
    Safe in threads and after a fork. `board_ttl` in seconds.
    """

    def __init__(self, address: Address, prefix: str, *, board_ttl: float = 1.0) -> None:
        self.board_ttl = board_ttl
        self._address = address
        self._keys = Keys(prefix)
        self._wire = Wire(address)

    @property
    def place(self) -> str:
        return f"{self._address.place} ({self._keys.prefix})"

    def __repr__(self) -> str:
        return f"RedisOnline({self.place!r})"

    def read(self, fields: Sequence[str]) -> list[bytes | None]:
        if not fields:
            return []
        return cast("list[bytes | None]", self._ask_head(self._read(fields)))

    def board(self) -> dict[str, bytes]:
        answer = cast("list[bytes]", self._ask_head(command(b"HGETALL", self._keys.head)))
        return {_text(field): value for field, value in _pairs(answer)}

    def fetch(self, asked: Sequence[Ask]) -> list[list[bytes | None]]:
        plan = self._keys.plan(asked)
        return plan.rows(asked, cast("list[Found]", self._wire.ask(plan.names, plan.packed)))

    def swap(self, before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> bool:
        is_so = True
        changes = self._changes(after)
        if not before and len(changes) == 1:
            # A transaction is refused where memory is full, even of what frees some.
            self._ask_head(changes[0])
            return True

        def act(answer: Answer) -> list[bytes]:
            nonlocal is_so
            is_so = not before or answer == [*before.values()]
            return changes if is_so else []

        look = self._read([*before] or [""])
        while not self._wire.exchange(self._keys.head, look, act):
            # Another field may have changed: somebody else has got on.
            pass
        return is_so

    def load(self, load: Load, rows: Iterable[Rows]) -> None:
        base = self._keys.base(load)
        is_long = load.buckets * _BUCKET_BYTES > RUN_BYTES
        first = _LONG_FIRST_BYTES if is_long else _FIRST_BYTES
        with ThreadPoolExecutor(_WRITERS) as writer:
            ahead: deque[Future[list[Answer]]] = deque()
            try:
                # Nothing here holds a run while the next one is put together.
                encoded = map(partial(hsets, base, load), runs(rows, first))
                for names, packed in chain.from_iterable(encoded):
                    if len(ahead) == _AHEAD:
                        ahead.popleft().result()
                    ahead.append(writer.submit(self._wire.ask, names, packed))
                for written in ahead:
                    written.result()
            finally:
                for written in ahead:
                    written.cancel()

    def scan(self, load: Load) -> Iterator[Rows]:
        base, start, step = self._keys.base(load), 0, 16
        while start < load.buckets:
            names = [base + b"%d" % n for n in range(start, min(start + step, load.buckets))]
            packed = [command(b"HGETALL", name) for name in names]
            found = cast("list[list[bytes]]", self._wire.ask(names, packed))
            keys = pa.array([key for bucket in found for key in bucket[::2]], pa.binary())
            values = pa.array([value for bucket in found for value in bucket[1::2]], pa.binary())
            if len(keys):
                yield Rows(keys, values)
            start += step
            size = keys.nbytes + values.nbytes
            step = max(1, min(_SCAN_KEYS, 2 * step, step * _SCAN_BYTES // max(size, 1)))

    def drop(self, load: Load) -> None:
        base, start, end = self._keys.base(load), 0, min(load.buckets, _DROP_KEYS)
        removed: list[Answer] = []
        # Who has lost the load's record does not know how many buckets it has.
        while start < load.buckets or any(removed):
            names = [base + b"%d" % number for number in range(start, end)]
            removed = self._wire.ask(names, [command(b"UNLINK", name) for name in names])
            start, end = end, end + _DROP_KEYS

    def close(self) -> None:
        self._wire.close()

    def _ask_head(self, packed: bytes) -> Answer:
        return self._wire.ask([self._keys.head], [packed])[0]

    def _read(self, fields: Sequence[str]) -> bytes:
        return command(b"HMGET", self._keys.head, *map(_bytes, fields))

    def _changes(self, after: Mapping[str, bytes | None]) -> list[bytes]:
        told = [
            part
            for field, value in after.items()
            if value is not None
            for part in (_bytes(field), value)
        ]
        gone = [_bytes(field) for field, value in after.items() if value is None]
        head = self._keys.head
        changes = [command(b"HSET", head, *told)] if told else []
        return [*changes, command(b"HDEL", head, *gone)] if gone else changes


def _text(field: bytes) -> str:
    """Bytes that are no text come back from it as they were."""
    return field.decode(errors="surrogateescape")


def _bytes(field: str) -> bytes:
    return field.encode(errors="surrogateescape")


def _pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)
