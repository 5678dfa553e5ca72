"""Feature: a declared function; `@feature` records, `parse` makes it exact or says all mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, TypeAlias

from mlforge.definitions.entity import Entity
from mlforge.definitions.rolling import Metric, Rolling, parse_metrics
from mlforge.definitions.source import Source
from mlforge.definitions.timezone import (
    Ambiguous,
    check_interval,
    parse_ambiguous,
    parse_timezone,
)
from mlforge.definitions.validators import Validator, problems_of
from mlforge.errors import InvalidDuration, InvalidName, InvalidUsage
from mlforge.ids import parse_name
from mlforge.plugins import check_engine
from mlforge.schema import Surrogate
from mlforge.times import Duration

if TYPE_CHECKING:
    import polars as pl

    from mlforge.arrow import ArrowFrame

    Function: TypeAlias = Callable[[pl.LazyFrame], pl.LazyFrame | ArrowFrame]

DateIs = Literal["end", "start"]


@dataclass(frozen=True, slots=True)
class Options:
    """What `@feature` was given, unchecked."""

    keys: Sequence[str] | None
    entities: Sequence[Entity] | None
    source: Source | str | Path
    timestamp: str | None
    interval: str | timedelta | None
    metrics: Sequence[Rolling] | None
    validators: Mapping[str, Sequence[Validator]] | None
    description: str | None
    owner: str | None
    tags: Sequence[str] | None
    max_age: str | timedelta | None
    timezone: str | None
    ambiguous: str
    date_is: str
    tiebreak: Sequence[str] | None
    renamed_from: str | None
    engine: str | None
    created: str | None


class Declaration:
    """A function under `@feature`; calling it calls the function."""

    def __init__(self, function: Function, options: Options) -> None:
        self.function = function
        self.options = options
        self.name: str = getattr(function, "__name__", "?")
        self.__doc__ = function.__doc__

    def __call__(self, frame: pl.LazyFrame) -> pl.LazyFrame | ArrowFrame:
        return self.function(frame)

    def __repr__(self) -> str:
        return f"<feature {self.name}>"

    @property
    def place(self) -> tuple[str, int]:
        """The file and the line that declare it."""
        code = getattr(self.function, "__code__", None)
        return (code.co_filename, code.co_firstlineno) if code else ("?", 0)


@dataclass(frozen=True, slots=True)
class Feature:
    """A checked feature."""

    name: str
    function: Function
    keys: tuple[str, ...]
    entities: tuple[str, ...]
    surrogates: tuple[Surrogate, ...]
    source: Source
    timestamp: str | None
    interval: Duration | None
    metrics: tuple[Metric, ...]
    validators: tuple[tuple[str, Validator], ...]
    description: str | None
    owner: str | None
    tags: tuple[str, ...]
    max_age: Duration | None
    date_is: DateIs
    tiebreak: tuple[str, ...]
    file: str
    line: int
    renamed_from: str | None = None
    engine: str | None = None
    timezone: str | None = None
    ambiguous: Ambiguous = "raise"
    created: str | None = None

    @property
    def times(self) -> tuple[str, ...]:
        """The columns that say when a row was known: event time, then when it became visible."""
        return tuple(name for name in (self.timestamp, self.created) if name is not None)

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that identify a row and that rows are sorted by."""
        return (*self.keys, *self.times)


def feature(
    *,
    source: Source | str | Path,
    keys: Sequence[str] | None = None,
    entities: Sequence[Entity] | None = None,
    timestamp: str | None = None,
    interval: str | timedelta | None = None,
    metrics: Sequence[Rolling] | None = None,
    validators: Mapping[str, Sequence[Validator]] | None = None,
    description: str | None = None,
    tags: Sequence[str] | None = None,
    owner: str | None = None,
    max_age: str | timedelta | None = None,
    created: str | None = None,
    timezone: str | None = None,
    ambiguous: str = "raise",
    date_is: str = "end",
    tiebreak: Sequence[str] | None = None,
    engine: str | None = None,
    renamed_from: str | None = None,
) -> Callable[[Function], Declaration]:
    """Declare a feature: a function that gets its source as a LazyFrame and returns rows.

    It may return a LazyFrame or any Arrow frame. Code that needs a DataFrame is run again on one.
    Its name is the feature's name. Mistakes are not reported here but by `Definitions`, all at
    once.

    Who and when: `keys` are the columns that say what a row is about, or `entities` with their
    `join_key`. `timestamp` is the column that says when a row was known; without it the feature
    is static. `timezone`: the zone whose local times naive times are (`"Europe/Berlin"`), and
    whose days the intervals follow; without it they are UTC. `ambiguous`: a local time that comes
    twice or never, as clocks are changed, is an error (`"raise"`), or the `"earliest"` instant that
    it can be. `date_is`: whether a date means its day's `"end"` or `"start"`. `created` is the
    column that says when a row became visible, for rows that arrive late or are corrected; without
    metrics only. `max_age`: rows older than that are null in training data. Durations: `30s 15m 1h
    1d 1w` or `timedelta`.

    What: `source` is a path or a Source. With `metrics`, rows are aggregated over windows of
    whole `interval`s, which may be months (`1mo`) or years (`1y`) too, and only keys, timestamp
    and metrics are kept; without, the function's columns are. `tiebreak`: of rows with equal keys
    and timestamp, the greatest by these columns is kept. `validators`: by column, run on what the
    function returns; one that fails stops the feature. `renamed_from`: the name whose versions it
    continues. `engine`: `"polars"`, `"duckdb"` for data larger than memory, or another that is
    installed; None: the project's.

    Rules: docs/semantics.md#time, docs/semantics.md#rolling-windows,
    docs/semantics.md#features-without-metrics.
    """
    options = Options(
        keys=keys,
        entities=entities,
        source=source,
        timestamp=timestamp,
        interval=interval,
        metrics=metrics,
        validators=validators,
        description=description,
        owner=owner,
        tags=tags,
        max_age=max_age,
        timezone=timezone,
        ambiguous=ambiguous,
        date_is=date_is,
        tiebreak=tiebreak,
        renamed_from=renamed_from,
        engine=engine,
        created=created,
    )

    def record(function: Function) -> Declaration:
        declaration = Declaration(function, options)
        namespace: dict[str, object] = getattr(function, "__globals__", {})
        known = namespace.setdefault(_RECORDED, [])
        assert isinstance(known, list)
        known.append(declaration)
        return declaration

    return record


# Where a module keeps what `@feature` has recorded in it, in order.
_RECORDED = "__mlforge_features__"


def recorded_in(module: ModuleType) -> list[Declaration]:
    """Every feature declared in a module, also those whose name was taken again."""
    return list(getattr(module, _RECORDED, []))


def parse(declaration: Declaration) -> tuple[Feature | None, list[str]]:
    """The checked feature, or None with everything that is wrong, each with file and line."""
    options, problems = declaration.options, list[str]()
    file, line = declaration.place
    _parse_name(declaration.name, "name of a feature", problems)
    entities = _parse_entities(options, problems)
    keys = _parse_keys(options, entities, problems)
    source = options.source if isinstance(options.source, Source) else Source(options.source)
    problems += source.problems()
    interval = _parse_duration("interval", options.interval, problems)
    metrics = _parse_metrics(options, interval, problems)
    parsed = Feature(
        name=declaration.name,
        function=declaration.function,
        keys=keys,
        entities=tuple(str(entity.name) for entity in entities),
        surrogates=_surrogates(entities),
        source=source,
        timestamp=_parse_timestamp(options, keys, problems),
        interval=interval,
        metrics=metrics,
        validators=_parse_validators(options.validators or {}, problems),
        description=_parse_text("description", options.description, problems),
        owner=_parse_text("owner", options.owner, problems),
        tags=_parse_list("tags", options.tags, problems),
        max_age=_parse_duration("max_age", options.max_age, problems, Duration.parse_fixed),
        date_is="start" if options.date_is == "start" else "end",
        tiebreak=_parse_list("tiebreak", options.tiebreak, problems),
        file=file,
        line=line,
        renamed_from=options.renamed_from,
        engine=options.engine,
        timezone=parse_timezone(options.timezone, problems),
        ambiguous=parse_ambiguous(options.ambiguous, options.timezone, problems),
        created=_parse_created(options, keys, problems),
    )
    _check_rules(options, parsed, problems)
    where = f"{file}:{line}: {declaration.name}: "
    return (None if problems else parsed), [where + problem for problem in problems]


def _check_rules(options: Options, feature: Feature, problems: list[str]) -> None:
    if feature.engine is not None:
        _check_engine(feature.engine, problems)
    if feature.renamed_from is not None:
        _parse_name(feature.renamed_from, "name that renamed_from= gives", problems)
        if feature.renamed_from == feature.name:
            problems.append(f"renamed_from={feature.renamed_from!r} is its own name")
    if options.date_is not in ("end", "start"):
        problems.append(f"date_is={options.date_is!r} is not 'end' or 'start'")
    if feature.max_age and not feature.timestamp:
        problems.append("max_age needs a timestamp")
    if feature.interval and not options.metrics:
        problems.append("interval is for metrics, and there are none")
    if feature.timezone and not feature.timestamp:
        problems.append("timezone needs a timestamp")
    if feature.interval and feature.timezone:
        check_interval(feature.interval, problems)
    if feature.tiebreak and options.metrics:
        problems.append("tiebreak is for features without metrics")
    for metric in feature.metrics:
        if metric.column in feature.order:
            problems.append(f"metrics: {metric.column} is a key or the timestamp")
        if feature.interval:
            name = metric.output_name(feature.name, feature.interval)
            _parse_name(name, "name of a column", problems)


def _check_engine(engine: object, problems: list[str]) -> None:
    try:
        check_engine(engine if isinstance(engine, str) else repr(engine))
    except InvalidUsage as error:
        problems.append(f"engine={engine!r}: {error.message}")


def _parse_name(name: object, what: str, problems: list[str]) -> None:
    try:
        parse_name(name if isinstance(name, str) else repr(name), what)
    except InvalidName as error:
        problems.append(error.message)


def _parse_keys(
    options: Options, entities: tuple[Entity, ...], problems: list[str]
) -> tuple[str, ...]:
    if (options.keys is None) == (options.entities is None):
        problems.append("give either keys= or entities=")
        return ()
    if options.entities is None:
        keys = _parse_list("keys", options.keys, problems)
    else:
        keys = _parse_list("join_key", [entity.join_key for entity in entities], problems)
    if not (options.keys or options.entities):
        problems.append("keys= is empty")
    if len({key.lower() for key in keys}) < len(keys):
        problems.append(f"keys={list(keys)!r} names a column twice")
    for key in keys:
        _parse_name(key, "name of a key", problems)
    return keys


def _parse_entities(options: Options, problems: list[str]) -> tuple[Entity, ...]:
    declared = options.entities or ()
    is_list = isinstance(declared, Sequence)
    if not is_list or not all(isinstance(entity, Entity) for entity in declared):
        problems.append(f"entities={declared!r} is not a list of Entity")
        return ()
    for entity in declared:
        _parse_name(entity.name, "name of an entity", problems)
        columns = _parse_list(f"entity {entity.name}: from_columns", entity.from_columns, problems)
        for column in columns:
            _parse_name(column, "name of a column", problems)
        if entity.from_columns is not None and not columns:
            problems.append(f"entity {entity.name}: from_columns= is empty")
        if len({*columns}) < len(columns) or entity.join_key in columns:
            problems.append(f"entity {entity.name}: from_columns= names a column twice")
    return tuple(declared)


def _surrogates(entities: tuple[Entity, ...]) -> tuple[Surrogate, ...]:
    return tuple(
        Surrogate(entity.join_key, tuple(entity.from_columns))
        for entity in entities
        if entity.from_columns
    )


def _parse_timestamp(options: Options, keys: tuple[str, ...], problems: list[str]) -> str | None:
    if options.timestamp is None:
        if options.metrics:
            problems.append("metrics need a timestamp")
        return None
    _parse_name(options.timestamp, "timestamp", problems)
    if options.timestamp in keys:
        problems.append(f"timestamp={options.timestamp!r} is also a key")
    return options.timestamp


def _parse_created(options: Options, keys: tuple[str, ...], problems: list[str]) -> str | None:
    if options.created is None:
        return None
    _parse_name(options.created, "name that created= gives", problems)
    if options.metrics:
        problems.append("created is for features without metrics")
    if options.timestamp is None:
        problems.append("created needs a timestamp")
    if options.created in (*keys, options.timestamp):
        problems.append(f"created={options.created!r} is also a key or the timestamp")
    return options.created


def _parse_metrics(
    options: Options, interval: Duration | None, problems: list[str]
) -> tuple[Metric, ...]:
    if not options.metrics:
        return ()
    if options.interval is None:
        problems.append("metrics need an interval")
    if not isinstance(options.metrics, Sequence):
        problems.append(f"metrics={options.metrics!r} is not a list of Rolling")
        return ()
    return parse_metrics(options.metrics, interval, problems)


def _parse_duration(
    what: str,
    value: str | timedelta | None,
    problems: list[str],
    parse: Callable[[str | timedelta], Duration] = Duration.parse,
) -> Duration | None:
    if value is None:
        return None
    try:
        return parse(value)
    except InvalidDuration as error:
        problems.append(f"{what}: {error.message}")
        return None


def _parse_validators(
    declared: Mapping[str, Sequence[Validator]], problems: list[str]
) -> tuple[tuple[str, Validator], ...]:
    parsed = []
    if not isinstance(declared, Mapping):
        problems.append(f"validators={declared!r} maps no column to a list")
        return ()
    for column, validators in declared.items():
        for validator in validators if isinstance(validators, Sequence) else [validators]:
            if not isinstance(validator, Validator):
                problems.append(f"validators: {column}: {validator!r} is not a validator")
                continue
            problems += problems_of(column, validator)
            parsed.append((column, validator))
    return tuple(parsed)


def _parse_list(what: str, value: Sequence[str] | None, problems: list[str]) -> tuple[str, ...]:
    if value is None:
        return ()
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not all(isinstance(item, str) for item in value):
        problems.append(f"{what}={value!r} is not a list of names")
        return ()
    return tuple(value)


def _parse_text(what: str, value: str | None, problems: list[str]) -> str | None:
    if value is not None and not isinstance(value, str):
        problems.append(f"{what}={value!r} is not text")
        return None
    return value
