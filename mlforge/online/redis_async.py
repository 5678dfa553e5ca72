"""AsyncRedisOnline: what answers are read from in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, cast

from redis import exceptions as failures
from redis.asyncio import connection as redis_connection

from mlforge.online.address import Address, Node
from mlforge.online.base import Ask
from mlforge.online.buckets import Found, Keys
from mlforge.online.resp import command
from mlforge.online.slots import Slots
from mlforge.online.wire import (
    ASKING,
    CLUSTER_SLOTS,
    FAILURES,
    PAUSES,
    Answer,
    Parsed,
    elsewhere,
    next_node,
    raise_first,
)

# Connections to each node at once; a task that finds all busy waits.
_CONNECTIONS = 64


class AsyncRedisOnline:
    """A RedisOnline that reads without a thread, in any number of event loops.

    Connections are their loop's, and are closed when it ends.
    """

    def __init__(self, address: Address, prefix: str, *, board_ttl: float = 1.0) -> None:
        self.board_ttl = board_ttl
        self._keys = Keys(prefix)
        self._address = address
        self._wires: dict[asyncio.AbstractEventLoop, _AsyncWire] = {}

    async def read(self, fields: Sequence[str]) -> list[bytes | None]:
        if not fields:
            return []
        head = self._keys.head
        packed = command(b"HMGET", head, *(field.encode() for field in fields))
        return cast("list[bytes | None]", (await self._ask([head], [packed]))[0])

    async def fetch(self, asked: Sequence[Ask]) -> list[list[bytes | None]]:
        plan = self._keys.plan(asked)
        answers = await self._ask(plan.names, plan.packed)
        return plan.rows(asked, cast("list[Found]", answers))

    async def close(self) -> None:
        """Close what the running loop has opened."""
        wire = self._wires.pop(asyncio.get_running_loop(), None)
        if wire is not None:
            await wire.close()

    async def _ask(self, names: Sequence[bytes], packed: Sequence[bytes]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        wire = self._wires.get(loop)
        if wire is None:
            for ended in [other for other in [*self._wires] if other.is_closed()]:
                self._wires.pop(ended, None)
            wire = self._wires[loop] = _AsyncWire(self._address)
            await wire.open()
        return await wire.ask(names, packed)


class _AsyncConnection(Protocol):
    """What is used of redis-py's connections."""

    async def connect(self) -> None: ...

    async def send_packed_command(self, command: bytes, check_health: bool = ...) -> None: ...

    async def read_response(self) -> Answer: ...

    async def disconnect(self, nowait: bool = ...) -> None: ...


class _AsyncLink:
    """`wire.Link` in an event loop."""

    def __init__(self, address: Address, node: Node) -> None:
        kind: object = redis_connection.Connection
        if address.has_tls:
            kind = redis_connection.SSLConnection
        if address.socket is not None:
            kind = redis_connection.UnixDomainSocketConnection
        options = address.options(node)
        self._connection = cast("Callable[..., _AsyncConnection]", kind)(**options)
        self._parsed: Parsed | None = None

    async def send(self, packed: Sequence[bytes]) -> None:
        if self._parsed is None:
            await self._connection.connect()
            self._parsed = Parsed(self._connection)
        await self._connection.send_packed_command(b"".join(packed), check_health=False)

    async def receive(self, count: int) -> list[Answer | Exception]:
        answers: list[Answer | Exception] = []
        while len(answers) < count:
            try:
                answers.append(await self._connection.read_response())
            except failures.ResponseError as error:
                answers.append(error)
            if self._parsed is not None:
                self._parsed.drain(answers, count)
        return answers

    async def close(self, *, nowait: bool = True) -> None:
        await self._connection.disconnect(nowait=nowait)


class _AsyncWire:
    """`wire.Wire` in one event loop, for commands that only read."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: dict[Node, list[_AsyncLink]] = {}
        self._slots: Slots | None = None
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self._life = self._live()

    async def open(self) -> None:
        # A loop that ends first ends the generators that began in it.
        await anext(self._life)

    async def ask(self, names: Sequence[bytes], packed: Sequence[bytes]) -> list[Answer]:
        if not packed:
            return []
        try:
            async with self._free:
                return await self._asked(names, packed)
        except FAILURES as error:
            raise self._address.told(error) from error

    async def close(self) -> None:
        await self._life.aclose()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            for node in [*self._idle]:
                for link in self._idle.pop(node):
                    # A server that does not answer a goodbye is left all the same.
                    with suppress(*FAILURES):
                        await link.close(nowait=False)

    async def _asked(self, names: Sequence[bytes], packed: Sequence[bytes]) -> list[Answer]:
        try:
            answers = await self._routed(names, packed)
        except failures.ConnectionError:
            if self._slots is None:
                raise
            await self._learn()
            answers = await self._routed(names, packed)
        for pause in PAUSES:
            late = elsewhere(answers)
            if not late:
                break
            await asyncio.sleep(pause)
            await self._learn()
            again = await self._routed([names[n] for n in late], [packed[n] for n in late])
            for number, answer in zip(late, again, strict=True):
                answers[number] = await self._followed(packed[number], answer)
        raise_first(answers)
        return cast("list[Answer]", answers)

    async def _followed(self, packed: bytes, answer: Answer | Exception) -> Answer | Exception:
        node = next_node(answer, self._address)
        if node is None:
            return answer
        return (await self._sent({node: [ASKING, packed]}))[0][1]

    async def _routed(
        self, names: Sequence[bytes], packed: Sequence[bytes]
    ) -> list[Answer | Exception]:
        if self._slots is None and self._address.is_cluster:
            await self._learn()
        if self._slots is None:
            return (await self._sent({self._address.node: packed}))[0]
        groups = self._slots.grouped(names)
        found = await self._sent({node: [packed[n] for n in at] for node, at in groups.items()})
        answers: list[Answer | Exception] = [None] * len(packed)
        for at, part in zip(groups.values(), found, strict=True):
            for number, answer in zip(at, part, strict=True):
                answers[number] = answer
        return answers

    async def _learn(self) -> None:
        nodes = [self._address.node, *(self._slots.nodes() if self._slots else [])]
        for node in nodes:
            try:
                [[answer]] = await self._sent({node: [CLUSTER_SLOTS]})
            except (failures.ConnectionError, failures.TimeoutError):
                if node == nodes[-1]:
                    raise
                continue
            raise_first([answer])
            self._slots = Slots.parse(answer, node)
            return

    async def _sent(self, sent: Mapping[Node, Sequence[bytes]]) -> list[list[Answer | Exception]]:
        was_idle = any(self._idle.get(node) for node in sent)
        try:
            return await self._sent_once(sent)
        except failures.ConnectionError:
            if not was_idle:
                raise
        for node in sent:
            await self._forget(node)
        return await self._sent_once(sent)

    async def _sent_once(
        self, sent: Mapping[Node, Sequence[bytes]]
    ) -> list[list[Answer | Exception]]:
        links: list[_AsyncLink] = []
        try:
            for node, packed in sent.items():
                links.append(self._link(node))
                await links[-1].send(packed)
            found = [
                await link.receive(len(packed))
                for link, packed in zip(links, sent.values(), strict=True)
            ]
        except BaseException:
            # Also of a task that is cancelled: what was sent may still be answered.
            for link in links:
                await link.close()
            raise
        for node, link in zip(sent, links, strict=True):
            self._idle.setdefault(node, []).append(link)
        return found

    def _link(self, node: Node) -> _AsyncLink:
        with suppress(KeyError, IndexError):
            return self._idle[node].pop()
        return _AsyncLink(self._address, node)

    async def _forget(self, node: Node) -> None:
        for link in self._idle.pop(node, []):
            await link.close()
