"""Asked: features that are asked of an online store, and what its board says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import polars as pl

from mlforge.engines.calendar import bucket_around
from mlforge.engines.surrogate import surrogate_key
from mlforge.errors import ColumnNotFound, InvalidEntities, did_you_mean
from mlforge.flows.services import Service, Wanted
from mlforge.online.base import Ask
from mlforge.online.board import Served, served_field, service_field
from mlforge.online.decoding import KeyPacker, Reader, Value
from mlforge.times import Duration

Entity: TypeAlias = Mapping[str, Value]
# `missing`: no row of the entity; `not_yet`: only later ones; `too_old`: by `max_age`.
Status = Literal["present", "missing", "not_yet", "too_old"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, as it was said: names of services may be among the features."""

    wanted: tuple[Wanted, ...]
    full_names: bool = False

    def __hash__(self) -> int:
        # Of the names alone: what keys are mapped to is a dict.
        return hash(tuple(want.reference for want in self.wanted))


def fields_of(wanted: Sequence[Wanted]) -> list[str]:
    """The fields of the board that say what is served of these features, or which they are."""
    fields = dict.fromkeys(served_field(want.reference.name) for want in wanted)
    fields |= dict.fromkeys(service_field(w.reference.name) for w in wanted if _is_bare(w))
    return list(fields)


def opened(
    wanted: Sequence[Wanted], entries: Mapping[str, bytes | None], where: str
) -> list[Wanted]:
    """The features, with those of each service in its place; a feature goes before a service.

    Raises ServiceCorrupt.
    """
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
    """Whether nothing but a name is asked for."""
    is_whole = wanted.columns is None and not wanted.on and not wanted.prefix
    return is_whole and wanted.reference.selector is None


class Found(NamedTuple):
    """What is seen of an entity. `values`: as stored; None where nothing is.

    `event_time`, `age`: microseconds; None for static features and where there is no row.
    """

    values: Sequence[Value] | None
    status: Status
    event_time: int | None = None
    age: int | None = None


MISSING, NOT_YET = Found(None, "missing"), Found(None, "not_yet")


class AskedFeature:
    """One feature as it is served and asked for."""

    def __init__(self, served: Served, wanted: Wanted, full_names: bool) -> None:
        self.served = served
        self.wanted = wanted
        self.reader = Reader(served.layout)
        self._packer = KeyPacker(served.layout)
        self._max_age = Duration.parse(served.max_age).microseconds if served.max_age else None
        self._interval = Duration.parse(served.interval) if served.interval else None
        columns = [column.name for column in served.layout.values]
        chosen = wanted.columns
        if chosen is None:
            chosen = tuple(name for name in columns if name != served.layout.created)
        for name in chosen:
            if name not in columns:
                raise ColumnNotFound(
                    f"{self.label} has no column {name}", hint=did_you_mean(name, columns)
                )
        places = [columns.index(name) for name in chosen]
        self._places = None if places == [*range(len(columns))] else places
        converters = [self.reader.converters[place] for place in places]
        self._converters = converters if any(converters) else None
        own = f"{served.feature}__"
        self.names = tuple(
            wanted.prefix + (own if full_names and not name.startswith(own) else "") + name
            for name in chosen
        )
        self.types = tuple(served.layout.values[place].type for place in places)
        self._key_columns = tuple(wanted.on.get(key, key) for key in served.layout.keys)
        self._made = {
            surrogate.key: tuple(wanted.on.get(name, name) for name in surrogate.columns)
            for surrogate in served.surrogates
            if surrogate.key not in wanted.on
        }
        self._wanted_on = wanted.on

    @property
    def label(self) -> str:
        return f"{self.served.feature}@{self.served.version}"

    def ask(self, entities: Sequence[Entity]) -> tuple[Ask, Sequence[int] | None]:
        """The keys to fetch, and which entity each is of; None: of all, in their order.

        An entity with a null key has no row. Raises InvalidEntities, KeyTypeMismatch.
        """
        if self._made:
            entities = self._with_surrogates(entities)
        pack, columns = self._packer.pack, self._key_columns
        try:
            keys = [pack([entity[name] for name in columns]) for entity in entities]
        except KeyError as error:
            raise self._without_key(entities) from error
        if None not in keys:
            return Ask(self.served.load, keys), None  # type: ignore[arg-type]
        places = [n for n, key in enumerate(keys) if key is not None]
        return Ask(self.served.load, [key for key in keys if key is not None]), places

    def _with_surrogates(self, entities: Sequence[Entity]) -> Sequence[Entity]:
        """The entities with keys that are made of their other columns, where these are mapped."""
        found = [dict(entity) for entity in entities]
        for key, columns in self._made.items():
            is_mapped = any(name in self._wanted_on for name in columns)
            rows = [e for e in found if (is_mapped or key not in e) and e.keys() >= {*columns}]
            if not rows:
                continue
            frame = pl.DataFrame([{name: e[name] for name in columns} for e in rows])
            made = frame.select(surrogate_key(*columns).alias(key))[key]
            for entity, value in zip(rows, made, strict=True):
                entity[key] = value
        return found

    def _without_key(self, entities: Sequence[Entity]) -> InvalidEntities:
        number, entity = next(
            (n, e) for n, e in enumerate(entities) if not e.keys() >= {*self._key_columns}
        )
        missing = [name for name in self._key_columns if name not in entity]
        made = [" and ".join(self._made[name]) for name in missing if name in self._made]
        return InvalidEntities(
            f"entity {number} has no {', '.join(missing)}, the key of {self.label}",
            cause=f"it has {', '.join(map(str, entity)) or 'nothing'}",
            hint=f"add {', '.join([*missing, *made])}",
        )

    def answer(self, value: bytes | None, now: int) -> Found:
        """What is seen of an entity at a moment. Rule: docs/semantics.md#online."""
        if value is None:
            return MISSING
        row = self.reader.seen(value, now)
        if row is None:
            return NOT_YET
        age = None if row.event_time is None else self._age(row.event_time, now)
        if age is not None and self._max_age is not None and age > self._max_age:
            return Found(None, "too_old", row.event_time, age)
        return Found(row.values, "present", row.event_time, age)

    def _age(self, event_time: int, now: int) -> int:
        """As offline: of windows, the time since the latest end of a bucket that is known."""
        if self._interval is None:
            return now - event_time
        horizon = self.served.horizon
        if horizon is not None and now >= horizon:
            return now - horizon
        return now - max(event_time, bucket_around(self._interval, self.served.timezone, now)[0])

    def values(self, found: Found) -> Sequence[Value]:
        """The columns that were asked for, as Polars gives them; nulls where none is seen."""
        values = found.values
        if values is None:
            return (None,) * len(self.names)
        if self._places is not None:
            values = [values[place] for place in self._places]
        if self._converters is None:
            return values
        return [
            value if convert is None or value is None else convert(value)
            for value, convert in zip(values, self._converters, strict=True)
        ]
