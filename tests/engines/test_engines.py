"""The engines: features with and without metrics, end to end on real files."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from mlforge.definitions.entity import Entity
from mlforge.definitions.rolling import Rolling
from mlforge.engines.base import SourceFiles
from mlforge.errors import (
    DuplicateKeys,
    InvalidName,
    InvalidTimes,
    SumOverflow,
    UnsupportedType,
)
from tests.engines.brute import compute, declared, float_sum, identity, run

DAY = 86_400_000_000
ALL = ["count", "sum", "mean", "min", "max"]


def day(number: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number)


def events(values: list[object], **types: pl.DataType) -> pl.DataFrame:
    rows = {"k": ["a"] * len(values), "t": [day(n) for n in range(len(values))], "x": values}
    return pl.DataFrame(rows, schema_overrides=types, strict=False)


def rolling(aggregations: list[str], windows: tuple[str, ...] = ("2d",)) -> dict[str, object]:
    return {"interval": "1d", "metrics": [Rolling(windows, {"x": aggregations})]}


def metric(computed: pa.Table, aggregation: str, window: str = "2d") -> list[object]:
    values: list[object] = computed[f"f__x__{aggregation}__1d__{window}"].to_pylist()
    return values


def test_a_row_knows_the_days_before_its_time(tmp_path: Path) -> None:
    built = run(tmp_path, events([1.5, 2.0, 4.0]), declared(**rolling(["sum"])))
    assert built.rows["t"].to_pylist() == [day(1), day(2), day(3)]
    assert metric(built.rows, "sum") == [1.5, 3.5, 6.0]
    assert built.horizon == 3 * DAY


def test_an_empty_window_counts_none_and_has_no_sum(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [1, 2], "t": [day(0), day(9)], "x": [1, 2]})
    rows = run(tmp_path, frame, declared(**rolling(ALL))).rows.to_pylist()
    assert [row["t"] for row in rows] == [day(1), day(3), day(10)]
    assert list(rows[1].values())[2:] == [0, None, None, None, None]


def test_names_types_and_order_are_declared_ones(tmp_path: Path) -> None:
    frame = events([Decimal("1.25")], x=pl.Decimal(10, 2))
    table = run(tmp_path, frame, declared(**rolling(["max", "sum", "mean"]))).rows
    assert table.schema.names[2:] == [f"f__x__{name}__1d__2d" for name in ("max", "sum", "mean")]
    expected = [
        pa.large_string(),
        pa.timestamp("us", "UTC"),
        pa.decimal128(10, 2),
        pa.decimal128(38, 2),
        pa.float64(),
    ]
    assert table.schema.types == expected


KINDS = [
    *(pl.Int8, pl.UInt64, pl.Float32, pl.Decimal(20, 3), pl.Boolean, pl.Date, pl.Time),
    *(pl.String, pl.Binary, pl.Categorical, pl.Duration("ms"), pl.Datetime("ns", "Europe/Berlin")),
]


@pytest.mark.parametrize("dtype", KINDS, ids=str)
def test_the_schema_is_what_a_run_delivers(tmp_path: Path, dtype: pl.DataType) -> None:
    is_text = dtype in (pl.String, pl.Binary, pl.Categorical)
    is_time = dtype in (pl.Time, pl.Datetime)
    numbers = pl.Series([1000, 0]) if is_time else pl.Series([1, 0])
    frame = events([1, 2]).with_columns(
        x=(numbers.cast(pl.String) if is_text else numbers).cast(dtype)
    )
    for options in ({}, rolling(["count", "min", "max"])):
        built = run(tmp_path, frame, declared(**options))
        assert built.rows.schema.names == list(built.schema.names)


def test_extremes_of_text_go_by_bytes(tmp_path: Path) -> None:
    words = ["é", "z", "Z", "\U0001f600", "", "\uffff"]
    table = run(tmp_path, events(words), declared(**rolling(["min", "max"], ("6d",)))).rows
    assert metric(table, "min", "6d")[-1] == ""
    assert metric(table, "max", "6d")[-1] == "\U0001f600"


def test_infinities_propagate_and_cancel_to_null(tmp_path: Path) -> None:
    inf = float("inf")
    frame = events([1.0, inf, -inf, 1.0, float("nan"), -0.0])
    table = run(tmp_path, frame, declared(**rolling(ALL))).rows
    assert metric(table, "sum") == [1.0, inf, None, -inf, 1.0, 0.0]
    assert metric(table, "mean") == [1.0, inf, None, -inf, 1.0, 0.0]
    assert metric(table, "min") == [1.0, 1.0, -inf, -inf, 1.0, 0.0]
    assert metric(table, "count") == [1, 2, 2, 2, 1, 1]
    assert np.signbit(metric(table, "max")[-1]) == np.False_


def test_float_sums_are_exact(tmp_path: Path) -> None:
    values = [1e308, 1.0, -1e308, 5e-324, 0.1, 0.2, 1e308, 1e308, -1e308]
    table = run(tmp_path, events(values), declared(**rolling(["sum"], ("3d",)))).rows
    expected = [float_sum(values[max(0, end - 3) : end]) for end in range(1, len(values) + 1)]
    assert metric(table, "sum", "3d") == expected


def test_decimal_sums_and_means_are_exact(tmp_path: Path) -> None:
    large = Decimal("9" * 30 + ".99")
    frame = events([large, Decimal("0.01"), None], x=pl.Decimal(38, 2))
    table = run(tmp_path, frame, declared(**rolling(["sum", "mean", "min"]))).rows
    assert metric(table, "sum") == [large, Decimal("1" + "0" * 30 + ".00"), Decimal("0.01")]
    assert metric(table, "mean") == [1e30, 5e29, 0.01]
    assert metric(table, "min") == [large, Decimal("0.01"), Decimal("0.01")]


def test_int_means_survive_where_int_sums_overflow(tmp_path: Path) -> None:
    frame = events([2**63 - 1, 2**63 - 1])
    assert metric(run(tmp_path, frame, declared(**rolling(["mean"]))).rows, "mean")[-1] == 2.0**63
    with pytest.raises(SumOverflow, match="f: the sum of x over 2d does not fit int64"):
        run(tmp_path, frame, declared(**rolling(["sum"])))


def test_decimal_overflow_is_an_error(tmp_path: Path) -> None:
    frame = events([Decimal("9" * 38)] * 2, x=pl.Decimal(38, 0))
    with pytest.raises(SumOverflow, match=r"does not fit decimal\(38\)"):
        run(tmp_path, frame, declared(**rolling(["sum"])))


def test_a_sum_of_strings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedType, match="f: sum of x, which is string"):
        run(tmp_path, events(["a"]), declared(**rolling(["sum"])))


def test_anything_can_be_counted(tmp_path: Path) -> None:
    table = run(tmp_path, events([[1], None, [2]]), declared(**rolling(["count"]))).rows
    assert metric(table, "count") == [1, 1, 1]


def test_rows_without_key_or_time_are_excluded_and_counted(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["a", None, "b"], "t": [day(0), day(0), None], "x": [1, 2, 3]})
    for options in ({}, rolling(["sum"])):
        built = run(tmp_path, frame, declared(**options))
        assert (built.excluded, built.rows.num_rows) == (2, 1)


def test_an_empty_source_gives_no_rows_and_the_full_schema(tmp_path: Path) -> None:
    for options in ({}, rolling(ALL)):
        built = run(tmp_path, events([1.0]).clear(), declared(**options))
        assert (built.rows.num_rows, built.horizon) == (0, None)
        assert built.rows.schema.names == list(built.schema.names)


def test_a_day_is_known_when_it_is_over(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [1], "t": [date(1970, 1, 1)], "x": [1]})
    begins, ends = datetime(1970, 1, 1), datetime(1970, 1, 2)
    assert run(tmp_path, frame, declared()).rows["t"].to_pylist() == [ends]
    assert run(tmp_path, frame, declared(date_is="start")).rows["t"].to_pylist() == [begins]
    for interval in ("1h", "1d"):
        hourly = {"interval": interval, "metrics": [Rolling(["7d"], {"x": ["sum"]})]}
        assert run(tmp_path, frame, declared(**hourly)).rows["t"].to_pylist() == [ends]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_event_times_of_any_unit_and_zone(tmp_path: Path, unit: str, zone: str | None) -> None:
    times = pl.Series([-86_399_999, 0]).cast(pl.Datetime("ms")).cast(pl.Datetime(unit))
    if zone:
        times = times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    rows = run(tmp_path, events([1, 2]).with_columns(t=times), declared()).rows
    assert rows["t"].cast(pa.int64()).to_pylist() == [-86_399_999_000, 0]
    assert rows["t"].type == pa.timestamp("us", "UTC" if zone else None)


def test_nanoseconds_that_would_be_lost_are_refused(tmp_path: Path) -> None:
    frame = events([1]).with_columns(t=pl.Series([1001]).cast(pl.Datetime("ns")))
    with pytest.raises(InvalidTimes, match="digits below a microsecond"):
        run(tmp_path, frame, declared())


def test_times_as_text_are_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InvalidTimes, match=r'pl.col\("t"\).str.to_datetime\(\)'):
        run(tmp_path, events([1]).with_columns(t=pl.lit("2024-01-01")), declared())


def test_float_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedType, match="the key k is float64"):
        run(tmp_path, events([1]).with_columns(k=pl.lit(1.5)), declared())


def test_own_columns_keep_the_functions_order_after_keys_and_time(tmp_path: Path) -> None:
    frame = events([1]).select(pl.lit(1).alias("z"), "x", "t", pl.lit(2).alias("a"), "k")
    assert run(tmp_path, frame, declared()).rows.schema.names == ["k", "t", "z", "x", "a"]


def test_strings_sort_by_bytes_and_values_stay_as_they_are(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["é", "z", "Z", "a"], "x": [-0.0, 1.0, 2.0, 3.0]})
    rows = run(tmp_path, frame, declared(timestamp=None)).rows
    assert rows["k"].to_pylist() == ["Z", "a", "z", "é"]
    assert np.signbit(rows["x"].to_numpy()).tolist() == [False, False, False, True]


def test_categories_sort_and_stay_as_strings(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": pl.Series(["z", "a"], dtype=pl.Enum(["z", "a"])), "x": [1, 2]})
    rows = run(tmp_path, frame, declared(timestamp=None)).rows
    assert rows["k"].to_pylist() == ["a", "z"]


def test_duplicates_are_an_error_that_shows_some(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["a", "a", "a", "b"], "x": [1, 2, 3, 4]})
    with pytest.raises(DuplicateKeys, match="2 rows repeat the keys of another") as caught:
        run(tmp_path, frame, declared(timestamp=None))
    assert caught.value.cause == "k = 'a'"
    assert "tiebreak" in str(caught.value.hint)


def test_the_greatest_tiebreak_wins_and_null_is_least(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [1, 1, 1, 2, 2], "x": [2, None, 3, None, 0]})
    rows = run(tmp_path, frame, declared(timestamp=None, tiebreak=["x"])).rows
    assert rows.to_pylist() == [{"k": 1, "x": 3}, {"k": 2, "x": 0}]


def test_a_tie_in_the_tiebreak_is_still_an_error(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [1, 1, 1], "x": [3, 3, 1], "y": [0, 1, 2]})
    with pytest.raises(DuplicateKeys, match="1 row repeats"):
        run(tmp_path, frame, declared(timestamp=None, tiebreak=["x"]))


@pytest.mark.parametrize(("name", "message"), [("a b", "cannot be"), ("X", "differ only in case")])
def test_bad_column_names_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InvalidName, match=message):
        run(tmp_path, events([1]).with_columns(pl.lit(1).alias(name)), declared())


def test_several_keys_of_any_type_group_together(tmp_path: Path) -> None:
    keys = {"a": [True, False, True], "b": [2**64 - 1, 0, 2**64 - 1], "c": [-(2**63), 5, -(2**63)]}
    frame = pl.DataFrame(
        {**keys, "d": ["y", "x", "y"], "t": [day(0)] * 3, "x": [1, 2, 3]},
        schema_overrides={"b": pl.UInt64},
    )
    rows = run(tmp_path, frame, declared(keys=["a", "b", "c", "d"], **rolling(["sum"]))).rows
    assert rows["b"].to_pylist() == [0, 2**64 - 1]
    assert metric(rows, "sum") == [2, 4]


NARROW = [pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16]


@pytest.mark.parametrize("other", [*NARROW, None], ids=str)
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_keys_of_few_bits_are_told_apart_over_their_whole_range(
    tmp_path: Path, dtype: type[pl.DataType], other: type[pl.DataType] | None
) -> None:
    rng, rows = np.random.default_rng(1), 3_000
    names = ["a"] if other is None else ["a", "b"]
    keys = {
        name: pl.Series(spread(rng, key, rows), dtype=key)
        for name, key in zip(names, (dtype, other), strict=False)
        if key is not None
    }
    frame = pl.DataFrame({**keys, "t": [day(0)] * rows, "x": rng.integers(0, 9, rows)})
    found = run(tmp_path, frame, declared(keys=names, **rolling(["sum"]))).frame
    expected = frame.group_by(names).agg(pl.col("x").sum()).sort(names)
    assert found.select(names).equals(expected.select(names))
    assert found["f__x__sum__1d__2d"].to_list() == expected["x"].to_list()


def spread(rng: np.random.Generator, dtype: type[pl.DataType], rows: int) -> list[int]:
    """Both ends of a type, and what lies between."""
    least, most = (pl.select(end).item() for end in (dtype.min(), dtype.max()))  # type: ignore[attr-defined]
    return [least, most, *rng.integers(least, most, rows - 2, dtype=np.int64).tolist()]


def test_a_column_that_a_key_is_made_of_can_break_ties(tmp_path: Path) -> None:
    entity = Entity(name="e", join_key="eid", from_columns=["a"])
    frame = pl.DataFrame({"a": ["x", "x", "y"], "n": [1, 2, 3], "v": [7, 8, 9]})
    built = declared(keys=None, entities=[entity], timestamp=None, tiebreak=["n"])
    assert sorted(run(tmp_path, frame, built).rows["v"].to_pylist()) == [8, 9]
    equal = declared(keys=None, entities=[entity], timestamp=None, tiebreak=["a"])
    with pytest.raises(DuplicateKeys):
        run(tmp_path, frame, equal)


def random_events(rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(7)
    return pl.DataFrame(
        {
            "k": [f"user {n}" for n in rng.integers(0, 900, rows)],
            "t": pl.Series(rng.integers(-40 * DAY, 40 * DAY, rows)).cast(pl.Datetime("us")),
            "x": rng.lognormal(0, 4, rows) * rng.choice([-1, 1], rows),
        }
    )


def test_order_of_rows_changes_no_bit(tmp_path: Path) -> None:
    frame, built = random_events(200_000), declared(**rolling(ALL, ("3d", "30d")))
    first = run(tmp_path, frame, built).rows
    assert first.equals(run(tmp_path, frame.sample(fraction=1, shuffle=True, seed=1), built).rows)


DIGEST = """
import hashlib, os, sys
from pathlib import Path
from mlforge.engines.base import SourceFiles
from tests.engines.brute import compute, declared
from tests.engines.test_engines import ALL, rolling
os.cpu_count = lambda: int(os.environ["POLARS_MAX_THREADS"])
built = declared(**rolling(ALL, ("3d", "30d")))
rows = compute(SourceFiles((Path(sys.argv[1]),), "parquet", {}), built).rows
columns = [column.combine_chunks() for column in rows.columns]
buffers = [bytes(part) for column in columns for part in column.buffers() if part]
print(hashlib.sha256(b"".join(buffers)).hexdigest())
"""


def test_the_number_of_threads_changes_no_bit(tmp_path: Path) -> None:
    path, answers = tmp_path / "events.parquet", set()
    random_events(200_000).write_parquet(path)
    for threads in ("1", "5"):
        env = {**os.environ, "POLARS_MAX_THREADS": threads}
        command = [sys.executable, "-c", DIGEST, str(path)]
        answers.add(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
    assert len(answers) == 1


def test_several_files_are_one_source(tmp_path: Path) -> None:
    paths = (tmp_path / "1.parquet", tmp_path / "2.parquet")
    for number, path in enumerate(paths):
        pl.DataFrame({"k": [number], "x": [1]}).write_parquet(path)
    built = declared(identity, timestamp=None)
    assert compute(SourceFiles(paths, "parquet", {}), built).rows.num_rows == 2
