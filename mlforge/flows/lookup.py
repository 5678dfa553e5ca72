"""Look up: what an online store serves of entities at a moment, all of it from one commit's heads.

The steps are the same for a store that is waited for with a thread and for one without: they are a
generator that asks for reads and fetches, and two drivers answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, cast

from mlforge.errors import ColumnCollision, NotServed, PushContended
from mlforge.flows.asked import (
    MISSING,
    Asked,
    AskedFeature,
    Entity,
    Found,
    fields_of,
    opened,
)
from mlforge.flows.services import Wanted
from mlforge.online.base import Ask, AsyncOnlineReader, OnlineReader
from mlforge.online.board import Served, served_field

# Each needs another push in between.
_TRIES = 10
# Kinds of questions that a process goes on with.
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """By feature, in the order in which they are asked for, what is seen of each entity."""

    features: tuple[AskedFeature, ...]
    found: tuple[list[Found], ...]


@dataclass(frozen=True, slots=True)
class _Board:
    """Fields as of one moment, and when they were read."""

    entries: dict[str, bytes | None]
    read_at: float


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is asked for, as the board has it."""

    entries: dict[str, bytes | None]
    features: tuple[AskedFeature, ...]


@dataclass(slots=True)
class Session:
    """What a process knows of one store: its board for a while, and what it was asked before.

    `where`: the store, in words. `clock`: seconds, of any origin.
    """

    where: str
    board_ttl: float
    clock: Callable[[], float]
    _boards: dict[Asked, _Board] = field(default_factory=dict)
    _prepared: dict[Asked, _Prepared] = field(default_factory=dict)

    def board(self, asked: Asked) -> _Board | None:
        """What was read not long ago."""
        board = self._boards.get(asked)
        return board if board and self.clock() - board.read_at < self.board_ttl else None

    def keep(self, asked: Asked, board: _Board) -> None:
        if len(self._boards) >= _KEPT:
            self._boards.clear()
            self._prepared.clear()
        self._boards[asked] = board

    def prepared(self, asked: Asked, entries: dict[str, bytes | None]) -> _Prepared:
        """What was asked, taken apart; once for as long as the board says the same.

        Raises NotServed, ColumnNotFound, ColumnCollision, OnlineStoreCorrupt.
        """
        known = self._prepared.get(asked)
        if known is None or known.entries != entries:
            wanted = opened(asked.wanted, entries, self.where)
            features = tuple(self._feature(want, asked, entries) for want in wanted)
            _refuse_collisions(features)
            known = self._prepared[asked] = _Prepared(entries, features)
        return known

    def _feature(
        self, want: Wanted, asked: Asked, entries: dict[str, bytes | None]
    ) -> AskedFeature:
        name, selector = want.reference.name, want.reference.selector
        data = entries.get(served_field(name))
        if data is None:
            raise NotServed(f"{self.where} serves no {name}", hint="mlforge online status")
        served = Served.decode(data, self.where)
        if selector is not None and selector != str(served.version):
            raise NotServed(
                f"{self.where} serves {name}@{served.version}, not {selector}",
                hint=f"ask for {name}, or for {name}@{served.version}",
            )
        return AskedFeature(served, want, asked.full_names)


def lookup(
    reader: OnlineReader, session: Session, asked: Asked, entities: Sequence[Entity], now: int
) -> Answer:
    """What is seen at `now` (UTC, microseconds).

    Raises NotServed, InvalidEntities, KeyTypeMismatch, OnlineStoreUnavailable.
    """
    steps = _steps(session, asked, entities, now)
    try:
        request = next(steps)
        while True:
            request = steps.send(_answered(reader, request))
    except StopIteration as end:
        return cast("Answer", end.value)


async def lookup_async(
    reader: AsyncOnlineReader, session: Session, asked: Asked, entities: Sequence[Entity], now: int
) -> Answer:
    """The same without a thread that waits."""
    steps = _steps(session, asked, entities, now)
    try:
        request = next(steps)
        while True:
            if isinstance(request, _Read):
                request = steps.send(await reader.read(request.fields))
            else:
                request = steps.send(await reader.fetch(request.asks))
    except StopIteration as end:
        return cast("Answer", end.value)


class _Read(NamedTuple):
    """Fields of the board that are wanted."""

    fields: list[str]


class _Fetch(NamedTuple):
    """Rows that are wanted."""

    asks: list[Ask]


_Request: TypeAlias = _Read | _Fetch
_Given: TypeAlias = list[bytes | None] | list[list[bytes | None]]


def _answered(reader: OnlineReader, request: _Request) -> _Given:
    if isinstance(request, _Read):
        return reader.read(request.fields)
    return reader.fetch(request.asks)


def _steps(
    session: Session, asked: Asked, entities: Sequence[Entity], now: int
) -> Generator[_Request, _Given, Answer]:
    board = session.board(asked) or (yield from _read(session, asked))
    for _ in range(_TRIES):
        prepared = session.prepared(asked, board.entries)
        pairs = [feature.ask(entities) for feature in prepared.features]
        rows = cast("list[list[bytes | None]]", (yield _Fetch([ask for ask, _ in pairs])))
        if not any(None in values for values in rows):
            return _answer(prepared, pairs, rows, len(entities), now)
        # Of an entity that is not there, or of rows that went because others are served now.
        board, before = (yield from _read(session, asked)), board
        if board.entries == before.entries:
            return _answer(prepared, pairs, rows, len(entities), now)
    raise PushContended(f"what {session.where} serves changed {_TRIES} times while it was read")


def _read(session: Session, asked: Asked) -> Generator[_Request, _Given, _Board]:
    """The board as of one moment: all that is asked for, and what services among it name."""
    fields = fields_of(asked.wanted)
    while True:
        read_at = session.clock()
        found = cast("list[bytes | None]", (yield _Read(fields)))
        entries = dict(zip(fields, found, strict=True))
        more = [
            f for f in fields_of(opened(asked.wanted, entries, session.where)) if f not in entries
        ]
        if not more:
            board = _Board(entries, read_at)
            session.keep(asked, board)
            return board
        fields = [*fields, *more]


def _answer(
    prepared: _Prepared,
    pairs: Sequence[tuple[Ask, Sequence[int] | None]],
    rows: Sequence[Sequence[bytes | None]],
    count: int,
    now: int,
) -> Answer:
    found = list[list[Found]]()
    for feature, (_, places), values in zip(prepared.features, pairs, rows, strict=True):
        answers = [feature.answer(value, now) for value in values]
        if places is not None:
            given = dict(zip(places, answers, strict=True))
            answers = [given.get(place, MISSING) for place in range(count)]
        found.append(answers)
    return Answer(prepared.features, tuple(found))


def _refuse_collisions(features: Sequence[AskedFeature]) -> None:
    owners = dict[str, list[str]]()
    for feature in features:
        for name in feature.names:
            owners.setdefault(name, []).append(feature.label)
    refuse_collisions(owners)


def refuse_collisions(owners: Mapping[str, Sequence[str]]) -> None:
    """Raise ColumnCollision where two have a name, with all such names."""
    clashes = [f"{name} ({' and '.join(of)})" for name, of in owners.items() if len(of) > 1]
    if clashes:
        what = "two columns would have the same name:"
        raise ColumnCollision(
            (" " if len(clashes) == 1 else "\n  ").join([what, *clashes]),
            hint="full_names=True calls them FEATURE__COLUMN, FeatureSpec(..., prefix=) otherwise",
        )
