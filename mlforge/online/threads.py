"""InThreads: an online store whose readers wait without a thread, each question in a worker's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mlforge.online.base import Ask, OnlineStore


class InThreads:
    """An AsyncOnlineReader of a store that has none of its own; it must be safe in threads.

    Who opened the store closes it.
    """

    def __init__(self, store: OnlineStore) -> None:
        self.board_ttl = store.board_ttl
        self._store = store

    async def read(self, fields: Sequence[str]) -> list[bytes | None]:
        return await asyncio.to_thread(self._store.read, fields)

    async def fetch(self, asked: Sequence[Ask]) -> list[list[bytes | None]]:
        return await asyncio.to_thread(self._store.fetch, asked)

    async def close(self) -> None:
        pass
