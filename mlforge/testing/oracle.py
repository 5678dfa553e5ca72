"""Oracle: the exact rules in plain Python, slow and obviously right; every engine must agree.

A row is a dict. Instants are int microseconds, a local time of a zone is a naive `datetime`, a day
is a `date`, all else is Python's own type.
Rules: docs/semantics.md.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

import polars as pl

from mlforge.definitions.feature import Feature
from mlforge.definitions.validators import (
    Compares,
    InRange,
    IsIn,
    MatchesRegex,
    NotNull,
    Operator,
    Scalar,
    Unique,
    Validator,
)
from mlforge.errors import ColumnNotFound, DuplicateKeys, InvalidTimes, SumOverflow
from mlforge.pit import PitRule
from mlforge.testing.clocks import (
    end_after,
    end_until,
    first_instant,
    guesses,
    instants_of,
)
from mlforge.times import Duration, to_instant

Number: TypeAlias = bool | int | float | Decimal
Value: TypeAlias = Number | str | bytes | date | time | None
Row: TypeAlias = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a feature's rows must be; `excluded` and `horizon` as in `engines.base.Computed`."""

    rows: tuple[Row, ...]
    excluded: int
    horizon: int | None


@dataclass(frozen=True, slots=True)
class Failing:
    """The rows of the function's output, by index, that a validator refuses."""

    column: str
    validator: Validator
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """What one spine row sees of a table: a row's index, its age, how far past the horizon."""

    row: int | None = None
    age: int = 0
    late: int = 0
    is_too_old: bool = False


# -- a feature's rows -------------------------------------------------------------------------


def compute(feature: Feature, output: Sequence[Row], as_of: int | None = None) -> Answer:
    """The rows of a feature whose function returned `output`, of what was known at `as_of`.

    Raises SumOverflow, DuplicateKeys and InvalidTimes.
    """
    whole = [row for row in output if all(row[name] is not None for name in feature.order)]
    events = [_with_instants(feature, row) for row in whole]
    excluded = len(output) - len(whole)
    if not feature.metrics:
        if feature.timestamp is None or as_of is None:
            return Answer(tuple(_kept(feature, events)), excluded, None)
        known = [row for row in events if _known_from(feature, row) <= as_of]
        return Answer(tuple(_kept(feature, known)), excluded, as_of)
    if as_of is None:
        ends = (_bucket_end(feature, _instant(feature, row)) for row in events)
        horizon = max(ends, default=None)
    else:
        # The last bucket end that is not after it is the end of a bucket that was over.
        assert feature.interval is not None
        horizon = end_until(feature.interval, feature.timezone, as_of)
        events = [row for row in events if _instant(feature, row) < horizon]
    return Answer(tuple(_windows(feature, events, horizon)), excluded, horizon)


def _with_instants(feature: Feature, row: Row) -> Row:
    """The row with its times as instants."""
    return {**row, **{name: _as_instant(feature, name, row[name]) for name in feature.times}}


def _as_instant(feature: Feature, name: str, known: Value) -> Value:
    """A day is known when it is over, unless an event is declared to be known when it starts; as
    an event in a bucket it is the last moment of the day."""
    if type(known) is date:
        start = first_instant(known, feature.timezone)
        end = first_instant(known + timedelta(days=1), feature.timezone)
        is_start = feature.date_is == "start" and name == feature.timestamp
        return start if is_start else end - (1 if feature.metrics else 0)
    return _of_local(feature, known) if isinstance(known, datetime) else known


def _of_local(feature: Feature, known: datetime) -> int:
    """The one instant of a local time, or the earliest that it can be, if that is declared."""
    assert feature.timezone is not None
    local = to_instant(known)
    found = instants_of(local, feature.timezone)
    if len(found) == 1:
        return found[0]
    if feature.ambiguous == "raise":
        raise InvalidTimes(f"{known} is {len(found)} instants")
    return min(guesses(local, feature.timezone))


def _instant(feature: Feature, row: Row) -> int:
    known = row[feature.timestamp or ""]
    assert isinstance(known, int)
    return known


def _known_from(feature: Feature, row: Row) -> int:
    """The first moment at which both its event was over and the row was visible."""
    return max(_whole(row[name]) for name in feature.times)


def _bucket_end(feature: Feature, instant: int) -> int:
    """The end of the bucket that holds an instant."""
    assert feature.interval is not None
    return end_after(feature.interval, feature.timezone, instant)


def window_start(feature: Feature, window: Duration, end: int) -> int:
    """So many buckets before the end of one."""
    assert feature.interval is not None
    for _ in range(window.intervals(feature.interval)):
        end = end_until(feature.interval, feature.timezone, end - 1)
    return end


def _window_end(feature: Feature, window: Duration, end: int) -> int:
    """So many buckets after the end of one."""
    assert feature.interval is not None
    for _ in range(window.intervals(feature.interval)):
        end = _bucket_end(feature, end)
    return end


def _windows(feature: Feature, events: list[Row], horizon: int | None) -> Iterator[Row]:
    for key, own in _grouped(events, feature.keys):
        for end in _change_points(feature, own, horizon):
            row: Row = {**dict(zip(feature.keys, key, strict=True)), feature.timestamp or "": end}
            for metric in feature.metrics:
                start = window_start(feature, metric.window, end)
                values = [e[metric.column] for e in own if start <= _instant(feature, e) < end]
                what = f"{metric.column}__{metric.aggregation}"
                name = f"{feature.name}__{what}__{feature.interval}__{metric.window}"
                row[name] = AGGREGATIONS[metric.aggregation](present(values))
            yield row


def _change_points(feature: Feature, events: list[Row], horizon: int | None) -> list[int]:
    """The bucket ends up to the horizon where an event enters, or leaves some window."""
    enters = {_bucket_end(feature, _instant(feature, event)) for event in events}
    windows = {metric.window for metric in feature.metrics}
    leaves = {_window_end(feature, window, end) for end in enters for window in windows}
    return sorted(end for end in enters | leaves if horizon is not None and end <= horizon)


def _kept(feature: Feature, rows: list[Row]) -> Iterator[Row]:
    for order, own in _grouped(rows, feature.order):
        best = max(_rank(row, feature.tiebreak) for row in own)
        winners = [row for row in own if _rank(row, feature.tiebreak) == best]
        if len(winners) > 1:
            raise DuplicateKeys(f"{len(winners)} rows have {order}")
        yield winners[0]


def _rank(row: Row, tiebreak: Sequence[str]) -> list[tuple[bool, Value]]:
    """By what a row wins: what is missing is less than all else."""
    values = [row[name] for name in tiebreak]
    return [(False, 0) if is_missing(value) else (True, value) for value in values]


def _grouped(rows: list[Row], names: Sequence[str]) -> list[tuple[tuple[Value, ...], list[Row]]]:
    """Rows by these columns, in the order of their values. Python orders text as UTF-8 does."""
    groups: dict[tuple[Value, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return sorted(groups.items(), key=lambda group: group[0])


# -- aggregations -----------------------------------------------------------------------------


def is_missing(value: Value) -> bool:
    """Null, or NaN."""
    return value is None or value != value


def present(values: Iterable[Value]) -> list[Value]:
    """The values that are there; -0.0 is 0.0."""
    kept = [value for value in values if not is_missing(value)]
    return [value + 0.0 if isinstance(value, float) else value for value in kept]


def nearest(exact: Fraction) -> float:
    """The nearest float64, half to even; beyond the greatest an infinity; never -0.0."""
    try:
        # int / int rounds correctly, denormals included.
        return exact.numerator / exact.denominator + 0.0
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def count(values: list[Value]) -> Value:
    return len(values)


def total(values: list[Value]) -> Value:
    numbers = _numbers(values)
    if not numbers:
        return None
    if isinstance(numbers[0], float):
        return _float_total(numbers)
    if isinstance(numbers[0], Decimal):
        return _decimal(_exact_total(numbers), numbers[0])
    whole = sum(int(number) for number in numbers)
    if not -(2**63) <= whole < 2**63:
        raise SumOverflow(f"{whole} is no int64")
    return whole


def mean(values: list[Value]) -> Value:
    """The sum rounded, divided by the count, and rounded again."""
    numbers = _numbers(values)
    if not numbers:
        return None
    rounded = _float_total(numbers)
    if rounded is None or math.isinf(rounded):
        return rounded
    return nearest(Fraction(rounded) / len(numbers))


def least(values: list[Value]) -> Value:
    return min(values, default=None)  # type: ignore[type-var]  # a column has one type


def greatest(values: list[Value]) -> Value:
    return max(values, default=None)  # type: ignore[type-var]  # a column has one type


def std(values: list[Value]) -> Value:
    """The sample deviation; an engine may differ from it by 1 ulp."""
    numbers = _numbers(values)
    if len(numbers) < 2 or any(_is_infinite(number) for number in numbers):
        return None
    exact = [Fraction(number) for number in numbers]
    centre = sum(exact, Fraction()) / len(exact)
    return _root(sum(((x - centre) ** 2 for x in exact), Fraction()) / (len(exact) - 1))


def median(values: list[Value]) -> Value:
    numbers = sorted(_numbers(values))
    if not numbers:
        return None
    low, high = numbers[(len(numbers) - 1) // 2], numbers[len(numbers) // 2]
    if _is_infinite(low) or _is_infinite(high):
        middle = float(low) + float(high)
        return None if math.isnan(middle) else middle
    return nearest((Fraction(low) + Fraction(high)) / 2)


AGGREGATIONS: Mapping[str, Callable[[list[Value]], Value]] = {
    "count": count,
    "sum": total,
    "mean": mean,
    "min": least,
    "max": greatest,
    "std": std,
    "median": median,
}


def _numbers(values: list[Value]) -> list[Number]:
    return [value for value in values if isinstance(value, bool | int | float | Decimal)]


def _is_infinite(number: Number) -> bool:
    return isinstance(number, float) and math.isinf(number)


def _exact_total(numbers: Iterable[Number]) -> Fraction:
    return sum((Fraction(number) for number in numbers), Fraction())


def _float_total(numbers: list[Number]) -> float | None:
    infinities = {float(number) for number in numbers if _is_infinite(number)}
    if infinities:
        return infinities.pop() if len(infinities) == 1 else None
    return nearest(_exact_total(numbers))


def _decimal(exact: Fraction, like: Decimal) -> Decimal:
    """As a decimal(38, s) of the same scale; Decimal's own arithmetic would round."""
    scale = -int(like.as_tuple().exponent)
    digits = int(exact * 10**scale)
    if abs(digits) >= 10**38:
        raise SumOverflow(f"{digits} has more than 38 digits")
    return Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), -scale))


def _root(exact: Fraction) -> float:
    """The square root, to the nearest: of so many digits that the last one only says 'more'."""
    if exact == 0:
        return 0.0
    scale = 2**1200
    digits = math.isqrt(int(exact * scale**2))
    is_whole = Fraction(digits, scale) ** 2 == exact
    return nearest(Fraction(2 * digits + (not is_whole), 2 * scale))


# -- validators -------------------------------------------------------------------------------


def failures(feature: Feature, output: Sequence[Row]) -> tuple[Failing, ...]:
    """The validators that the function's output does not pass. Raises ColumnNotFound."""
    found = []
    for column, validator in feature.validators:
        if output and column not in output[0]:
            raise ColumnNotFound(f"{feature.name} has no column {column}")
        values = [row[column] for row in output]
        rows = tuple(i for i, value in enumerate(values) if not _holds(validator, value, values))
        if rows:
            found.append(Failing(column, validator, rows))
    return tuple(found)


def _holds(validator: Validator, value: Value, values: list[Value]) -> bool:
    if value is None:
        return not isinstance(validator, NotNull)
    match validator:
        case NotNull():
            return True
        case Unique():
            return sum(_is_same(value, other) for other in values) == 1
        case Compares(operator, bound):
            return _compares(value, operator, bound)
        case InRange(lowest, highest, inclusive):
            above = Operator.GREATER_EQUAL if inclusive else Operator.GREATER
            below = Operator.LESS_EQUAL if inclusive else Operator.LESS
            return _compares(value, above, lowest) and _compares(value, below, highest)
        case MatchesRegex(pattern):
            return re.fullmatch(pattern, str(value)) is not None
        case IsIn(allowed):
            return any(value == _plain(bound) for bound in allowed)


def _is_same(left: Value, right: Value) -> bool:
    """Equality where NaN is one value."""
    return left == right or (left != left and right != right)


def _compares(value: Value, operator: Operator, bound: Scalar) -> bool:
    """Python compares numbers of different types exactly, and nothing with NaN."""
    right = _plain(bound)
    match operator:
        case Operator.GREATER:
            return value > right  # type: ignore[operator]  # a column has one type
        case Operator.GREATER_EQUAL:
            return value >= right  # type: ignore[operator]
        case Operator.LESS:
            return value < right  # type: ignore[operator]
        case Operator.LESS_EQUAL:
            return value <= right  # type: ignore[operator]


def _plain(bound: Scalar) -> Value:
    return to_instant(bound) if isinstance(bound, datetime) else bound


# -- the point-in-time join -------------------------------------------------------------------


def join(
    spine: Sequence[Row],
    table: Sequence[Row],
    rule: PitRule,
    spine_time: str | None,
    columns: Sequence[str],
) -> list[Row]:
    """The spine's rows, in its order, with these columns of the table's row that each sees."""
    joined = []
    for row in spine:
        seen = see(row, table, rule, spine_time).row
        values = {name: None if seen is None else table[seen][name] for name in columns}
        joined.append({**row, **values})
    return joined


def see(spine: Row, table: Sequence[Row], rule: PitRule, spine_time: str | None) -> Sight:
    """What one spine row sees: the row with equal keys and the greatest time known to it."""
    own = [i for i, row in enumerate(table) if _equal_keys(spine, row, rule.keys)]
    if rule.timestamp is None:
        return Sight(own[0]) if own else Sight()
    now = spine[spine_time or ""]
    if now is None:
        return Sight()
    times = {i: _whole(table[i][rule.timestamp]) for i in own}
    created = {i: _whole(table[i][rule.created]) for i in own} if rule.created else times
    known = [i for i in own if _is_known(times[i], _whole(now), rule) and created[i] <= _whole(now)]
    if not known:
        return Sight()
    latest = max(known, key=lambda i: (times[i], created[i]))
    age = _age(times[latest], _whole(now), rule)
    if rule.max_age is not None and age > rule.max_age:
        return Sight(is_too_old=True)
    late = 0 if rule.horizon is None else max(0, _whole(now) - rule.horizon)
    return Sight(latest, age, late)


def _equal_keys(left: Row, right: Row, keys: Sequence[str]) -> bool:
    """A null equals nothing, not even a null."""
    return all(left[key] is not None and left[key] == right[key] for key in keys)


def _is_known(time: int, now: int, rule: PitRule) -> bool:
    return time <= now if rule.exact_matches else time < now


def _age(time: int, now: int, rule: PitRule) -> int:
    """A rolling row stands for every bucket end until the next row, or the horizon."""
    if rule.interval is None:
        return now - time
    last_known = now if rule.exact_matches else now - 1
    latest_end = end_until(rule.interval, rule.timezone, last_known)
    return now - (latest_end if rule.horizon is None else min(rule.horizon, latest_end))


def _whole(value: Value) -> int:
    assert isinstance(value, int)
    return value


# -- leaks ------------------------------------------------------------------------------------


def with_other_future(
    feature: Feature, output: Sequence[Row], now: int, future: Sequence[Row]
) -> list[Row]:
    """The past of `output` at `now`, with another future.

    What a spine row sees at `now` may not depend on it, as long as both reach to `now`: up to
    its horizon a feature is known, beyond it the last values are carried on. A bucket's events
    at `now` itself are future; a row of a feature without metrics at `now` is known. A row that
    became visible later is future, whenever its event was.
    """

    def is_past(row: Row) -> bool:
        if any(row[name] is None for name in feature.times):
            return True
        instant = _known_from(feature, _with_instants(feature, row))
        return instant < now if feature.metrics else instant <= now

    past = [row for row in output if is_past(row)]
    return past + [row for row in future if not is_past(row)]


# -- rows from and to frames, and their bits --------------------------------------------------


def rows_of(frame: pl.DataFrame) -> list[Row]:
    """A frame's rows as the oracle has them."""
    plain = frame.with_columns(pl.col(pl.Datetime, pl.Duration).to_physical())
    return plain.to_dicts()


def frame_of(rows: Sequence[Row], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The oracle's rows as a frame of these types."""
    return pl.DataFrame(
        [_series(name, [row[name] for row in rows], dtype) for name, dtype in schema.items()]
    )


def _series(name: str, values: list[Value], dtype: pl.DataType) -> pl.Series:
    is_local = any(isinstance(value, datetime) for value in values)
    if dtype in (pl.Datetime, pl.Duration) and not is_local:
        return pl.Series(name, values, pl.Int64).cast(dtype)
    return pl.Series(name, values, dtype)


def bits(row: Row) -> tuple[tuple[str, str, Value], ...]:
    """A row so that == means: the same columns in the same order, types and bits."""
    return tuple((name, type(value).__name__, _bits(value)) for name, value in row.items())


def _bits(value: Value) -> Value:
    if isinstance(value, float):
        return "nan" if value != value else struct.pack(">d", value)
    return str(value) if isinstance(value, Decimal) else value
