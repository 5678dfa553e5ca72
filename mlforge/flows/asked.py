"""Asked: one feature as it is asked for, and as the board says that it is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import polars as pl

from mlforge.arrow import canonical_table
from mlforge.engines.calendar import bucket_around
from mlforge.engines.surrogate import surrogate_key
from mlforge.errors import ColumnNotFound, InvalidEntities, InvalidTimes, did_you_mean
from mlforge.flows.keys import FeatureKeys, Keys
from mlforge.flows.services import Wanted
from mlforge.online.board import Served
from mlforge.online.decoding import Value, converter, reader_of
from mlforge.online.encoding import packed_keys
from mlforge.online.keys import packer_of
from mlforge.times import Duration
from mlforge.types import TypeKind
from mlforge.types.polars import to_polars

# Rows by name, or a frame.
Entities: TypeAlias = Sequence[Mapping[str, Value]] | pl.DataFrame
# `missing`: no row of the entity; `not_yet`: only later ones; `too_old`: by `max_age`.
Status = Literal["present", "missing", "not_yet", "too_old"]

# What is stored as a number of microseconds, or of days.
COUNTED = (TypeKind.DATE, TypeKind.TIME, TypeKind.DATETIME, TypeKind.DURATION)
_LONGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Found:
    """What is seen of each entity. `columns`: those asked for, as stored, None where none is seen.

    `times`: event times in microseconds, None for static features; of rows that are too old, too.
    `statuses`: None where all are present.
    """

    columns: Sequence[Sequence[Value]]
    times: Sequence[int | None] | None
    statuses: Sequence[Status] | None


class AskedFeature:
    """A feature that is served, which of its columns are asked for, and by what names.

    `called`: what tells it from others that are asked for. `names`, `types`: of its columns.
    """

    def __init__(self, served: Served, wanted: Wanted, full_names: bool) -> None:
        layout = served.layout
        self.served, self.wanted = served, wanted
        self.called = wanted.prefix + served.feature
        self._reader, self._packer = reader_of(layout), packer_of(layout)
        self._keys = FeatureKeys(served.feature, served.version, layout.keys, served.surrogates)
        self._on = dict(wanted.on)
        self._keys.check_map(self._on)
        self._key_names = tuple(wanted.on.get(key, key) for key in layout.keys)
        known = [column.name for column in layout.values]
        chosen = wanted.columns
        if chosen is None:
            chosen = tuple(name for name in known if name != layout.created)
        for name in chosen:
            if name not in known:
                raise ColumnNotFound(
                    f"{self.label} has no column {name}", hint=did_you_mean(name, known)
                )
        numbers = [known.index(name) for name in chosen]
        self._places = [self._reader.places[number] for number in numbers]
        own = f"{served.feature}__"
        self.names = tuple(
            wanted.prefix + (own if full_names and not name.startswith(own) else "") + name
            for name in chosen
        )
        self.types = tuple(layout.values[number].type for number in numbers)
        self._converters = tuple(map(converter, self.types))
        self.key_types = {
            column: next(c.type for c in layout.columns if c.name == key)
            for key, column in zip(layout.keys, self._key_names, strict=True)
        }
        self._is_plain = not any(self._converters)
        self._max_age = Duration.parse(served.max_age).microseconds if served.max_age else None
        self._interval = Duration.parse(served.interval) if served.interval else None
        self._bucket = (0, 0)

    @property
    def label(self) -> str:
        return self._keys.label

    def ask(self, entities: Entities) -> list[bytes | None]:
        """Each entity's packed key; None where it is null, which no row has.

        Raises InvalidEntities, KeyTypeMismatch.
        """
        if isinstance(entities, pl.DataFrame):
            return self._ask_frame(entities)
        if self._keys.surrogates:
            entities = self._with_surrogates(entities)
        try:
            columns = [[entity[name] for entity in entities] for name in self._key_names]
        except KeyError as error:
            raise self._without_key(entities) from error
        return self._packer.pack(columns)

    def answer(self, values: Sequence[bytes | None], now: int) -> Found:
        """What is seen at a moment (microseconds, UTC). Rule: docs/semantics.md#serving.

        Raises OnlineStoreCorrupt.
        """
        columns: Sequence[Sequence[Value]] | None = self._reader.columns(values, now)
        statuses: list[Status] | None = None
        if columns is None:
            columns, statuses = self._each(values, now)
        times: Sequence[int | None] | None = None
        if self._reader.is_timed:
            times = columns[0]  # type: ignore[assignment]
        found = [columns[place] for place in self._places]
        if self._max_age is None or times is None:
            return Found(found, times, statuses)
        return self._young(found, times, statuses, now)

    def converted(self, found: Found) -> Sequence[Sequence[Value]]:
        """The columns as Polars gives their values. Raises InvalidTimes beyond the year 9999."""
        if self._is_plain:
            return found.columns
        try:
            return [
                column
                if convert is None
                else [None if value is None else convert(value) for value in column]
                for column, convert in zip(found.columns, self._converters, strict=True)
            ]
        except (OverflowError, ValueError) as error:
            raise InvalidTimes(
                f"{self.label} has times beyond the years 1 to 9999, which Python has none of",
                cause=str(error),
                hint="get_online_features(...).to_polars() has them",
            ) from error

    def exact(self, found: Found) -> list[Sequence[Value]]:
        """The columns, with times of any year: as they are stored if they are no part of others."""
        return [
            column
            if convert is None or type.kind in COUNTED
            else [None if value is None else convert(value) for value in column]
            for column, convert, type in zip(
                found.columns, self._converters, self.types, strict=True
            )
        ]

    def age(self, time: int, now: int) -> int:
        """As a join tells it: since the row's time, or since the latest bucket end that is known.

        At most 2**63 - 1.
        """
        since = time if self._interval is None else self._latest(now)
        return min(now - since, _LONGEST)

    def _each(
        self, values: Sequence[bytes | None], now: int
    ) -> tuple[list[Sequence[Value]], list[Status] | None]:
        """By place what is seen of each, row by row."""
        seen, nothing = self._reader.seen, (None,) * self._reader.width
        rows, statuses = list[tuple[Value, ...]](), list[Status]()
        for value in values:
            row = None if value is None else seen(value, now)
            rows.append(nothing if row is None else row)
            if row is not None:
                statuses.append("present")
            else:
                statuses.append("missing" if value is None else "not_yet")
        columns: list[Sequence[Value]] = [*zip(*rows, strict=True)]
        is_whole = statuses.count("present") == len(statuses)
        return columns or [()] * self._reader.width, None if is_whole else statuses

    def _young(
        self,
        columns: Sequence[Sequence[Value]],
        times: Sequence[int | None],
        statuses: list[Status] | None,
        now: int,
    ) -> Found:
        """What `max_age` leaves."""
        assert self._max_age is not None
        if self._interval is None:
            oldest = now - self._max_age
            old = [n for n, time in enumerate(times) if time is not None and time < oldest]
        elif any(time is not None for time in times) and self.age(0, now) > self._max_age:
            old = [n for n, time in enumerate(times) if time is not None]
        else:
            old = []
        if not old:
            return Found(columns, times, statuses)
        statuses = statuses or ["present"] * len(times)
        kept = [[*column] for column in columns]
        for number in old:
            statuses[number] = "too_old"
            for column in kept:
                column[number] = None
        return Found(kept, times, statuses)

    def _latest(self, now: int) -> int:
        """The latest bucket end that is known at a moment: none after the horizon is."""
        assert self._interval is not None
        at = now if self.served.horizon is None else min(now, self.served.horizon)
        begin, end = self._bucket
        if not begin <= at < end:
            begin, end = bucket_around(self._interval, self.served.timezone, at)
            self._bucket = begin, end
        return begin

    def _ask_frame(self, entities: pl.DataFrame) -> list[bytes | None]:
        lacking = [name for name in self._lacking(entities.columns) if name not in entities.columns]
        if lacking:
            raise InvalidEntities(
                f"the entities have no column {', '.join(lacking)}, the key of {self.label}",
                cause=f"they have {', '.join(entities.columns) or 'none'}",
                hint=did_you_mean(lacking[0], entities.columns),
            )
        types = {c.name: to_polars(c.type) for c in self.served.layout.columns}
        wanted = {key: types[key] for key in self.served.layout.keys}
        casts = Keys(self._keys, self._on, wanted, entities.columns, rows="entities")
        keys = casts.of(entities)
        casts.check()
        # What does not fit was told.
        assert keys is not None
        packed: list[bytes | None] = packed_keys(
            canonical_table(keys.to_arrow()), self.served.layout
        ).to_pylist()
        return packed

    def _lacking(self, known: Sequence[str]) -> list[str]:
        """Columns without which there is no key; surrogates are made of theirs."""
        lacking = list[str]()
        for key, name in zip(self._keys.keys, self._key_names, strict=True):
            made = self._made_of(key)
            if name not in known and not (made and {*made} <= {*known}):
                lacking.append(name)
        return lacking

    def _made_of(self, key: str) -> tuple[str, ...]:
        """The entities' columns that a key is made of, if it is."""
        if key in self._on:
            return ()
        for surrogate in self._keys.surrogates:
            if surrogate.key == key:
                return tuple(self._on.get(name, name) for name in surrogate.columns)
        return ()

    def _with_surrogates(
        self, entities: Sequence[Mapping[str, Value]]
    ) -> Sequence[Mapping[str, Value]]:
        """The entities with the keys that are made of their other columns. A map goes first."""
        found = [dict(entity) for entity in entities]
        for surrogate in self._keys.surrogates:
            key, columns = surrogate.key, self._made_of(surrogate.key)
            is_mapped = any(name in self._on for name in surrogate.columns)
            rows = [e for e in found if (is_mapped or key not in e) and e.keys() >= {*columns}]
            if columns and rows:
                frame = frame_of([{name: row[name] for name in columns} for row in rows])
                made = frame.select(surrogate_key(*columns).alias(key))[key]
                for row, value in zip(rows, made, strict=True):
                    row[key] = value
        return found

    def _without_key(self, entities: Sequence[Mapping[str, Value]]) -> InvalidEntities:
        number, entity = next(
            (n, e) for n, e in enumerate(entities) if not e.keys() >= {*self._key_names}
        )
        lacking = [name for name in self._key_names if name not in entity]
        made = [" and ".join(self._made_of(key)) for key in lacking]
        return InvalidEntities(
            f"entity {number} has no {', '.join(lacking)}, the key of {self.label}",
            cause=f"it has {', '.join(map(str, entity)) or 'nothing'}",
            hint=f"add {', or '.join(filter(None, [', '.join(lacking), *made]))}",
        )


def frame_of(
    rows: Sequence[Mapping[str, Value]], types: Mapping[str, pl.DataType] | None = None
) -> pl.DataFrame:
    """Rows as a frame; columns of `types` in these types. Raises InvalidEntities."""
    if not rows:
        return pl.DataFrame(schema=types)
    try:
        return pl.DataFrame(rows, infer_schema_length=None, schema_overrides=types)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise InvalidEntities(
            "the entities are no rows of one table",
            cause=f"{type(error).__name__}: {error}",
            hint="each column needs one type",
        ) from error
