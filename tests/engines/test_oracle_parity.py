"""Every engine against the oracle: the same rows, counts and errors, on IEEE bits."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

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
from mlforge.engines.base import Computed, Engine, SourceFiles
from mlforge.engines.join import cast_keys, pit_match, take
from mlforge.engines.polars import PolarsEngine
from mlforge.errors import DuplicateKeys, InvalidTimes, MlforgeError, SumOverflow
from mlforge.testing import oracle
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
from tests.sizes import LEAK_EXAMPLES, ORACLE_EXAMPLES, SEED

ENGINES = [pytest.param(PolarsEngine(), id="polars")]
EXAMPLES = Counter[str]()


def examples(number: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """So many histories, the same ones for the same seed."""
    many = settings(
        max_examples=number, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    return lambda test: seed(SEED)(many(test))


thorough = examples(ORACLE_EXAMPLES)
leaky = examples(LEAK_EXAMPLES)


@pytest.fixture(autouse=True)
def told(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[None]:
    """The suite's line in pytest's summary: how many histories there were, and of which seed."""
    EXAMPLES.clear()
    yield
    law = request.node.originalname.removeprefix("test_").replace("_", " ")
    for suite, number in EXAMPLES.items():
        engine = request.node.callspec.id
        line = f"{suite}: {number} histories on {engine}, seed {SEED}: {law}"
        record_property("suite", line)


@contextmanager
def files(frame: pl.DataFrame) -> Iterator[SourceFiles]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        frame.write_parquet(path)
        yield SourceFiles((path,), "parquet", {})


def run(engine: Engine, history: History) -> Computed:
    with files(frame_of(history.output, history.schema)) as source:
        return engine.run(history.feature, source)


def check(engine: Engine, history: History) -> None:
    """The engine says what the oracle says: rows with all their bits, or the same error."""
    try:
        answer = oracle.compute(history.feature, history.output)
    except (SumOverflow, DuplicateKeys, InvalidTimes) as error:
        with pytest.raises(type(error)):
            run(engine, history)
        return
    computed = run(engine, history)
    assert (computed.excluded, computed.horizon) == (answer.excluded, answer.horizon)
    assert tuple(computed.rows.column_names) == computed.schema.names
    assert all_bits(rows_of(frame_from(computed))) == all_bits(answer.rows)


def frame_from(computed: Computed) -> pl.DataFrame:
    frame = pl.from_arrow(computed.rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


def all_bits(rows: list[Row] | tuple[Row, ...]) -> list[object]:
    return [bits(row) for row in rows]


def rolling(dtype: pl.DataType, *values: Value, window: str = "1d") -> History:
    """All aggregations of a column whose values are of one key and, two each, of one day."""
    known = (
        Aggregation if dtype in [COLUMNS[name] for name in SUMMABLE] else ["count", "min", "max"]
    )
    feature = make_feature(interval="1d", metrics=[("x", name, window) for name in known])
    rows: list[Row] = [{"k": "a", "t": i // 2 * DAY, "x": value} for i, value in enumerate(values)]
    return History(feature, rows, {"k": pl.String(), "t": UTC, "x": dtype})


@pytest.mark.parametrize("engine", ENGINES)
@given(history=rolling_histories())
@thorough
def test_rolling_features_equal_the_oracle(engine: Engine, history: History) -> None:
    EXAMPLES["oracle"] += 1
    check(engine, history)


@pytest.mark.parametrize("engine", ENGINES)
@given(history=plain_histories())
@thorough
def test_features_without_metrics_equal_the_oracle(engine: Engine, history: History) -> None:
    EXAMPLES["oracle"] += 1
    check(engine, history)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rival", [None, -0.0, 0.0, float("-inf"), float("nan")])
def test_a_tiebreak_that_is_missing_never_wins(engine: Engine, rival: float | None) -> None:
    rows: list[Row] = [{"k": 1, "t": 5, "x": value} for value in (rival, float("nan"))]
    schema = {"k": pl.Int64(), "t": UTC, "x": pl.Float64()}
    check(engine, History(make_feature(tiebreak=["x"]), rows, schema))


@pytest.mark.parametrize("engine", ENGINES)
@given(history=rolling_histories(), order=st.integers(0, 9))
@leaky
def test_the_order_of_rows_changes_no_bit(engine: Engine, history: History, order: int) -> None:
    EXAMPLES["oracle"] += 1
    shuffled = random.Random(order).sample(history.output, len(history.output))
    try:
        rows = run(engine, history).rows
    except SumOverflow:
        return
    other = run(engine, History(history.feature, shuffled, history.schema)).rows
    assert all_bits(rows_of(pl.DataFrame(rows))) == all_bits(rows_of(pl.DataFrame(other)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "history",
    [
        rolling(pl.Float64(), 1e308, 1e308, -1e308, -1e308, window="7d"),
        rolling(pl.Float64(), 5e-324, -5e-324, -5e-324, None),
        rolling(pl.Float64(), float("inf"), float("-inf"), float("nan"), float("inf")),
        rolling(pl.Float64(), -0.0, -0.0, None, -0.0),
        rolling(pl.Float64(), None, None),
        rolling(pl.Float64(), 2.0**53, 1.0, 2.0**-1074, None, window="7d"),
        rolling(pl.Float32(), 3.4028234663852886e38, 3.4028234663852886e38),
        rolling(pl.Int64(), 2**63 - 1, -1, -(2**63), 1),
        rolling(pl.Int64(), 2**63 - 1, 1, -5, None),
        rolling(pl.Int64(), -(2**63), -(2**63), None),
        rolling(pl.Int8(), 127, 127, -128, -128, window="2d"),
        rolling(pl.UInt64(), 2**63 - 1, 0, 1, 2, window="1d"),
        rolling(pl.UInt64(), 2**64 - 1),
        rolling(pl.Boolean(), True, True, False, None, window="7d"),
        rolling(pl.Decimal(38, 2), Decimal("9" * 36 + ".99"), Decimal("-0.99")),
        rolling(pl.Decimal(38, 2), *[Decimal("9" * 36 + ".99"), None] * 3),
        rolling(pl.Decimal(38, 2), Decimal("9" * 36 + ".99"), Decimal("0.01")),
        rolling(pl.Decimal(38, 2), *[Decimal("9" * 36 + ".99")] * 4),
        rolling(pl.String(), "\uffff", "\U0001f600", "", "\0"),
        rolling(pl.Binary(), b"\xff", b"", b"\0", None),
        rolling(pl.Date(), date(1960, 2, 29), date(2024, 2, 29)),
        rolling(pl.Datetime("us"), -1, 0, 1, None),
        rolling(pl.Categorical(), "b", "a", None, "a"),
    ],
    ids=lambda history: f"{history.schema['x']} {[row['x'] for row in history.output]}"[:60],
)
def test_the_edges_of_each_type_equal_the_oracle(engine: Engine, history: History) -> None:
    check(engine, history)


@pytest.mark.parametrize("engine", ENGINES)
@given(cases=futures(rolling_histories()) | futures(plain_histories()))
@leaky
def test_the_future_changes_nothing_that_is_seen(engine: Engine, cases: Futures) -> None:
    EXAMPLES["leak"] += 1
    try:
        answers = [oracle.compute(cases.feature, rows) for rows in (cases.actual, cases.other)]
    except (SumOverflow, DuplicateKeys):
        return
    actual, other = (joined(engine, cases, rows) for rows in (cases.actual, cases.other))
    assert actual == other
    rule = cases.rule(answers[0].horizon, max_age=2 * DAY)
    names = [name for name in answers[0].rows[0] if name not in cases.feature.order]
    wanted = oracle.join(cases.spine, answers[0].rows, rule, "s", names)
    assert actual == all_bits([{name: row[name] for name in names} for row in wanted])


def joined(engine: Engine, cases: Futures, output: list[Row]) -> list[object]:
    """What the spine sees of what the engine built."""
    computed = run(engine, History(cases.feature, output, cases.schema))
    table = frame_from(computed)
    types = {key: table.schema[key] for key in cases.feature.keys}
    spine = frame_of(cases.spine, {**{key: cases.schema[key] for key in types}, "s": UTC})
    keys = cast_keys(spine, types).with_columns(spine["s"])
    matches = pit_match(keys, table, cases.rule(computed.horizon, max_age=2 * DAY), "s")
    return all_bits(rows_of(take(table.drop(cases.feature.order), matches)))


# -- validators -------------------------------------------------------------------------------

VALIDATORS: dict[str, list[Validator]] = {
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
def validated(draw: st.DrawFn) -> History:
    column = draw(st.sampled_from(sorted(VALIDATORS)))
    checks = draw(st.lists(st.sampled_from(VALIDATORS[column]), min_size=1, unique=True))
    values = draw(st.lists(draw(columns(COLUMNS[column])), max_size=12))
    rows: list[Row] = [{"k": i, column: value} for i, value in enumerate(values)]
    feature = make_feature(timestamp=None, validators=[(column, check) for check in checks])
    return History(feature, rows, {"k": pl.Int64(), column: COLUMNS[column]})


def check_validators(engine: Engine, history: History) -> None:
    with files(frame_of(history.output, history.schema)) as source:
        failures = engine.validate(history.feature, source)
    wanted = oracle.failures(history.feature, history.output)
    assert [(f.column, f.validator, f.count) for f in failures] == [
        (f.column, str(f.validator), len(f.rows)) for f in wanted
    ]


@pytest.mark.parametrize("engine", ENGINES)
@given(history=validated())
@thorough
def test_validators_refuse_what_the_oracle_refuses(engine: Engine, history: History) -> None:
    EXAMPLES["oracle"] += 1
    check_validators(engine, history)


@pytest.mark.parametrize("engine", ENGINES)
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
    engine: Engine, dtype: pl.DataType, validator: Validator, values: list[Value]
) -> None:
    feature: Feature = make_feature(timestamp=None, validators=[("x", validator)])
    rows: list[Row] = [{"k": i, "x": value} for i, value in enumerate(values)]
    check_validators(engine, History(feature, rows, {"k": pl.Int64(), "x": dtype}))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_validator_of_a_missing_column_is_an_error(engine: Engine) -> None:
    history = History(
        make_feature(timestamp=None, validators=[("y", not_null())]), [{"k": 1}], {"k": pl.Int64()}
    )
    with pytest.raises(MlforgeError), files(frame_of(history.output, history.schema)) as source:
        engine.validate(history.feature, source)
