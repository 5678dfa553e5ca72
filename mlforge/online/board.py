"""Board: what the fields of an online store's board say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from mlforge.canonical import decode, encode
from mlforge.errors import FormatUnknown, MlforgeError, OnlineStoreCorrupt
from mlforge.ids import CommitId, ContentHash, Version, parse_name
from mlforge.online.base import Load
from mlforge.schema import Column, Surrogate
from mlforge.times import Duration
from mlforge.types import DataType

FORMAT = 1
_LIMIT = 4 << 20
# The field that every switch writes, so that no two of them, whatever they serve, can mix.
HEAD_FIELD = "head"
# What the other fields are called: names of features and services have no colon.
_SERVED, _LOAD, _SERVICE = "feature:", "load:", "service:"

State = Literal["loading", "ready", "dropping"]


def served_field(feature: str) -> str:
    return _SERVED + feature


def load_field(load: str) -> str:
    return _LOAD + load


def service_field(service: str) -> str:
    return _SERVICE + service


def served_of(field: str) -> str | None:
    """The feature that a field says to be served; None of another field."""
    return _after(field, _SERVED)


def load_of(field: str) -> str | None:
    return _after(field, _LOAD)


def service_of(field: str) -> str | None:
    return _after(field, _SERVICE)


def check_field(field: str, where: str) -> None:
    """Raise OnlineStoreCorrupt for a field that no mlforge writes; a later one may have others."""
    with _readable(where):
        name = _after(field, _SERVED) or _after(field, _SERVICE)
        if field.startswith((_SERVED, _SERVICE)):
            parse_name(name or "")
        elif field.startswith(_LOAD):
            Load(field.removeprefix(_LOAD), 1)
        elif not field.isprintable():
            raise ValueError(f"{field!r} is no field of a board")


def _after(field: str, begin: str) -> str | None:
    return field.removeprefix(begin) if field.startswith(begin) else None


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of packed rows: what `encoding.py` needs to read them.

    `columns`: keys, the event time if there is one, then values, in the manifest's order.
    `created`: the column from which on a row may be seen, if there is one.
    """

    keys: tuple[str, ...]
    timestamp: str | None
    created: str | None
    columns: tuple[Column, ...]

    @property
    def values(self) -> tuple[Column, ...]:
        """The columns that are neither key nor event time."""
        taken = {*self.keys, self.timestamp}
        return tuple(column for column in self.columns if column.name not in taken)


@dataclass(frozen=True, slots=True)
class Served:
    """What is served of a feature: a version, the commit that it was head of, and its load.

    Times in microseconds, UTC. `since`: from when on the load's rows answer; what was known only
    before is not in it. `rows`: how many the load has of all entities. `interval`, `max_age`,
    `timezone`, `horizon`, `surrogates`: as the manifest has them.
    """

    feature: str
    version: Version
    commit: CommitId
    content_hash: ContentHash
    load: Load
    layout: Layout
    since: int
    entities: int
    rows: int
    interval: str | None
    timezone: str | None
    max_age: str | None
    horizon: int | None
    surrogates: tuple[Surrogate, ...]

    def encode(self) -> bytes:
        """Canonical JSON: equal entries are equal bytes, which `swap` compares."""
        return encode(
            {
                "format": FORMAT,
                "feature": self.feature,
                "version": str(self.version),
                "commit": str(self.commit),
                "content_hash": str(self.content_hash),
                "load": self.load.id,
                "buckets": self.load.buckets,
                "keys": list(self.layout.keys),
                "timestamp": self.layout.timestamp,
                "created": self.layout.created,
                "columns": [{"name": c.name, "type": str(c.type)} for c in self.layout.columns],
                "since": self.since,
                "entities": self.entities,
                "rows": self.rows,
                "interval": self.interval,
                "timezone": self.timezone,
                "max_age": self.max_age,
                "horizon": self.horizon,
                "surrogates": [{"key": s.key, "columns": list(s.columns)} for s in self.surrogates],
            }
        )

    @classmethod
    def decode(cls, data: bytes, where: str, feature: str) -> Served:
        """What the field of a feature says. `where`: the store, in words.

        Raises OnlineStoreCorrupt, FormatUnknown.
        """
        with _readable(where):
            form = _decoded(data, _ServedForm, where)
            _refuse_contradictions(form, feature)
            columns = tuple(Column(c.name, DataType.parse(c.type)) for c in form.columns)
            return cls(
                feature=form.feature,
                version=Version.parse(form.version),
                commit=CommitId.parse(form.commit),
                content_hash=ContentHash.parse(form.content_hash),
                load=Load(form.load, form.buckets),
                layout=Layout(tuple(form.keys), form.timestamp, form.created, columns),
                since=form.since,
                entities=form.entities,
                rows=form.rows,
                interval=form.interval,
                timezone=form.timezone,
                max_age=form.max_age,
                horizon=form.horizon,
                surrogates=tuple(Surrogate(s.key, tuple(s.columns)) for s in form.surrogates),
            )


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """That a load is there. `content`: a digest of all that its rows are made from but `since`.

    `touched`: when its state was last told, in microseconds: of a load that is served no more, when
    that ended; of one that is being written, when its writer was last alive.
    """

    load: Load
    content: str
    state: State
    since: int
    touched: int
    entities: int = 0
    rows: int = 0

    def encode(self) -> bytes:
        return encode(
            {
                "format": FORMAT,
                "load": self.load.id,
                "buckets": self.load.buckets,
                "content": self.content,
                "state": self.state,
                "since": self.since,
                "touched": self.touched,
                "entities": self.entities,
                "rows": self.rows,
            }
        )

    @classmethod
    def decode(cls, data: bytes, where: str, load: str) -> LoadRecord:
        """What the field of a load says. Raises OnlineStoreCorrupt, FormatUnknown."""
        with _readable(where):
            form = _decoded(data, _LoadForm, where)
            if form.load != load:
                raise ValueError(f"the field of {load} is of {form.load}")
            return cls(
                Load(form.load, form.buckets),
                form.content,
                form.state,
                form.since,
                form.touched,
                form.entities,
                form.rows,
            )


@dataclass(frozen=True, slots=True)
class Head:
    """The commit whose heads are served, and when that began, in microseconds."""

    commit: CommitId
    switched: int

    def encode(self) -> bytes:
        commit = str(self.commit)
        return encode({"format": FORMAT, "commit": commit, "switched": self.switched})

    @classmethod
    def decode(cls, data: bytes, where: str) -> Head:
        """Raises OnlineStoreCorrupt, FormatUnknown."""
        with _readable(where):
            form = _decoded(data, _HeadForm, where)
            return cls(CommitId.parse(form.commit), form.switched)


@dataclass(frozen=True, slots=True)
class _Header:
    format: int


@dataclass(frozen=True, slots=True)
class _HeadForm:
    format: int
    commit: str
    switched: int


@dataclass(frozen=True, slots=True)
class _ColumnForm:
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class _SurrogateForm:
    key: str
    columns: list[str]


@dataclass(frozen=True, slots=True)
class _ServedForm:
    feature: str
    version: str
    commit: str
    content_hash: str
    load: str
    buckets: int
    keys: list[str]
    timestamp: str | None
    created: str | None
    columns: list[_ColumnForm]
    since: int
    entities: int
    rows: int
    interval: str | None
    timezone: str | None
    max_age: str | None
    horizon: int | None
    surrogates: list[_SurrogateForm]


@dataclass(frozen=True, slots=True)
class _LoadForm:
    load: str
    buckets: int
    content: str
    state: State
    since: int
    touched: int
    entities: int
    rows: int


Form = TypeVar("Form", _HeadForm, _ServedForm, _LoadForm)


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """Whatever is wrong with a field is told as damage of the store, which a push mends."""
    try:
        yield
    except FormatUnknown:
        raise
    except (MlforgeError, ValueError) as error:
        cause = error.cause or error.message if isinstance(error, MlforgeError) else str(error)
        raise OnlineStoreCorrupt(
            f"the board of {where} cannot be read", cause=cause, hint="mlforge online push"
        ) from error


def _refuse_contradictions(form: _ServedForm, feature: str) -> None:
    """Raise ValueError for another feature, for keys and times that are no columns, and durations
    that are none.
    """
    if form.feature != feature or not form.load.startswith(f"{feature}:v:"):
        raise ValueError(f"the field of {feature} is of {form.feature}, with the rows {form.load}")
    names = [column.name for column in form.columns]
    times = {name for name in (form.timestamp, form.created) if name is not None}
    if len({*names}) < len(names) or not form.keys or not {*form.keys} | times <= {*names}:
        raise ValueError("its keys and times are not among its columns")
    if times & {*form.keys}:
        raise ValueError("a time is also a key")
    for text in (form.max_age, form.interval):
        if text is not None:
            Duration.parse(text)


def _decoded(data: bytes, form: type[Form], where: str) -> Form:
    header = decode(data, _Header, limit=_LIMIT)
    if header.format == FORMAT:
        return decode(data, form, limit=_LIMIT)
    raise FormatUnknown(
        f"{where} has the format {header.format}; this mlforge reads format {FORMAT}",
        hint="pip install --upgrade mlforge",
    )
