"""Rolling: which metrics a declaration means, their names and their types."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mlforge.definitions.rolling import Aggregation, Metric, Rolling, parse_metrics
from mlforge.times import Duration
from mlforge.types import DataType

DAY = Duration.parse("1d")


def names(*rollings: Rolling, interval: Duration | None = DAY) -> list[str]:
    problems = list[str]()
    metrics = parse_metrics(rollings, interval, problems)
    assert problems == []
    return [metric.output_name("f", interval or DAY) for metric in metrics]


def mistakes(*rollings: object, interval: Duration | None = DAY) -> list[str]:
    problems = list[str]()
    parse_metrics(rollings, interval, problems)  # type: ignore[arg-type]
    return problems


def test_a_metric_is_named_in_the_users_spelling() -> None:
    assert names(Rolling(["7d", "2w"], {"n": ["sum", "max"]})) == [
        "f__n__sum__1d__7d",
        "f__n__sum__1d__2w",
        "f__n__max__1d__7d",
        "f__n__max__1d__2w",
    ]


def test_several_rollings_follow_each_other() -> None:
    one, other = Rolling(["7d"], {"n": "sum"}), Rolling([timedelta(2)], {"n": ["sum"], "m": "min"})
    assert names(one, other) == ["f__n__sum__1d__7d", "f__n__sum__1d__2d", "f__m__min__1d__2d"]


@pytest.mark.parametrize(
    ("rolling", "mistake"),
    [
        (Rolling("7d", {"n": ["sum"]}), "windows='7d' is not a list of durations"),
        (Rolling([], {"n": ["sum"]}), "windows=[] is not a list"),
        (Rolling(7, {"n": ["sum"]}), "windows=7 is not a list"),  # type: ignore[arg-type]
        (Rolling(["36h"], {"n": ["sum"]}), "window 36h is no multiple of the interval 1d"),
        (Rolling(["1h"], {"n": ["sum"]}), "window 1h is no multiple of the interval 1d"),
        (Rolling(["0d"], {"n": ["sum"]}), "window '0d' is not a duration"),
        (Rolling(["7d", "1w"], {"n": ["sum"]}), "sum of n over 1w stands twice"),
        (Rolling(["7d"], {"n": ["sum", "sum"]}), "sum of n over 7d stands twice"),
        (Rolling(["7d"], {"n": ["total"]}), "'total' of n is not an aggregation (count, sum,"),
        (Rolling(["7d"], {"n": [5]}), "5 of n is not an aggregation"),  # type: ignore[list-item]
        (Rolling(["7d"], {"n": None}), "None of n is not a list"),  # type: ignore[dict-item]
        (Rolling(["7d"], {"n": []}), "[] of n is not a list of aggregations"),
        (Rolling(["7d"], {}), "aggregations={} maps no column to a list"),
        (Rolling(["7d"], ["sum"]), "aggregations=['sum'] maps no column"),  # type: ignore[arg-type]
    ],
)
def test_a_mistake_is_told(rolling: Rolling, mistake: str) -> None:
    assert any(mistake in found for found in mistakes(rolling))


def test_two_rollings_may_not_say_the_same() -> None:
    rolling = Rolling(["7d"], {"n": ["sum"]})
    assert mistakes(rolling, rolling) == ["metrics: sum of n over 7d stands twice"]


def test_metrics_are_checked_without_an_interval_too() -> None:
    assert len(mistakes(Rolling(["soon"], {"n": ["total"]}), interval=None)) == 2


@pytest.mark.parametrize(
    ("aggregation", "column", "output"),
    [
        ("count", "string", "int64"),
        ("sum", "int8", "int64"),
        ("sum", "uint64", "int64"),
        ("sum", "bool", "int64"),
        ("sum", "float32", "float64"),
        ("sum", "decimal[9,2]", "decimal[38,2]"),
        ("sum", "string", None),
        ("sum", "datetime[UTC]", None),
        ("mean", "int64", "float64"),
        ("mean", "decimal[9,2]", "float64"),
        ("mean", "date", None),
        ("min", "string", "string"),
        ("max", "float32", "float32"),
        ("max", "date", "date"),
    ],
)
def test_an_aggregation_has_a_type_or_is_refused(
    aggregation: str, column: str, output: str | None
) -> None:
    metric = Metric("n", Aggregation(aggregation), DAY)
    assert metric.accepts(DataType.parse(column)) is (output is not None)
    if output:
        assert str(metric.output_type(DataType.parse(column))) == output
