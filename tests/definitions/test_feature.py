"""Feature: every mistake of a declaration at once, each with its file and line."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from mlforge.definitions.entity import Entity
from mlforge.definitions.feature import Declaration, feature, parse
from mlforge.definitions.registry import Registry
from mlforge.definitions.rolling import Rolling
from mlforge.definitions.validators import in_range, is_in, matches_regex, not_null
from mlforge.errors import InvalidDefinitions

PLAIN = {"source": "a.parquet", "keys": ["user"]}
ROLLED = {
    **PLAIN,
    "timestamp": "at",
    "interval": "1d",
    "metrics": [Rolling(["7d"], {"n": ["sum"]})],
}
TIMED = {**PLAIN, "timestamp": "at"}
ZONED = {**ROLLED, "timezone": "Europe/Berlin"}
MONTHLY = {**ROLLED, "metrics": [Rolling(["1y"], {"n": ["sum"]})]}


def function(frame: pl.LazyFrame) -> pl.LazyFrame:
    """What is counted."""
    return frame.head(1)


def declared(**options: object) -> Declaration:
    return feature(**options)(function)  # type: ignore[arg-type]


def mistakes(**options: object) -> list[str]:
    """What is wrong, without the place that each line begins with."""
    parsed, problems = parse(declared(**options))
    assert (parsed is None) is bool(problems)
    return [problem.split(": function: ", 1)[1] for problem in problems]


def test_a_declaration_is_still_its_function() -> None:
    frame = pl.LazyFrame({"a": [1, 2]})
    assert declared(**PLAIN)(frame).collect().rows() == [(1,)]
    assert declared(**PLAIN).__doc__ == "What is counted."
    assert repr(declared(**PLAIN)) == "<feature function>"


def test_a_plain_feature_has_all_defaults() -> None:
    parsed, problems = parse(declared(**PLAIN))
    assert problems == []
    assert parsed
    assert (parsed.name, parsed.keys, parsed.order) == ("function", ("user",), ("user",))
    assert (parsed.source.text, parsed.timestamp, parsed.date_is) == ("a.parquet", None, "end")


def test_entities_give_keys_in_their_order() -> None:
    entities = [Entity("user", "user_id"), Entity("shop", "shop_id")]
    parsed, _ = parse(declared(source="a.csv", entities=entities, timestamp="at"))
    assert parsed
    assert (parsed.keys, parsed.entities) == (("user_id", "shop_id"), ("user", "shop"))
    assert parsed.order == ("user_id", "shop_id", "at")


def test_durations_may_be_timedeltas() -> None:
    options = {**ROLLED, "interval": timedelta(days=1), "max_age": timedelta(hours=36)}
    parsed, _ = parse(declared(**options))
    assert parsed
    assert (str(parsed.interval), str(parsed.max_age)) == ("1d", "36h")


WRONG: list[tuple[dict[str, object], str]] = [
    ({"source": "a.parquet"}, "give either keys= or entities="),
    ({**PLAIN, "entities": [Entity("u", "u")]}, "give either keys= or entities="),
    ({**PLAIN, "keys": []}, "keys= is empty"),
    ({**PLAIN, "keys": "user"}, "keys='user' is not a list of names"),
    ({**PLAIN, "keys": 5}, "keys=5 is not a list of names"),
    ({**PLAIN, "keys": ["user", 5]}, "keys=['user', 5] is not a list of names"),
    ({**PLAIN, "keys": ["a b"]}, "'a b' cannot be the name of a key"),
    ({**PLAIN, "keys": ["user", "User"]}, "keys=['user', 'User'] names a column twice"),
    ({"source": "a.csv", "entities": []}, "keys= is empty"),
    ({"source": "a.csv", "entities": Entity("u", "u")}, "is not a list of Entity"),
    ({"source": "a.csv", "entities": ["user"]}, "entities=['user'] is not a list of Entity"),
    ({"source": "a.csv", "entities": [Entity("a b", "u")]}, "cannot be the name of an entity"),
    ({"source": "a.csv", "entities": [Entity("u", 5)]}, "join_key=[5] is not a list of names"),
    (
        {"source": "a.csv", "entities": [Entity("u", "u", from_columns=[])]},
        "entity u: from_columns= is empty",
    ),
    (
        {"source": "a.csv", "entities": [Entity("u", "u", from_columns=["a", "a"])]},
        "entity u: from_columns= names a column twice",
    ),
    (
        {"source": "a.csv", "entities": [Entity("u", "u", from_columns="ab")]},
        "entity u: from_columns='ab' is not a list of names",
    ),
    ({**PLAIN, "source": ""}, "source"),
    ({**PLAIN, "source": "a.xlsx"}, "source 'a.xlsx': 'xlsx' is not parquet, csv or arrow"),
    ({**PLAIN, "timestamp": "event time"}, "'event time' cannot be the timestamp"),
    ({**PLAIN, "timestamp": 5}, "cannot be the timestamp"),
    ({**PLAIN, "timestamp": "user"}, "timestamp='user' is also a key"),
    ({**PLAIN, "max_age": "30d"}, "max_age needs a timestamp"),
    ({**PLAIN, "timestamp": "at", "max_age": "month"}, "max_age: 'month' is not a duration"),
    ({**PLAIN, "timestamp": "at", "max_age": 30}, "max_age: 30 is not a duration"),
    ({**PLAIN, "interval": "1d"}, "interval is for metrics, and there are none"),
    ({**ROLLED, "interval": None}, "metrics need an interval"),
    ({**ROLLED, "timestamp": None}, "metrics need a timestamp"),
    ({**ROLLED, "interval": "1.5d"}, "interval: '1.5d' is not a duration"),
    ({**ROLLED, "metrics": Rolling(["7d"], {"n": ["sum"]})}, "is not a list of Rolling"),
    ({**ROLLED, "metrics": ["sum"]}, "metrics: 'sum' is not a Rolling"),
    ({**ROLLED, "metrics": [Rolling(["7d"], {"user": ["count"]})]}, "user is a key or the"),
    ({**ROLLED, "metrics": [Rolling(["7d"], {"at": ["max"]})]}, "at is a key or the timestamp"),
    ({**ROLLED, "metrics": [Rolling(["7d"], {"a b": ["sum"]})]}, "cannot be the name of a column"),
    ({**ROLLED, "metrics": [Rolling(["7d"], {"n" * 90: ["sum"]})]}, "cannot be the name of a col"),
    ({**ROLLED, "tiebreak": ["n"]}, "tiebreak is for features without metrics"),
    ({**PLAIN, "tiebreak": "n"}, "tiebreak='n' is not a list of names"),
    ({**PLAIN, "date_is": "middle"}, "date_is='middle' is not 'end' or 'start'"),
    ({**PLAIN, "timezone": "Europe/Berlin"}, "timezone needs a timestamp"),
    (
        {**TIMED, "timezone": "Europe/Berlinn"},
        "timezone: no time zone is called 'Europe/Berlinn' (",
    ),
    ({**TIMED, "timezone": 1}, "timezone: no time zone is called '1'"),
    ({**TIMED, "ambiguous": "earliest"}, "ambiguous is for local times: it needs a timezone"),
    ({**TIMED, "ambiguous": "latest"}, "ambiguous='latest' is not 'raise' or 'earliest'"),
    ({**ZONED, "interval": "36h"}, "interval 36h is no whole number of days, as a timezone needs"),
    ({**ZONED, "interval": "7h"}, "interval 7h does not divide a day, as a timezone needs it"),
    ({**TIMED, "max_age": "1mo"}, "max_age: '1mo' has no fixed length"),
    ({**ROLLED, "interval": "1mo"}, "window 7d has another unit than interval 1mo"),
    ({**MONTHLY, "interval": "1d"}, "window 1y has another unit than interval 1d"),
    ({**MONTHLY, "interval": "1mo"}, "window 1y has another unit than interval 1mo"),
    ({**MONTHLY, "interval": "2y"}, "window 1y is no multiple of the interval 2y"),
    ({**PLAIN, "tags": "daily"}, "tags='daily' is not a list of names"),
    ({**PLAIN, "owner": 5}, "owner=5 is not text"),
    ({**PLAIN, "description": ["x"]}, "description=['x'] is not text"),
    ({**PLAIN, "validators": [not_null()]}, "maps no column to a list"),
    ({**PLAIN, "validators": {"n": ["not_null"]}}, "n: 'not_null' is not a validator"),
    ({**PLAIN, "validators": {"n": [not_null]}}, "is not a validator"),
    ({**PLAIN, "validators": {"n": [matches_regex("(")]}}, "n: the pattern '(' is wrong"),
    ({**PLAIN, "validators": {"n": [in_range(2, 1)]}}, "n: no value is in [2, 1]"),
    ({**PLAIN, "validators": {"n": [in_range(2, "a")]}}, "n: 2 and 'a' cannot be compared"),
    ({**PLAIN, "validators": {"n": [is_in([])]}}, "n: is_in needs at least one value"),
]


@pytest.mark.parametrize(("options", "mistake"), WRONG)
def test_a_mistake_is_told(options: dict[str, object], mistake: str) -> None:
    assert [found for found in mistakes(**options) if mistake in found]


ELSEWHERE: list[tuple[dict[str, object], str]] = [
    ({**PLAIN, "created": "loaded_at"}, "created needs a timestamp"),
    ({**TIMED, "created": "at b"}, "'at b' cannot be the name that created= gives"),
    ({**TIMED, "created": "user"}, "created='user' is also a key or the timestamp"),
    ({**ROLLED, "created": "loaded_at"}, "created is for features without metrics"),
    ({**PLAIN, "engine": "duckdb2"}, "engine='duckdb2': no engine is called 'duckdb2'"),
    ({**PLAIN, "engine": 5}, "engine=5: no engine is called '5'"),
    ({**PLAIN, "renamed_from": "a b"}, "'a b' cannot be the name that renamed_from= gives"),
]


@pytest.mark.parametrize(("options", "mistake"), ELSEWHERE, ids=lambda value: str(value)[:40])
def test_a_mistake_is_told_once(options: dict[str, object], mistake: str) -> None:
    found = mistakes(**options)
    assert len(found) == 1
    assert mistake in found[0]


@pytest.mark.parametrize(
    "option",
    [{"timezone": "UTC"}, {"engine": "polars"}, {"engine": "duckdb"}, {"ambiguous": "raise"}],
)
def test_what_is_so_anyway_may_be_said(option: dict[str, object]) -> None:
    assert mistakes(**PLAIN, **option) == []


@pytest.mark.parametrize("interval", ["15m", "1h", "8h", "1d", "24h", "48h", "7d", "1w"])
def test_intervals_of_a_zone_begin_with_its_days(interval: str) -> None:
    windows = [Rolling([interval], {"n": ["sum"]})]
    assert mistakes(**{**ZONED, "interval": interval, "metrics": windows}) == []


@pytest.mark.parametrize(("interval", "windows"), [("1mo", ["1mo", "6mo"]), ("1y", ["1y", "2y"])])
def test_months_and_years_are_intervals_of_windows_in_their_unit(
    interval: str, windows: list[str]
) -> None:
    metrics = [Rolling(windows, {"n": ["sum"]})]
    for options in (ROLLED, ZONED):
        assert mistakes(**{**options, "interval": interval, "metrics": metrics}) == []


def test_ten_mistakes_are_ten_lines_with_one_place() -> None:
    wrong = declared(
        source="a.xlsx",
        keys=["a b"],
        timestamp="2nd",
        interval="1mo",
        metrics=[Rolling(["7d", "soon"], {"n": ["var", "total"]})],
        max_age="old",
        owner=5,
        tags="daily",
        created="at",
        date_is="noon",
    )
    with pytest.raises(InvalidDefinitions) as refused:
        Registry.of([wrong])
    line = function.__code__.co_firstlineno
    assert len(refused.value.problems) == 12
    assert all(f"{__file__}:{line}: function: " in problem for problem in refused.value.problems)


def test_a_lambda_has_no_name_to_build_under() -> None:
    _, problems = parse(feature(**PLAIN)(lambda frame: frame))
    assert "'<lambda>' cannot be the name of a feature" in problems[0]
