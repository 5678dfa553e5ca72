"""RedisOnline on a cluster of three: the suite, and what happens when slots move."""

from __future__ import annotations

import asyncio
import time
from binascii import crc_hqx
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from uuid import uuid4

import pytest
import redis

from mlforge.errors import OnlineStoreUnavailable
from mlforge.online.address import Address
from mlforge.online.base import Ask, AsyncOnlineReader, Load, OnlineStore
from mlforge.online.redis import RedisOnline
from mlforge.online.redis_async import AsyncRedisOnline
from mlforge.testing.online import OnlineStoreSuite, Opened, rows_of, scanned
from tests.online.servers import Server, free_port, running

ROWS = {b"%d" % number: b"v%d" % number for number in range(200)}
LOAD = Load("spend:v:ab", 20)
_SLOTS = 1 << 14


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Three nodes that know each other; each has a third of the slots."""
    with ExitStack() as stack:
        nodes = []
        for _ in range(3):
            options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
            folder = tmp_path_factory.mktemp("node")
            nodes.append((stack.enter_context(running(folder, *options)), options[-1]))
        for number, (node, _) in enumerate(nodes):
            first, end = number * _SLOTS // 3, (number + 1) * _SLOTS // 3
            node.run("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            node.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, bus in nodes[1:]:
            nodes[0][0].run("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        yield _agreed([node for node, _ in nodes])


def _agreed(nodes: list[Server]) -> list[Server]:
    end = time.monotonic() + 60
    while any(b"cluster_state:ok" not in _bytes(node.run("CLUSTER", "INFO")) for node in nodes):
        assert time.monotonic() < end
        time.sleep(0.05)
    return nodes


def _bytes(answer: object) -> bytes:
    return answer if isinstance(answer, bytes) else repr(answer).encode()


@pytest.fixture
def prefix() -> str:
    return f"mlforge:test-{uuid4().hex}"


@pytest.fixture(params=["redis+cluster", "redis"])
def url(request: pytest.FixtureRequest, nodes: list[Server]) -> str:
    """Also an address of a node that does not say that it is one of a cluster."""
    return nodes[0].url.replace("redis", request.param)


@pytest.fixture
def opened(url: str, prefix: str) -> Opened:
    return partial(RedisOnline, Address.parse(url), prefix)


@pytest.fixture
def store(opened: Opened) -> Iterator[OnlineStore]:
    store = opened()
    yield store
    store.close()


class TestRedisCluster(OnlineStoreSuite):
    @pytest.fixture
    def reader(self, url: str, prefix: str) -> Callable[[], AsyncOnlineReader]:
        return lambda: AsyncRedisOnline(Address.parse(url), prefix)


def test_rows_lie_on_all_nodes(store: OnlineStore, nodes: list[Server], prefix: str) -> None:
    store.load(LOAD, [rows_of(ROWS)])
    names = [f"{prefix}:{LOAD.id}:{bucket}" for bucket in range(LOAD.buckets)]
    held = [{_slot(name) * 3 // _SLOTS for name in names}]
    assert held == [{0, 1, 2}]
    assert sum(int(str(node.run("DBSIZE"))) > 0 for node in nodes) == 3


def test_a_slot_that_moves_is_followed(
    store: OnlineStore, url: str, nodes: list[Server], prefix: str
) -> None:
    store.load(LOAD, [rows_of(ROWS)])
    store.swap({}, {"a": b"1"})
    bucket = f"{prefix}:{LOAD.id}:7"
    for name in (f"{prefix}:head", bucket):
        source, target, slot = _move(nodes, name)
        _check(store, url, prefix)
        assert source.run("MIGRATE", "127.0.0.1", target.port, name, 0, 5_000) == b"OK"
        # The node says ASK of what has gone, and of what was never there.
        _check(store, url, prefix)
        owner = _bytes(target.run("CLUSTER", "MYID")).decode()
        for node in (target, source, *nodes):
            node.run("CLUSTER", "SETSLOT", slot, "NODE", owner)
        _check(store, url, prefix)
        assert store.swap({"a": b"1"}, {"a": b"2"})
        assert store.swap({"a": b"2"}, {"a": b"1"})
        store.load(LOAD, [rows_of(ROWS)])
        _check(store, url, prefix)


def _move(nodes: list[Server], name: str) -> tuple[Server, Server, int]:
    """Begin to move a key's slot to another node."""
    slot = _slot(name)
    ids = {_bytes(node.run("CLUSTER", "MYID")): node for node in nodes}
    [source] = [node for node in nodes if _has(node, slot)]
    target = next(node for node in nodes if node is not source)
    named = {id(node): name.decode() for name, node in ids.items()}
    target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", named[id(source)])
    source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", named[id(target)])
    return source, target, slot


def _has(node: Server, slot: int) -> bool:
    me = _bytes(node.run("CLUSTER", "MYID"))
    # As the server says it: redis-py makes something else of it.
    connection = redis.Connection(port=node.port, protocol=2)
    connection.send_command("CLUSTER", "SLOTS")
    answer = connection.read_response()
    connection.disconnect()
    return any(first <= slot <= last and primary[2] == me for first, last, primary, *_ in answer)


def _check(store: OnlineStore, url: str, prefix: str) -> None:
    async def waiting() -> tuple[list[bytes | None], list[list[bytes | None]]]:
        reader = AsyncRedisOnline(Address.parse(url), prefix)
        answers = await reader.read(["a"]), await reader.fetch([Ask(LOAD, [*ROWS])])
        await reader.close()
        return answers

    rows = [[*ROWS.values()]]
    assert store.read(["a"]) == [b"1"]
    assert store.fetch([Ask(LOAD, [*ROWS])]) == rows
    assert scanned(store, LOAD) == ROWS
    assert asyncio.run(waiting()) == ([b"1"], rows)


def _slot(name: str) -> int:
    return crc_hqx(name.encode(), 0) % _SLOTS


def test_a_server_that_is_no_cluster_is_told(server_url: str) -> None:
    store = RedisOnline(Address.parse(server_url.replace("redis", "redis+cluster")), "mlforge:shop")
    with pytest.raises(OnlineStoreUnavailable, match="is no cluster"):
        store.board()
    store.close()


def test_a_node_that_is_gone_is_told(nodes: list[Server], prefix: str) -> None:
    store = RedisOnline(Address.parse(nodes[0].url), prefix)
    store.load(LOAD, [rows_of(ROWS)])
    nodes[0].end()
    with pytest.raises(OnlineStoreUnavailable, match=r"does not answer|a part is down"):
        store.fetch([Ask(LOAD, [*ROWS])])
    store.close()
