"""Verify: what is served of every type is, to the bit, what training data has of that moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

import mlforge as mlf
from mlforge.online.base import Rows
from mlforge.testing.strategies import UTC as INSTANT
from tests.git_cli import Git
from tests.online.mirrored import Mirrored
from tests.shop import Shop

SEED = 7
NOW = datetime.now(UTC).replace(microsecond=123_456)
# By type: values that a step between Parquet, packed rows and Python could change. All have nulls.
VALUES: dict[str, tuple[pl.DataType, list[object]]] = {
    "bool": (pl.Boolean(), [True, False]),
    "int8": (pl.Int8(), [-128, 127, 0]),
    "int16": (pl.Int16(), [-(2**15), 2**15 - 1]),
    "int32": (pl.Int32(), [-(2**31), 2**31 - 1]),
    "int64": (pl.Int64(), [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 0]),
    "uint8": (pl.UInt8(), [0, 255]),
    "uint16": (pl.UInt16(), [0, 2**16 - 1]),
    "uint32": (pl.UInt32(), [0, 2**32 - 1]),
    "uint64": (pl.UInt64(), [2**64 - 1, 2**53 + 1, 0]),
    "float32": (pl.Float32(), [float("nan"), -0.0, 0.0, float("inf"), 2.0**-149]),
    "float64": (pl.Float64(), [float("nan"), -0.0, 0.0, float("-inf"), 5e-324, 0.1, 1e308]),
    "money": (pl.Decimal(38, 2), [Decimal("1.50"), Decimal(10**36 - 1), Decimal("-0.01")]),
    "whole": (pl.Decimal(5, 0), [Decimal(99_999), Decimal(0)]),
    "text": (pl.String(), ["", "\0", "a\0", "é", "\U0001f600", "x" * 300]),
    "bytes": (pl.Binary(), [b"", b"\0", bytes(range(256))]),
    "day": (pl.Date(), [date(1, 1, 1), date(9999, 12, 31), date(1969, 12, 31)]),
    "hour": (pl.Time(), [time(0), time(23, 59, 59, 999_999)]),
    "local": (pl.Datetime("us"), [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)]),
    "instant": (INSTANT, [datetime(1969, 12, 31, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]),
    "span": (pl.Duration("us"), [timedelta(microseconds=-1), timedelta(100_000)]),
    "tags": (pl.List(pl.String), [[], ["a", None, ""], [None]]),
    "sums": (pl.List(pl.Decimal(38, 2)), [[Decimal("0.01"), None]]),
    "vector": (pl.Array(pl.Float32, 2), [[-0.0, float("nan")], [1.0, None]]),
    "place": (
        pl.Struct({"lat": pl.Float64, "names": pl.List(pl.String), "at": INSTANT}),
        [
            {"lat": -0.0, "names": ["x", None], "at": datetime(2024, 1, 1, tzinfo=UTC)},
            {"lat": None, "names": None, "at": None},
        ],
    ),
}
_NO_KEYS = {"float32", "float64", "hour", "span", "tags", "sums", "vector", "place"}
KEYS = [name for name in VALUES if name not in _NO_KEYS]


def column(name: str, count: int) -> pl.Series:
    dtype, values = VALUES[name]
    cells = [*values, None]
    return pl.Series(name, [cells[n % len(cells)] for n in range(count)], dtype, strict=True)


def every(count: int = 40) -> pl.DataFrame:
    return pl.DataFrame([pl.Series("k", range(count)), *(column(name, count) for name in VALUES)])


def keyed(name: str) -> pl.DataFrame:
    """Each value of a type as a key, and none of them null."""
    dtype, values = VALUES[name]
    keys = pl.Series("key", values, dtype, strict=True)
    return pl.DataFrame([keys, pl.Series("n", range(len(values)))])


def moments() -> pl.DataFrame:
    """Rows of long ago, of just now and of the days to come, of all types; some are seen later."""
    ages = [-3 * 86_400, -7_200, -90, -30, 5, 3_600, 2 * 86_400]
    times = [NOW + timedelta(seconds=age) for age in ages] * 4
    rows = every(len(times)).with_columns(
        pl.Series("k", [n // len(ages) for n in range(len(times))]),
        pl.Series("at", times, INSTANT),
    )
    late = [timedelta(hours=5 * (n % 3)) for n in range(len(times))]
    return rows.with_columns((pl.col("at") + pl.Series(late)).alias("seen"))


def amounts() -> pl.DataFrame:
    times = [NOW - timedelta(minutes=7 * n) for n in range(200)]
    cells = [0.1, -0.0, float("nan"), None, 1e308, 3.0]
    return pl.DataFrame(
        {
            "k": [n % 5 for n in range(200)],
            "at": times,
            "amount": [cells[n % 6] for n in range(200)],
            "money": [Decimal(n).scaleb(-2) for n in range(200)],
            "whole": [2**53 + n for n in range(200)],
        },
        schema_overrides={"at": INSTANT, "money": pl.Decimal(38, 2)},
    )


@pytest.fixture
def project(git: Git, place: str, monkeypatch: pytest.MonkeyPatch) -> Mirrored:
    """An empty project that is served from each kind of store."""
    del place
    monkeypatch.chdir(git.root)
    git.write("mlforge.toml", '[project]\nname = "shop"\n')
    git.write("one.csv", "k\n1\n")
    git("add", ".")
    git("commit", "-qm", "begin")
    return Mirrored(Shop(git))


def pushed(project: Mirrored, features: Sequence[object]) -> None:
    defs = mlf.Definitions(name="shop", features=features)  # type: ignore[arg-type]
    report = defs.build()
    assert [outcome.error for outcome in report.values()] == [None] * len(features)
    project.push()


def check(project: Mirrored, *names: str, fewest: int = 1) -> None:
    """All is equal; and where two entities' rows are exchanged, both ways of looking find it."""
    audit = project.mirror.verify(against_training=200, seed=SEED)
    assert audit.training is not None
    assert [feature.examples for feature in audit.training.features] == [()] * len(names)
    assert audit.exit_code == 0
    assert {f.name: f.compared >= 50 for f in audit.training.features} == dict.fromkeys(names, True)
    for name in names:
        rows = project.rows(name)
        pairs = [(a, b) for a in rows for b in rows if rows[a] != rows[b]]
        assert len(rows) >= fewest
        exchange(project, name, *pairs[0])
    audit = project.mirror.verify(against_training=200, seed=SEED)
    assert audit.training is not None
    assert {name: audit[name].edited for name in names} == dict.fromkeys(names, 2)
    assert {feature.name for feature in audit.training.differing} == {*names}
    assert audit.exit_code == 1


def exchange(project: Mirrored, feature: str, one: bytes, other: bytes) -> None:
    rows, load = project.rows(feature), project.board().served[feature].load
    keys, values = pa.array([one, other], pa.binary()), [rows[other], rows[one]]
    with project.store() as store:
        store.load(load, [Rows(keys, pa.array(values, pa.binary()))])


def test_every_type_as_a_value(project: Mirrored) -> None:
    @mlf.feature(keys=["k"], source="one.csv")
    def static(df: pl.LazyFrame) -> pl.DataFrame:
        return every()

    pushed(project, [static])
    check(project, "static", fewest=40)


@pytest.mark.parametrize("name", KEYS)
def test_every_type_as_a_key(project: Mirrored, name: str) -> None:
    @mlf.feature(keys=["key"], source="one.csv")
    def by_key(df: pl.LazyFrame) -> pl.DataFrame:
        return keyed(name)

    pushed(project, [by_key])
    check(project, "by_key", fewest=2)


def test_times_by_which_rows_are_seen(project: Mirrored) -> None:
    """With ages, with moments of writing, and of days to come."""

    @mlf.feature(keys=["k"], source="one.csv", timestamp="at")
    def plain(df: pl.LazyFrame) -> pl.DataFrame:
        return moments().drop("seen")

    @mlf.feature(keys=["k"], source="one.csv", timestamp="at", max_age="2h")
    def aging(df: pl.LazyFrame) -> pl.DataFrame:
        return moments().drop("seen")

    @mlf.feature(keys=["k"], source="one.csv", timestamp="at", created="seen")
    def written(df: pl.LazyFrame) -> pl.DataFrame:
        return moments()

    @mlf.feature(keys=["k"], source="one.csv", timestamp="at", created="seen", max_age="1d")
    def both(df: pl.LazyFrame) -> pl.DataFrame:
        return moments()

    pushed(project, [plain, aging, written, both])
    check(project, "plain", "aging", "written", "both", fewest=4)


def test_intervals(project: Mirrored) -> None:
    metrics = [
        mlf.Rolling(["1h", "3h"], {"amount": ["sum", "mean", "min"]}),
        mlf.Rolling(["1d"], {"money": ["sum", "max"], "whole": ["sum", "count"]}),
    ]

    @mlf.feature(keys=["k"], source="one.csv", timestamp="at", interval="1h", metrics=metrics)
    def hourly(df: pl.LazyFrame) -> pl.DataFrame:
        return amounts()

    @mlf.feature(
        keys=["k"],
        source="one.csv",
        timestamp="at",
        interval="1h",
        metrics=metrics,
        max_age="2h",
        timezone="Europe/Berlin",
    )
    def local(df: pl.LazyFrame) -> pl.DataFrame:
        return amounts()

    pushed(project, [hourly, local])
    check(project, "hourly", "local", fewest=5)


def test_keys_that_are_made_and_several(project: Mirrored) -> None:
    shops = pl.DataFrame({"city": ["x", "y", "x", "é"], "number": [1, 1, 2, 2**53 + 1]})
    shop = mlf.Entity("shop", join_key="shop_key", from_columns=["city", "number"])

    @mlf.feature(entities=[shop], source="one.csv")
    def made(df: pl.LazyFrame) -> pl.DataFrame:
        return shops.with_columns(size=pl.Series([1, 2, 3, 4]))

    @mlf.feature(keys=["number", "city"], source="one.csv")
    def several(df: pl.LazyFrame) -> pl.DataFrame:
        return shops.with_columns(size=pl.Series([1, 2, 3, 4]))

    pushed(project, [made, several])
    check(project, "made", "several", fewest=4)


def test_null_keys(project: Mirrored) -> None:
    rows = {"k": [1, None, 2, None], "other": ["a", "a", "b", None], "n": [*"wxyz"]}

    @mlf.feature(keys=["k", "other"], source="one.csv")
    def nulls(df: pl.LazyFrame) -> pl.DataFrame:
        return pl.DataFrame(rows)

    pushed(project, [nulls])
    store = project.mirror.place.settled(project.mirror)
    asked = pl.DataFrame(rows).select("k", "other")
    for entities in (asked, asked.to_dicts()):
        with store:
            found = mlf.get_online_features(["nulls"], entities, store=store)
        assert [row["n"] for row in found] == ["w", None, "y", None]
        assert [s["nulls"] for s in found.statuses] == ["present", "missing", "present", "missing"]
    check(project, "nulls", fewest=2)
