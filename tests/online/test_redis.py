"""RedisOnline: the suite, and what is particular to a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from uuid import uuid4

import pytest

from mlforge.online.address import Address
from mlforge.online.base import AsyncOnlineReader, OnlineStore
from mlforge.online.redis import RedisOnline
from mlforge.online.redis_async import AsyncRedisOnline
from mlforge.testing.online import OnlineStoreSuite, Opened


@pytest.fixture
def prefix() -> str:
    return f"mlforge:test-{uuid4().hex}"


@pytest.fixture
def opened(server_url: str, prefix: str) -> Opened:
    return partial(RedisOnline, Address.parse(server_url), prefix)


@pytest.fixture
def store(opened: Opened) -> Iterator[OnlineStore]:
    store = opened()
    yield store
    store.close()


class TestRedisOnline(OnlineStoreSuite):
    @pytest.fixture
    def reader(self, server_url: str, prefix: str) -> Callable[[], AsyncOnlineReader]:
        return lambda: AsyncRedisOnline(Address.parse(server_url), prefix)
