"""Wire: commands to a Redis, or to the nodes of a cluster, and their answers in the same order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import NoneType
from typing import Protocol, TypeAlias, cast

import redis
from redis import exceptions as failures

from mlforge.online.address import Address, Node
from mlforge.online.resp import command, together
from mlforge.online.slots import Slots

Answer: TypeAlias = "bytes | int | list[Answer] | None"

# What redis-py raises; what it does not translate.
FAILURES = (failures.RedisError, OSError, UnicodeError)
# Seconds to wait before a cluster that moves its slots is asked again.
PAUSES = (0.0, 0.05, 0.2, 0.5, 1.0)
CLUSTER_SLOTS = command(b"CLUSTER", b"SLOTS")
ASKING = command(b"ASKING")
# What no answer is that is an error.
_VALUES = {bytes, int, list, NoneType}
_PIECE_BYTES = 1 << 20


class _Connection(Protocol):
    """What is used of redis-py's connections, which have no types."""

    def connect(self) -> None: ...

    def send_packed_command(
        self, command: Sequence[bytes | memoryview], check_health: bool = ...
    ) -> None: ...

    def read_response(self) -> Answer: ...

    def disconnect(self) -> None: ...


class Link:
    """One connection. It is used again only if all that was sent has been answered."""

    def __init__(self, address: Address, node: Node) -> None:
        kind: object = redis.Connection
        if address.has_tls:
            kind = redis.SSLConnection
        if address.socket is not None:
            kind = redis.UnixDomainSocketConnection
        self._connection = cast("Callable[..., _Connection]", kind)(**address.options(node))
        self._connection.connect()
        self._parsed = Parsed(self._connection)

    def send(self, packed: Sequence[bytes]) -> None:
        # A time limit is for all that is sent at once.
        self._connection.send_packed_command(pieces(together(packed)), check_health=False)

    def receive(self, count: int) -> list[Answer | Exception]:
        """The answers to what was sent; errors that are answers are among them."""
        answers: list[Answer | Exception] = []
        while len(answers) < count:
            try:
                answers.append(self._connection.read_response())
            except failures.ResponseError as error:
                answers.append(error)
            self._parsed.drain(answers, count)
        return answers

    def ask(self, *packed: bytes) -> list[Answer]:
        self.send(packed)
        answers = self.receive(len(packed))
        raise_first(answers)
        return cast("list[Answer]", answers)

    def close(self) -> None:
        self._connection.disconnect()


class Wire:
    """Connections to one address, for any number of threads; after a fork the child has its own.

    A connection that the server has closed while it was idle is replaced, and all is sent once
    more: commands must be such that twice is once. A server that says that it is one of a cluster
    is taken as one. Raises OnlineStoreUnavailable, OnlineStoreCorrupt.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: dict[Node, list[Link]] = {}
        self._process = os.getpid()
        self._slots: Slots | None = None

    def ask(self, names: Sequence[bytes], packed: Sequence[bytes]) -> list[Answer]:
        """The answers to commands, in order. `names`: the key that each touches."""
        try:
            return self._asked(names, packed)
        except FAILURES as error:
            raise self._address.told(error) from error

    def exchange(self, name: bytes, look: bytes, act: Callable[[Answer], list[bytes]]) -> bool:
        """Do at once what `act` says of the answer to `look`, if the key is still as it was then.

        False if it has changed: nothing was done.
        """
        try:
            return self._exchanged(name, look, act)
        except FAILURES as error:
            raise self._address.told(error) from error

    def close(self) -> None:
        self._leave_parent()
        for node in [*self._idle]:
            self._forget(node)

    def _asked(self, names: Sequence[bytes], packed: Sequence[bytes]) -> list[Answer]:
        try:
            answers = self._routed(names, packed)
        except failures.ConnectionError:
            if self._slots is None:
                raise
            # A node is gone: another may have its keys by now.
            self._learn()
            answers = self._routed(names, packed)
        for pause in PAUSES:
            late = elsewhere(answers)
            if not late:
                break
            time.sleep(pause)
            self._learn()
            again = self._routed([names[n] for n in late], [packed[n] for n in late])
            for number, answer in zip(late, again, strict=True):
                answers[number] = self._followed(packed[number], answer)
        raise_first(answers)
        return cast("list[Answer]", answers)

    def _followed(self, packed: bytes, answer: Answer | Exception) -> Answer | Exception:
        """The answer of the node that is about to get the key, if this one says so."""
        node = next_node(answer, self._address)
        if node is None:
            return answer
        return self._sent({node: [ASKING, packed]})[0][1]

    def _exchanged(self, name: bytes, look: bytes, act: Callable[[Answer], list[bytes]]) -> bool:
        # Finds the node that has the key, and a connection to it that is alive.
        self._asked([name], [look])
        [node] = self._groups([name])
        with self._taken([node]) as [link]:
            packed = act(link.ask(command(b"WATCH", name), look)[1])
            if not packed:
                link.ask(command(b"UNWATCH"))
                return True
            return link.ask(command(b"MULTI"), *packed, command(b"EXEC"))[-1] is not None

    def _routed(self, names: Sequence[bytes], packed: Sequence[bytes]) -> list[Answer | Exception]:
        if self._is_alone():
            return self._sent({self._address.node: packed})[0]
        groups = self._groups(names)
        found = self._sent({node: [packed[n] for n in at] for node, at in groups.items()})
        answers: list[Answer | Exception] = [None] * len(packed)
        for at, part in zip(groups.values(), found, strict=True):
            for number, answer in zip(at, part, strict=True):
                answers[number] = answer
        return answers

    def _groups(self, names: Sequence[bytes]) -> dict[Node, list[int]]:
        if self._is_alone():
            return {self._address.node: [*range(len(names))]}
        if self._slots is None:
            return self._learn().grouped(names)
        return self._slots.grouped(names)

    def _is_alone(self) -> bool:
        return self._slots is None and not self._address.is_cluster

    def _learn(self) -> Slots:
        """Ask which node has which slot: the address, or another node if that is gone."""
        lost: Exception | None = None
        for node in [self._address.node, *(self._slots.nodes() if self._slots else [])]:
            try:
                [[answer]] = self._sent({node: [CLUSTER_SLOTS]})
            except (failures.ConnectionError, failures.TimeoutError) as error:
                lost = lost or error
                continue
            raise_first([answer])
            self._slots = Slots.parse(answer, node)
            return self._slots
        raise lost or failures.ConnectionError("no node answers")

    def _sent(self, sent: Mapping[Node, Sequence[bytes]]) -> list[list[Answer | Exception]]:
        """The answers of each node. All is sent before the first answer is waited for."""
        was_idle = self._has_idle(sent)
        try:
            return self._sent_once(sent)
        except failures.ConnectionError:
            if not was_idle:
                raise
        # The server may have closed them all.
        for node in sent:
            self._forget(node)
        return self._sent_once(sent)

    def _sent_once(self, sent: Mapping[Node, Sequence[bytes]]) -> list[list[Answer | Exception]]:
        with self._taken(sent) as links:
            for link, packed in zip(links, sent.values(), strict=True):
                link.send(packed)
            return [
                link.receive(len(packed)) for link, packed in zip(links, sent.values(), strict=True)
            ]

    @contextmanager
    def _taken(self, nodes: Iterable[Node]) -> Iterator[list[Link]]:
        self._leave_parent()
        links: list[Link] = []
        try:
            for node in nodes:
                links.append(self._link(node))
            yield links
        except BaseException:
            # Some of what was sent may still be answered.
            for link in links:
                link.close()
            raise
        for node, link in zip(nodes, links, strict=True):
            self._idle.setdefault(node, []).append(link)

    def _link(self, node: Node) -> Link:
        with suppress(KeyError, IndexError):
            return self._idle[node].pop()
        return Link(self._address, node)

    def _has_idle(self, nodes: Iterable[Node]) -> bool:
        self._leave_parent()
        return any(self._idle.get(node) for node in nodes)

    def _forget(self, node: Node) -> None:
        links = self._idle.get(node, [])
        with suppress(IndexError):
            while True:
                links.pop().close()

    def _leave_parent(self) -> None:
        if self._process != os.getpid():
            self._idle, self._process = {}, os.getpid()


class Parsed:
    """Answers that redis-py has already read and parsed: each taken at a tenth of its own price.

    Without hiredis there are none.
    """

    def __init__(self, connection: object) -> None:
        reader = getattr(getattr(connection, "_parser", None), "_reader", None)
        self._take: Callable[[], object] = getattr(reader, "gets", lambda: None)
        # What it gives when it has no more.
        self._nothing = self._take()

    def drain(self, answers: list[Answer | Exception], count: int) -> None:
        """Append answers until there are `count`, or no more."""
        if len(answers) >= count:
            return
        take, nothing = self._take, self._nothing
        while (answer := take()) is not nothing:
            answers.append(cast("Answer | Exception", answer))
            if len(answers) == count:
                return


def pieces(data: bytes | memoryview) -> list[bytes | memoryview]:
    if len(data) <= _PIECE_BYTES:
        return [data]
    whole = memoryview(data)
    return [whole[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES)]


def elsewhere(answers: Sequence[Answer | Exception]) -> list[int]:
    """The numbers of those that say that a key has gone to another node of a cluster."""
    if _VALUES.issuperset(map(type, answers)):
        return []
    return [number for number, answer in enumerate(answers) if _is_late(answer)]


def next_node(answer: Answer | Exception, address: Address) -> Node | None:
    """The node that is about to get the key, if this answer says so."""
    if type(answer) is failures.AskError:
        return answer.host or address.host, answer.port
    if isinstance(answer, failures.ResponseError) and str(answer).startswith("ASK "):
        host, _, port = str(answer).split(" ")[2].rpartition(":")
        return host or address.host, int(port)
    return None


def _is_late(answer: Answer | Exception) -> bool:
    """Early releases of redis-py have classes for these in clients of clusters alone."""
    if isinstance(answer, failures.AskError | failures.TryAgainError):
        return True
    signs = ("MOVED ", "ASK ", "TRYAGAIN ")
    return isinstance(answer, failures.ResponseError) and str(answer).startswith(signs)


def raise_first(answers: Sequence[Answer | Exception]) -> None:
    if not _VALUES.issuperset(map(type, answers)):
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
