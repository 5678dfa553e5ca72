"""Look up: what an online store serves of entities at a moment, of each feature one version.

The steps are the same for a store that is waited for with a thread and for one without: they ask
for reads and fetches, and two drivers answer them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import polars as pl

from mlforge.errors import ColumnCollision, NotServed
from mlforge.flows.asked import AskedFeature, Entities, Found
from mlforge.flows.services import Service, Wanted
from mlforge.online.base import Ask, AsyncOnlineReader, OnlineReader
from mlforge.online.board import Served, served_field, service_field


@dataclass(slots=True)
class Question:
    """Features that are asked for again and again, and what the board last said of them.

    Names of services may be among the features. `where`: the store, in words.
    """

    wanted: Sequence[Wanted]
    full_names: bool
    where: str
    features: tuple[AskedFeature, ...] = ()
    # Those of all columns.
    names: frozenset[str] = frozenset()
    # Until when the board need not be read again, in seconds of the caller's clock.
    fresh_until: float = float("-inf")
    _fields: tuple[str, ...] = ()
    _entries: list[bytes | None] = field(default_factory=list)

    def fields(self) -> tuple[str, ...]:
        """What is to be read of the board: features, and services with their features."""
        return self._fields or _fields_of(self.wanted)

    def take(self, fields: tuple[str, ...], entries: list[bytes | None]) -> bool:
        """Go on with what the board says; False: it names services whose features were not read.

        Raises NotServed, ColumnNotFound, ColumnCollision, OnlineStoreCorrupt, ServiceCorrupt.
        """
        if entries == self._entries and fields == self._fields:
            return True
        known = dict(zip(fields, entries, strict=True))
        wanted = _opened(self.wanted, known, self.where)
        needed = tuple(dict.fromkeys([*_fields_of(self.wanted), *_fields_of(wanted)]))
        if not known.keys() >= {*needed}:
            self._fields, self._entries = needed, []
            return False
        features = tuple(_feature(want, self.full_names, known, self.where) for want in wanted)
        _refuse_collisions(features, {})
        self.names = frozenset(names_of(features))
        self.features, self._fields, self._entries = features, fields, entries
        return True

    def check(self, entities: Entities) -> None:
        """Raise ColumnCollision where entities have what a feature's column would be called."""
        rows = [entities.columns] if isinstance(entities, pl.DataFrame) else entities
        if all(map(self.names.isdisjoint, rows)):
            return
        owners = {name: ["the entities"] for row in rows for name in row}
        _refuse_collisions(self.features, owners)


@dataclass(frozen=True, slots=True)
class Answer:
    """By feature, in the order in which they are asked for, what is seen of each entity at `now`.

    `now`: microseconds, UTC.
    """

    features: tuple[AskedFeature, ...]
    found: list[Found]
    now: int


@lru_cache(maxsize=1024)
def names_of(features: tuple[AskedFeature, ...]) -> tuple[str, ...]:
    """The names of all their columns, in their order."""
    return tuple(name for feature in features for name in feature.names)


def lookup(
    reader: OnlineReader, question: Question, entities: Entities, *, now: int, tick: float
) -> Answer:
    """What is seen at `now` (microseconds, UTC). `tick`: seconds, by which the board gets old.

    Raises NotServed, InvalidEntities, KeyTypeMismatch, OnlineStoreUnavailable, OnlineStoreCorrupt.
    """
    steps = _Steps(question, entities, tick, reader.board_ttl)
    for step in steps.run():
        if isinstance(step, _Fetch):
            step.rows = reader.fetch(step.asks)
        else:
            step.entries = reader.read(step.fields)
    return steps.answer(now)


async def lookup_async(
    reader: AsyncOnlineReader, question: Question, entities: Entities, *, now: int, tick: float
) -> Answer:
    """The same without a thread that waits."""
    steps = _Steps(question, entities, tick, reader.board_ttl)
    for step in steps.run():
        if isinstance(step, _Fetch):
            step.rows = await reader.fetch(step.asks)
        else:
            step.entries = await reader.read(step.fields)
    return steps.answer(now)


@dataclass(slots=True)
class _Read:
    """Fields of the board that are wanted, and then what they are."""

    fields: tuple[str, ...]
    entries: list[bytes | None] = field(default_factory=list)


@dataclass(slots=True)
class _Fetch:
    """Rows that are wanted, and then these."""

    asks: list[Ask]
    rows: list[list[bytes | None]] = field(default_factory=list)


class _Steps:
    """One look-up: what has to be asked of the store, and then the answer.

    All rows are of loads that the board named at one moment. A load that is served no more stays
    for a while; where rows are missing, the board is read again, and if it says something else,
    all is fetched again. So nothing is mixed, and nothing that is served is missed.
    """

    def __init__(self, question: Question, entities: Entities, tick: float, ttl: float) -> None:
        self._question, self._entities = question, entities
        self._tick, self._ttl = tick, ttl
        self._features: tuple[AskedFeature, ...] = ()
        self._rows: list[list[bytes | None]] = []

    def run(self) -> Iterator[_Read | _Fetch]:
        question = self._question
        if self._tick >= question.fresh_until:
            yield from self._board()
        while True:
            # Others may ask the same at once, and read another board meanwhile.
            features = question.features
            question.check(self._entities)
            keys = [feature.ask(self._entities) for feature in features]
            fetch = _Fetch([_ask(f.served, k) for f, k in zip(features, keys, strict=True)])
            yield fetch
            rows = fetch.rows
            if any(map(_has_none, rows)):
                yield from self._board()
                # Each round needs another push in between.
                if question.features is not features:
                    continue
            if any(map(_has_none, keys)):
                rows = [_spread(k, r) for k, r in zip(keys, rows, strict=True)]
            self._features, self._rows = features, rows
            return

    def answer(self, now: int) -> Answer:
        features = self._features
        found = [f.answer(rows, now) for f, rows in zip(features, self._rows, strict=True)]
        return Answer(features, found, now)

    def _board(self) -> Iterator[_Read | _Fetch]:
        question = self._question
        while True:
            read = _Read(question.fields())
            yield read
            if question.take(read.fields, read.entries):
                question.fresh_until = self._tick + self._ttl
                return


def _has_none(values: Sequence[bytes | None]) -> bool:
    return None in values


def _ask(served: Served, keys: list[bytes | None]) -> Ask:
    return Ask(served.load, [key for key in keys if key is not None])


def _spread(keys: Sequence[bytes | None], rows: Sequence[bytes | None]) -> list[bytes | None]:
    """The rows of the keys that are there, and None for the others."""
    left = iter(rows)
    return [None if key is None else next(left) for key in keys]


def _fields_of(wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """What says what is served of these features, or which features these services are."""
    names = [served_field(want.reference.name) for want in wanted]
    names += [service_field(want.reference.name) for want in wanted if _is_bare(want)]
    return tuple(dict.fromkeys(names))


def _opened(wanted: Sequence[Wanted], entries: dict[str, bytes | None], where: str) -> list[Wanted]:
    """The features, with those of each service in its place; a feature goes before a service."""
    found = list[Wanted]()
    for want in wanted:
        name = want.reference.name
        service = entries.get(service_field(name)) if _is_bare(want) else None
        if service is None or entries.get(served_field(name)) is not None:
            found.append(want)
        else:
            found += Service.decode(service, where).wanted
    return found


def _is_bare(wanted: Wanted) -> bool:
    """Whether nothing but a name is asked for, which may be a service's."""
    return wanted == Wanted(wanted.reference) and wanted.reference.selector is None


def _feature(
    want: Wanted, full_names: bool, entries: dict[str, bytes | None], where: str
) -> AskedFeature:
    name, selector = want.reference.name, want.reference.selector
    data = entries[served_field(name)]
    if data is None:
        raise NotServed(f"{where} serves no {name}", hint="mlforge online status")
    served = Served.decode(data, where, name)
    if selector is not None and selector != str(served.version):
        raise NotServed(
            f"{where} serves {name}@{served.version}, not {selector}",
            hint=f"ask for {name}, or for {name}@{served.version}",
        )
    return AskedFeature(served, want, full_names)


def _refuse_collisions(features: Sequence[AskedFeature], owners: dict[str, list[str]]) -> None:
    """Raise ColumnCollision where two have a name, with all such names."""
    for feature in features:
        for name in feature.names:
            owners.setdefault(name, []).append(feature.label)
    clashes = [f"{name} ({' and '.join(of)})" for name, of in owners.items() if len(of) > 1]
    if clashes:
        what = "two columns would have the same name:"
        raise ColumnCollision(
            (" " if len(clashes) == 1 else "\n  ").join([what, *clashes]),
            hint="full_names=True calls them FEATURE__COLUMN, FeatureSpec(..., prefix=) otherwise",
        )
