"""Serving as users ask for it: features of entities from an online store, now."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, overload

import polars as pl

from mlforge.api.asking import asked_for
from mlforge.api.online import ForeignStore, RedisStore, SQLiteStore
from mlforge.api.store import LocalStore
from mlforge.arrow import ArrowFrame
from mlforge.config import Config, find_config, project_root
from mlforge.definitions.service import FeatureLike, FeatureService
from mlforge.engines.frames import collected, speaks_arrow
from mlforge.errors import InvalidEntities, InvalidUsage, NoProject, NotServed, did_you_mean
from mlforge.flows.asked import COUNTED, AskedFeature, Found, Status, frame_of
from mlforge.flows.lookup import Answer, Question, lookup, lookup_async, names_of
from mlforge.flows.services import Service
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, ContentHash, Version
from mlforge.notebook import Shown, Table
from mlforge.times import human_age, iso
from mlforge.types import DataType, TypeKind
from mlforge.types.polars import to_polars

if TYPE_CHECKING:
    from mlforge.online.base import AsyncOnlineReader, OnlineStore

Row: TypeAlias = Mapping[str, object]
Entities: TypeAlias = Row | Sequence[Row] | ArrowFrame | pl.LazyFrame
Store: TypeAlias = SQLiteStore | RedisStore | ForeignStore

# Kinds of questions that a process goes on with.
_QUESTIONS = 1_000
# Stores that a process keeps open.
_OPENED = 64


@dataclass(frozen=True, slots=True)
class ServedRow:
    """How one entity met one feature.

    `status`: `present`; `missing`: there is no row of it; `not_yet`: only rows whose time is to
    come; `too_old`: the row is older than `max_age` allows. `event_time`: of the row, and of one
    that is too old; UTC. `freshness`: how old it is, as a training set tells ages. Both in
    microseconds, None without a row and for static features. `past_horizon`: present, and asked
    for after the data ends.
    """

    status: Status
    event_time: int | None
    freshness: int | None
    past_horizon: bool


@dataclass(frozen=True, slots=True)
class ServedFeature:
    """Where one feature's columns are from: a version, and the commit that it was head of.

    `since`: from when on what is loaded answers; `horizon`: when its data ends, None if that is
    not known; both in microseconds, UTC. `rows`: one for each entity.
    """

    name: str
    version: Version
    commit: CommitId
    content_hash: ContentHash
    since: int
    horizon: int | None
    columns: tuple[str, ...]
    rows: tuple[ServedRow, ...]


class OnlineFeatures(Shown, Sequence[dict[str, object]]):
    """A row for each entity: its own columns, then those of each feature as they were asked for.

    All columns are always there, None where nothing is known. All rows of a feature are of one
    version; of several features, of versions that were served at one moment.
    """

    __slots__ = ("_answer", "_entities", "_made")

    def __init__(self, entities: Sequence[Row] | pl.DataFrame, answer: Answer) -> None:
        self._entities, self._answer = entities, answer
        self._made: list[dict[str, object]] | None = None

    def __len__(self) -> int:
        return len(self._entities)

    @overload
    def __getitem__(self, at: int) -> dict[str, object]: ...

    @overload
    def __getitem__(self, at: slice) -> list[dict[str, object]]: ...

    def __getitem__(self, at: int | slice) -> dict[str, object] | list[dict[str, object]]:
        return self.to_dicts()[at]

    def __iter__(self) -> Iterator[dict[str, object]]:
        return iter(self.to_dicts())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.to_dicts() == [*other]

    __hash__ = None  # type: ignore[assignment]

    def to_dicts(self) -> list[dict[str, object]]:
        """The rows, with values as Polars gives them. Raises InvalidTimes beyond the year 9999."""
        if self._made is None:
            columns = list[Sequence[object]]()
            for feature, found in self._pairs():
                columns += feature.converted(found)
            names = names_of(self._answer.features)
            entities = self._entities
            rows = entities.to_dicts() if isinstance(entities, pl.DataFrame) else entities
            made = [*map(dict, rows)]
            if columns:
                # As long as each other: this loop is what a row costs.
                for row, values in zip(made, zip(*columns)):  # noqa: B905
                    row.update(zip(names, values))  # noqa: B905
            self._made = made
        return self._made

    def to_polars(self) -> pl.DataFrame:
        """A frame of just the types that training data has, also of no rows.

        Columns of entities that are no keys have the types that Polars finds in their values.
        """
        pairs = self._pairs()
        entities = self._entities
        if not isinstance(entities, pl.DataFrame):
            types = {name: to_polars(t) for f, _ in pairs for name, t in f.key_types.items()}
            known = {name for row in entities for name in row} if entities else {*types}
            entities = frame_of(entities, {n: t for n, t in types.items() if n in known})
        made = list[pl.Series]()
        for feature, found in pairs:
            for name, type, column in zip(
                feature.names, feature.types, feature.exact(found), strict=True
            ):
                made.append(_series(name, type, column))
        return pl.DataFrame([*entities.get_columns(), *made])

    @property
    def statuses(self) -> list[dict[str, Status]]:
        """By entity, the status of each feature, which is called `PREFIX` and its name."""
        told = {f.called: _statuses(found, len(self)) for f, found in self._pairs()}
        return [{name: column[n] for name, column in told.items()} for n in range(len(self))]

    @property
    def metadata(self) -> dict[str, ServedFeature]:
        """Where each feature is from, and how each entity met it."""
        return {f.called: self._told(f, found) for f, found in self._pairs()}

    def _told(self, feature: AskedFeature, found: Found) -> ServedFeature:
        served, now = feature.served, self._answer.now
        times = found.times or [None] * len(self)
        is_past = served.horizon is not None and now > served.horizon
        rows = [
            ServedRow(
                status,
                time,
                None if time is None else feature.age(time, now),
                is_past and status == "present" and time is not None,
            )
            for status, time in zip(_statuses(found, len(self)), times, strict=True)
        ]
        return ServedFeature(
            name=served.feature,
            version=served.version,
            commit=served.commit,
            content_hash=served.content_hash,
            since=served.since,
            horizon=served.horizon,
            columns=feature.names,
            rows=tuple(rows),
        )

    def _pairs(self) -> list[tuple[AskedFeature, Found]]:
        return [*zip(self._answer.features, self._answer.found)]  # noqa: B905

    def _tables(self) -> tuple[Table, ...]:
        rows = tuple(tuple(map(_shown, row.values())) for row in self.to_dicts())
        columns = tuple(self.to_dicts()[0]) if rows else ()
        title = f"OnlineFeatures at {iso(self._answer.now)}"
        return Table(title, columns, rows), Table("served", _SERVED, tuple(self._summary()))

    def _summary(self) -> list[tuple[str, ...]]:
        found = list[tuple[str, ...]]()
        for told in self.metadata.values():
            present = sum(row.status == "present" for row in told.rows)
            ages = [row.freshness for row in told.rows if row.freshness is not None]
            oldest = human_age(max(ages)) if ages else ""
            reference = f"{told.name}@{told.version}"
            found.append((reference, told.commit.short, f"{present} of {len(self)}", oldest))
        return found


_DICTS = {dict}
_SERVED = ("feature", "commit", "present", "oldest")


def get_online_features(
    features: Sequence[FeatureLike | FeatureService],
    entities: Entities,
    *,
    store: Store,
    full_names: bool = False,
) -> OnlineFeatures:
    """The features of entities as they are served now; what training data would have of now.

    `features`: `"name"`, `"name@1.1.0"` if just that version is to be served, a FeatureSpec, a
    FeatureService, or the name of one that was pushed. `entities`: a dict of keys, a list of them,
    or any Arrow frame; they may have other columns. `full_names`: columns are
    `{feature}__{column}`. `store`: SQLiteStore() or RedisStore("redis://..."); what it opens is
    kept, until `store.close()` or exit, and may be used in threads and after a fork.

    A row is served from its event time on, and for as long as `max_age` allows, by this machine's
    clock. Rule: docs/semantics.md#serving.
    Raises InvalidEntities, KeyTypeMismatch, NotServed, ColumnNotFound, ColumnCollision,
    OnlineStoreUnavailable.
    """
    serving = _serving(store, os.getcwd()) if isinstance(store, _STORES) else _no_store(store)
    question, rows = serving.question(features, full_names), _rows(entities)
    try:
        answer = lookup(
            serving.reader, question, rows, now=time.time_ns() // 1_000, tick=time.monotonic()
        )
    except NotServed as error:
        raise serving.hinted(error, question) from None
    return OnlineFeatures(rows, answer)


async def get_online_features_async(
    features: Sequence[FeatureLike | FeatureService],
    entities: Entities,
    *,
    store: Store,
    full_names: bool = False,
) -> OnlineFeatures:
    """As `get_online_features`, in an event loop: while Redis is waited for, others go on.

    SQLite is read by worker threads. Connections are their loop's, and are closed when it ends.
    """
    serving = _serving(store, os.getcwd()) if isinstance(store, _STORES) else _no_store(store)
    question, rows = serving.question(features, full_names), _rows(entities)
    try:
        answer = await lookup_async(
            serving.async_reader, question, rows, now=time.time_ns() // 1_000, tick=time.monotonic()
        )
    except NotServed as error:
        raise serving.hinted(error, question) from None
    return OnlineFeatures(rows, answer)


_STORES = (SQLiteStore, RedisStore, ForeignStore)


class _Here:
    """The project at or above a folder, if something has to be known of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def root(self) -> Path:
        return project_root(self._folder) or self._folder

    @property
    def project(self) -> str:
        return self._config.name

    def workspace(self) -> Workspace:
        return LocalStore(self._config.store_path).workspace()

    @cached_property
    def _config(self) -> Config:
        try:
            return find_config(self._folder)
        except NoProject as error:
            raise NoProject(
                f"{error.message}, and the online store is named by what only a project says",
                cause=error.cause,
                hint='RedisStore(url, "mlforge:PROJECT"), or SQLiteStore("/PATH/online.db")',
            ) from None


class _Serving:
    """A store that is open, and what it was asked for before."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._home = store, _Here(folder)
        self._questions: dict[Hashable, Question] = {}

    @cached_property
    def reader(self) -> OnlineStore:
        return self._store.open(self._home)

    @cached_property
    def async_reader(self) -> AsyncOnlineReader:
        return self._store.open_async(self._home, self.reader)

    def close(self) -> None:
        # What is open is in the places of the properties.
        if "reader" in vars(self):
            self.reader.close()

    async def close_async(self) -> None:
        if "async_reader" in vars(self):
            await self.async_reader.close()
        self.close()

    def question(
        self, features: Sequence[FeatureLike | FeatureService], full_names: bool
    ) -> Question:
        found = None
        # A list or a dict in a FeatureSpec is asked by its text; a text is no list of its letters.
        with suppress(TypeError):
            if not isinstance(features, str):
                found = self._questions.get((*features, full_names))
        return found or self._asked(features, full_names)

    def _asked(
        self, features: Sequence[FeatureLike | FeatureService], full_names: bool
    ) -> Question:
        if isinstance(features, str) or not features:
            hint = f'features=["{features or "NAME"}"]'
            raise InvalidUsage("features= is a list with at least one feature", hint=hint)
        wanted = [want for feature in features for want in asked_for(feature)]
        key = Service("", tuple(wanted)).encode(), full_names
        question = self._questions.get(key)
        if question is None:
            question = Question(wanted, full_names, self.reader.place)
            if len(self._questions) >= _QUESTIONS:
                self._questions.clear()
            self._questions[key] = question
        if all(isinstance(feature, str) for feature in features):
            self._questions[(*features, full_names)] = question
        return question

    def hinted(self, error: NotServed, question: Question) -> NotServed:
        """The error with what is served instead, if that is why."""
        board = self.reader.board()
        pairs = (field.partition(":") for field in board)
        known = [name for kind, _, name in pairs if kind in ("feature", "service")]
        names = [want.reference.name for want in question.wanted]
        unknown = [name for name in names if name not in known]
        if not unknown:
            return error
        hint = did_you_mean(unknown[0], known) or "mlforge online push"
        return NotServed(error.message, cause=error.cause, hint=hint)


# By store, and the folder that a relative path begins at.
_opened: dict[tuple[Store, str], _Serving] = {}


def _serving(store: Store, folder: str) -> _Serving:
    return _opened.get((store, folder)) or _open(store, folder)


def _open(store: Store, folder: str) -> _Serving:
    if len(_opened) >= _OPENED:
        close(next(iter(_opened))[0])
    return _opened.setdefault((store, folder), _Serving(store, Path(folder)))


def close(store: Store) -> None:
    """Close what was opened of a store, in any folder."""
    for serving in _left(store):
        serving.close()


async def close_async(store: Store) -> None:
    """As `close`, and what the running event loop has opened."""
    for serving in _left(store):
        await serving.close_async()


def _left(store: Store) -> Iterator[_Serving]:
    """What is open of a store; nobody else gets it any more."""
    for key in [key for key in [*_opened] if key[0] == store]:
        # Another thread may close it, too.
        if (serving := _opened.pop(key, None)) is not None:
            yield serving


@atexit.register
def _close_all() -> None:
    for store, _ in [*_opened]:
        close(store)


def _no_store(store: object) -> _Serving:
    raise InvalidUsage(
        f"store={store!r} is no online store",
        hint='mlf.SQLiteStore() or mlf.RedisStore("redis://")',
    )


def _rows(entities: Entities) -> Sequence[Row] | pl.DataFrame:
    """Raises InvalidEntities."""
    if isinstance(entities, dict):
        return [entities]
    if isinstance(entities, list | tuple):
        if {*map(type, entities)} == _DICTS:
            return entities
        for number, entity in enumerate(entities):
            if not isinstance(entity, dict) and not isinstance(entity, Mapping):
                raise InvalidEntities(
                    f"entity {number} is {type(entity).__name__}, which is no dict",
                    hint='{"user_id": 7}: keys by name',
                )
        return entities
    if isinstance(entities, Mapping):
        return [entities]
    if isinstance(entities, pl.LazyFrame) or speaks_arrow(entities):
        try:
            return collected(entities)
        except (Exception, pl.exceptions.PanicException) as error:
            raise InvalidEntities(
                "the entities cannot be read as an Arrow frame",
                cause=f"{type(error).__name__}: {error}",
                hint="each column needs one type, and a name of its own",
            ) from error
    raise InvalidEntities(
        f"entities are a dict, a list of dicts or a frame, and no {type(entities).__name__}",
        hint='[{"user_id": 7}]',
    )


def _statuses(found: Found, count: int) -> Sequence[Status]:
    return found.statuses or ["present"] * count


def _series(name: str, type: DataType, column: Sequence[object]) -> pl.Series:
    dtype = to_polars(type)
    if type.kind in COUNTED:
        whole = pl.Int32 if type.kind is TypeKind.DATE else pl.Int64
        # Of a time of day, Polars counts nanoseconds.
        counts = pl.Series(name, column, whole)
        return (counts * 1_000 if type.kind is TypeKind.TIME else counts).cast(dtype)
    return pl.Series(name, column, dtype)


def _shown(value: object) -> str:
    return "" if value is None else str(value)
