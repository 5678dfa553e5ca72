"""Rolling: aggregations over sliding windows of whole intervals, as declared and as parsed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from mlforge.errors import InvalidDuration
from mlforge.times import Duration
from mlforge.types import DataType, TypeKind, decimal, float64, int64


@dataclass(frozen=True, slots=True)
class Rolling:
    """Windows over which columns are aggregated: `Rolling(["7d"], {"amount": ["sum"]})`.

    Windows are positive multiples of the feature's interval; months (`3mo`) of an interval in
    months, years (`1y`) of one in years. Aggregations: `count`, `sum`, `mean`, `min`, `max`, `std`
    (of a sample), `median`. Columns made:
    `{feature}__{column}__{aggregation}__{interval}__{window}`.
    Rule: docs/semantics.md#rolling-windows.
    """

    windows: Sequence[str | timedelta]
    aggregations: Mapping[str, Sequence[str]]


class Aggregation(StrEnum):
    """What becomes of a window's values."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    STD = "std"
    MEDIAN = "median"


@dataclass(frozen=True, slots=True)
class Metric:
    """One output column: an aggregation of a column over a window."""

    column: str
    aggregation: Aggregation
    window: Duration

    def output_name(self, feature: str, interval: Duration) -> str:
        """Rule: docs/semantics.md#rolling-windows."""
        return f"{feature}__{self.column}__{self.aggregation}__{interval}__{self.window}"

    def accepts(self, column: DataType) -> bool:
        match self.aggregation:
            case Aggregation.COUNT:
                return True
            case Aggregation.SUM | Aggregation.MEAN | Aggregation.STD | Aggregation.MEDIAN:
                return column.is_summable
            case Aggregation.MIN | Aggregation.MAX:
                return column.is_ordered

    def output_type(self, column: DataType) -> DataType:
        match self.aggregation:
            case Aggregation.COUNT:
                return int64()
            case Aggregation.MEAN | Aggregation.STD | Aggregation.MEDIAN:
                return float64()
            case Aggregation.SUM if column.kind is TypeKind.DECIMAL:
                return decimal(38, column.scale)
            case Aggregation.SUM:
                return float64() if column.is_float else int64()
            case Aggregation.MIN | Aggregation.MAX:
                return column


def parse_metrics(
    rollings: Sequence[Rolling], interval: Duration | None, problems: list[str]
) -> tuple[Metric, ...]:
    """The metrics of all Rollings in declared order; what is wrong is added to `problems`."""
    metrics: dict[tuple[str, str, int, int], Metric] = {}
    for rolling in rollings:
        if not isinstance(rolling, Rolling):
            problems.append(f"metrics: {rolling!r} is not a Rolling")
            continue
        windows = list(_windows(rolling, interval, problems))
        for column, aggregation in _aggregations(rolling, problems):
            for window in windows:
                metric = Metric(column, aggregation, window)
                identity = (column, aggregation, window.microseconds, window.months)
                if identity in metrics:
                    problems.append(
                        f"metrics: {aggregation} of {column} over {window} stands twice"
                    )
                metrics[identity] = metric
    return tuple(metrics.values())


def _windows(
    rolling: Rolling, interval: Duration | None, problems: list[str]
) -> Iterator[Duration]:
    is_list = isinstance(rolling.windows, Sequence) and not isinstance(rolling.windows, str)
    if not is_list or not rolling.windows:
        problems.append(f"metrics: windows={rolling.windows!r} is not a list of durations")
        return
    for value in rolling.windows:
        try:
            window = Duration.parse(value)
        except InvalidDuration as error:
            problems.append(f"metrics: window {error.message}")
            continue
        if interval and window.unit != interval.unit:
            problems.append(f"metrics: window {window} has another unit than interval {interval}")
        elif interval and not window.is_multiple(interval):
            problems.append(f"metrics: window {window} is no multiple of the interval {interval}")
        else:
            yield window


def _aggregations(rolling: Rolling, problems: list[str]) -> Iterator[tuple[str, Aggregation]]:
    if not isinstance(rolling.aggregations, Mapping) or not rolling.aggregations:
        problems.append(f"metrics: aggregations={rolling.aggregations!r} maps no column to a list")
        return
    for column, names in rolling.aggregations.items():
        if not names or not isinstance(names, Sequence):
            problems.append(f"metrics: {names!r} of {column} is not a list of aggregations")
            continue
        for name in [names] if isinstance(names, str) else names:
            if name not in Aggregation.__members__.values():
                known = ", ".join(Aggregation)
                problems.append(f"metrics: {name!r} of {column} is not an aggregation ({known})")
            else:
                yield column, Aggregation(name)
