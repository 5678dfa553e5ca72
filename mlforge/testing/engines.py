"""EngineSuite: what every engine must give, bit for bit; an engine's tests inherit all of it.

The answers come from `mlforge.testing.oracle`, not from another engine. How many examples there
are, and of which seed: `mlforge.testing.sizes`.
"""

from __future__ import annotations

import math
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from mlforge.arrow import arrow_schema
from mlforge.definitions.feature import Feature
from mlforge.definitions.rolling import Aggregation
from mlforge.definitions.validators import (
    Validator,
    greater_than,
    greater_than_or_equal,
    in_range,
    is_in,
    less_than,
    less_than_or_equal,
    matches_regex,
    not_null,
    unique,
)
from mlforge.engines.base import Engine, Failure, SourceFiles
from mlforge.engines.join import Timeline, take
from mlforge.engines.questions import Questions
from mlforge.engines.spine import KeyCasts
from mlforge.errors import DuplicateKeys, InvalidTimes, MlforgeError, SumOverflow
from mlforge.schema import Schema
from mlforge.testing import oracle, sizes
from mlforge.testing.clocks import DAY
from mlforge.testing.oracle import Row, Value, bits, frame_of, rows_of
from mlforge.testing.strategies import (
    COLUMNS,
    SUMMABLE,
    UTC,
    Futures,
    History,
    columns,
    futures,
    make_feature,
    plain_histories,
    rolling_histories,
)

_RUNS = Counter[str]()


@dataclass(frozen=True, slots=True)
class Built:
    """What an engine has computed, with all its rows in memory."""

    schema: Schema
    rows: pa.Table
    excluded: int
    horizon: int | None

    @property
    def frame(self) -> pl.DataFrame:
        return pl.DataFrame(self.rows)


def run(engine: Engine, feature: Feature, files: SourceFiles, as_of: int | None = None) -> Built:
    """Compute a feature, and take all its rows."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        engine.run(feature, files, Path(scratch, "spill"), as_of) as computed,
    ):
        schema = arrow_schema(computed.schema)
        rows = pa.Table.from_batches(list(computed.batches), schema)
        return Built(computed.schema, rows, computed.excluded, computed.horizon)


def validate(engine: Engine, feature: Feature, files: SourceFiles) -> tuple[Failure, ...]:
    """Ask a feature's validators."""
    with tempfile.TemporaryDirectory() as scratch:
        return engine.validate(feature, files, Path(scratch, "spill"))


def _examples(number: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """So many histories, the same ones for the same seed."""
    many = settings(
        max_examples=number,
        deadline=None,
        # One test, and many engines that inherit it.
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    return lambda test: seed(sizes.SEED)(many(test))


thorough = _examples(sizes.ORACLE_EXAMPLES)
leaky = _examples(sizes.LEAK_EXAMPLES)


@contextmanager
def _files(frame: pl.DataFrame) -> Iterator[SourceFiles]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        frame.write_parquet(path)
        yield SourceFiles((path,), "parquet", {})


def _run(engine: Engine, history: History, as_of: int | None = None) -> Built:
    with _files(frame_of(history.output, history.schema)) as source:
        return run(engine, history.feature, source, as_of)


def _check(engine: Engine, history: History, as_of: int | None = None) -> None:
    """The engine says what the oracle says: rows with all their bits, or the same error."""
    try:
        answer = oracle.compute(history.feature, history.output, as_of)
    except (SumOverflow, DuplicateKeys, InvalidTimes) as error:
        with pytest.raises(type(error)):
            _run(engine, history, as_of)
        return
    built = _run(engine, history, as_of)
    assert (built.excluded, built.horizon) == (answer.excluded, answer.horizon)
    assert tuple(built.rows.column_names) == built.schema.names
    assert len(built.rows) == len(answer.rows)
    pairs = zip(rows_of(built.frame), answer.rows, strict=True)
    found = [_near(row, wanted) for row, wanted in pairs]
    assert _all_bits(found) == _all_bits(answer.rows)


def _near(row: Row, wanted: Row) -> Row:
    """The row with the oracle's deviations, where they are the next floats."""
    return {name: _nearest(name, value, wanted.get(name)) for name, value in row.items()}


def _nearest(name: str, value: Value, wanted: Value) -> Value:
    if "__std__" in name and isinstance(value, float) and isinstance(wanted, float):
        return wanted if abs(value - wanted) <= math.ulp(wanted) else value
    return value


def _all_bits(rows: list[Row] | tuple[Row, ...]) -> list[object]:
    return [bits(row) for row in rows]


def _rolling(dtype: pl.DataType, *values: Value, window: str = "1d") -> History:
    """All aggregations of a column whose values are of one key and, two each, of one day."""
    known = (
        Aggregation if dtype in [COLUMNS[name] for name in SUMMABLE] else ["count", "min", "max"]
    )
    feature = make_feature(interval="1d", metrics=[("x", name, window) for name in known])
    rows: list[Row] = [{"k": "a", "t": i // 2 * DAY, "x": value} for i, value in enumerate(values)]
    return History(feature, rows, {"k": pl.String(), "t": UTC, "x": dtype})


def _joined(engine: Engine, cases: Futures, output: list[Row]) -> list[object]:
    """What the spine sees of what the engine built."""
    built = _run(engine, History(cases.feature, output, cases.schema))
    table = built.frame
    types = {key: table.schema[key] for key in cases.feature.keys}
    spine = frame_of(cases.spine, {**{key: cases.schema[key] for key in types}, "s": UTC})
    timeline = Timeline(table.lazy(), table.height, cases.rule(built.horizon, max_age=2 * DAY))
    keys = KeyCasts(types).of(spine)
    assert keys is not None
    matches = timeline.match(Questions(keys, spine["s"]))
    return _all_bits(rows_of(take(table.drop(cases.feature.order), matches)))


_VALIDATORS: dict[str, list[Validator]] = {
    "float": [greater_than(0), less_than(0.1), in_range(-1, 1e308), is_in([0.0, 1.0]), unique()],
    "small": [greater_than_or_equal(0.5), less_than_or_equal(1), unique(), not_null()],
    "whole": [greater_than(-1), less_than_or_equal(2**63 - 1), in_range(0, 99), is_in([0, 1])],
    "tiny": [greater_than(-128), less_than(1000), in_range(0, 1, inclusive=False), unique()],
    "natural": [greater_than(-1), less_than(2**63), is_in([0, 2**64 - 1]), unique()],
    "flag": [is_in([True]), unique(), not_null()],
    "money": [greater_than(Decimal("0.01")), less_than(10), in_range(0, 5)],
    "text": [matches_regex("a.?"), matches_regex("|é"), is_in(["a", ""]), unique()],
    "day": [greater_than(date(1970, 1, 1)), is_in([date(2024, 2, 29)]), not_null()],
}


@st.composite
def _validated(draw: st.DrawFn) -> History:
    column = draw(st.sampled_from(sorted(_VALIDATORS)))
    checks = draw(st.lists(st.sampled_from(_VALIDATORS[column]), min_size=1, unique=True))
    values = draw(st.lists(draw(columns(COLUMNS[column])), max_size=12))
    rows: list[Row] = [{"k": i, column: value} for i, value in enumerate(values)]
    feature = make_feature(timestamp=None, validators=[(column, check) for check in checks])
    return History(feature, rows, {"k": pl.Int64(), column: COLUMNS[column]})


def _check_validators(engine: Engine, history: History) -> None:
    with _files(frame_of(history.output, history.schema)) as source:
        failures = validate(engine, history.feature, source)
    wanted = oracle.failures(history.feature, history.output)
    assert [(f.column, f.validator, f.count) for f in failures] == [
        (f.column, str(f.validator), len(f.rows)) for f in wanted
    ]


class EngineSuite:
    """Inherit it, and give the fixture `engine`."""

    @pytest.fixture(autouse=True)
    def told(
        self,
        request: pytest.FixtureRequest,
        record_property: Callable[[str, object], None],
    ) -> Iterator[None]:
        """How many histories there were, and of which seed, for whoever reports it."""
        _RUNS.clear()
        yield
        law = request.node.originalname.removeprefix("test_").replace("_", " ")
        for suite, number in _RUNS.items():
            line = (
                f"{suite}: {number} histories on {request.cls.__name__}, seed {sizes.SEED}: {law}"
            )
            record_property("suite", line)

    @given(history=rolling_histories())
    @thorough
    def test_rolling_features_equal_the_oracle(self, engine: Engine, history: History) -> None:
        _RUNS["oracle"] += 1
        _check(engine, history)

    @given(history=plain_histories())
    @thorough
    def test_features_without_metrics_equal_the_oracle(
        self, engine: Engine, history: History
    ) -> None:
        _RUNS["oracle"] += 1
        _check(engine, history)

    @pytest.mark.parametrize("rival", [None, -0.0, 0.0, float("-inf"), float("nan")])
    def test_a_tiebreak_that_is_missing_never_wins(
        self, engine: Engine, rival: float | None
    ) -> None:
        rows: list[Row] = [{"k": 1, "t": 5, "x": value} for value in (rival, float("nan"))]
        schema = {"k": pl.Int64(), "t": UTC, "x": pl.Float64()}
        _check(engine, History(make_feature(tiebreak=["x"]), rows, schema))

    @given(
        history=rolling_histories() | plain_histories(),
        as_of=st.integers(-12, 12).map(lambda days: days * DAY)
        | st.integers(-300, 300).map(lambda hours: hours * DAY // 24 - 1),
    )
    @leaky
    def test_a_build_up_to_a_moment_equals_the_oracle(
        self, engine: Engine, history: History, as_of: int
    ) -> None:
        _RUNS["oracle"] += 1
        _check(engine, history, history.anchor + as_of)

    @given(history=rolling_histories(), order=st.integers(0, 9))
    @leaky
    def test_the_order_of_rows_changes_no_bit(
        self, engine: Engine, history: History, order: int
    ) -> None:
        _RUNS["oracle"] += 1
        shuffled = random.Random(order).sample(history.output, len(history.output))
        try:
            rows = _run(engine, history).rows
        except SumOverflow:
            return
        other = _run(engine, History(history.feature, shuffled, history.schema)).rows
        assert _all_bits(rows_of(pl.DataFrame(rows))) == _all_bits(rows_of(pl.DataFrame(other)))

    @pytest.mark.parametrize(
        "history",
        [
            _rolling(pl.Float64(), 1e308, 1e308, -1e308, -1e308, window="7d"),
            _rolling(pl.Float64(), 5e-324, -5e-324, -5e-324, None),
            _rolling(pl.Float64(), -5e-324, 0.0, -5e-324, -0.0),
            _rolling(pl.Float64(), float("inf"), float("-inf"), float("nan"), float("inf")),
            _rolling(pl.Float64(), -0.0, -0.0, None, -0.0),
            _rolling(pl.Float64(), None, None),
            _rolling(pl.Float64(), 2.0**53, 1.0, 2.0**-1074, None, window="7d"),
            _rolling(pl.Float32(), 3.4028234663852886e38, 3.4028234663852886e38),
            _rolling(pl.Int64(), 2**63 - 1, -1, -(2**63), 1),
            _rolling(pl.Int64(), 2**63 - 1, 1, -5, None),
            _rolling(pl.Int64(), -(2**63), -(2**63), None),
            _rolling(pl.Int8(), 127, 127, -128, -128, window="2d"),
            _rolling(pl.UInt64(), 2**63 - 1, 0, 1, 2, window="1d"),
            _rolling(pl.UInt64(), 2**64 - 1),
            _rolling(pl.Boolean(), True, True, False, None, window="7d"),
            _rolling(pl.Decimal(38, 2), Decimal("9" * 36 + ".99"), Decimal("-0.99")),
            _rolling(pl.Decimal(38, 2), *[Decimal("9" * 36 + ".99"), None] * 3),
            _rolling(pl.Decimal(38, 2), Decimal("9" * 36 + ".99"), Decimal("0.01")),
            _rolling(pl.Decimal(38, 2), *[Decimal("9" * 36 + ".99")] * 4),
            _rolling(pl.String(), "\uffff", "\U0001f600", "", "\0"),
            _rolling(pl.Binary(), b"\xff", b"", b"\0", None),
            _rolling(pl.Date(), date(1960, 2, 29), date(2024, 2, 29)),
            _rolling(pl.Datetime("us"), -1, 0, 1, None),
            _rolling(pl.Categorical(), "b", "a", None, "a"),
        ],
        ids=lambda history: f"{history.schema['x']} {[row['x'] for row in history.output]}"[:60],
    )
    def test_the_edges_of_each_type_equal_the_oracle(
        self, engine: Engine, history: History
    ) -> None:
        _check(engine, history)

    @given(cases=futures(rolling_histories()) | futures(plain_histories()))
    @leaky
    def test_the_future_changes_nothing_that_is_seen(self, engine: Engine, cases: Futures) -> None:
        _RUNS["leak"] += 1
        try:
            answers = [oracle.compute(cases.feature, rows) for rows in (cases.actual, cases.other)]
        except (SumOverflow, DuplicateKeys):
            return
        actual, other = (_joined(engine, cases, rows) for rows in (cases.actual, cases.other))
        assert actual == other
        rule = cases.rule(answers[0].horizon, max_age=2 * DAY)
        names = [name for name in answers[0].rows[0] if name not in cases.feature.order]
        wanted = oracle.join(cases.spine, answers[0].rows, rule, "s", names)
        assert actual == _all_bits([{name: row[name] for name in names} for row in wanted])

    @given(history=_validated())
    @thorough
    def test_validators_refuse_what_the_oracle_refuses(
        self, engine: Engine, history: History
    ) -> None:
        _RUNS["oracle"] += 1
        _check_validators(engine, history)

    @pytest.mark.parametrize(
        ("dtype", "validator", "values"),
        [
            (pl.Int64(), less_than_or_equal(float(2**53)), [2**53, 2**53 + 1]),
            (pl.Int64(), is_in([1.0, 1.5]), [1, 2]),
            (pl.Int8(), less_than(10**30), [1]),
            (pl.Float32(), greater_than(0.1), [0.10000000149011612]),
            (pl.Float64(), is_in([float("nan")]), [float("nan")]),
            (pl.Float64(), unique(), [0.0, -0.0]),
            (pl.Float64(), unique(), [float("nan"), float("nan")]),
            (pl.String(), matches_regex("a|ab"), ["ab", "abc"]),
            (pl.String(), matches_regex("a"), ["a\n"]),
            (pl.Datetime("us", "UTC"), less_than(datetime(1970, 1, 2)), [0, DAY]),
            (pl.Datetime("us"), less_than(datetime(1970, 1, 2)), [0, DAY]),
            (pl.Decimal(10, 2), greater_than(0.1), [Decimal("0.10"), Decimal("0.11")]),
        ],
        ids=str,
    )
    def test_comparisons_are_exact(
        self, engine: Engine, dtype: pl.DataType, validator: Validator, values: list[Value]
    ) -> None:
        feature: Feature = make_feature(timestamp=None, validators=[("x", validator)])
        rows: list[Row] = [{"k": i, "x": value} for i, value in enumerate(values)]
        _check_validators(engine, History(feature, rows, {"k": pl.Int64(), "x": dtype}))

    def test_a_validator_of_a_missing_column_is_an_error(self, engine: Engine) -> None:
        history = History(
            make_feature(timestamp=None, validators=[("y", not_null())]),
            [{"k": 1}],
            {"k": pl.Int64()},
        )
        with (
            pytest.raises(MlforgeError),
            _files(frame_of(history.output, history.schema)) as source,
        ):
            validate(engine, history.feature, source)
