"""Training data, line by line of docs/semantics.md#point-in-time-join, with odd and wide spines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import mlforge as mlf
from mlforge.errors import ColumnCollision, InvalidSpine, InvalidTimes, NaiveTimes
from mlforge.flows import joining
from tests.git_cli import Git

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMITS = pl.DataFrame(
    {"user": [1, 1, 2], "at": [START, START + DAY, START], "limit": [100, None, 300]}
)
USERS = pl.DataFrame({"user": [1, 2], "country": ["DE", None]})
SHOPS = pl.DataFrame(
    {
        "user": pl.Series([1, 1], dtype=pl.Int16),
        "shop": ["a", "b"],
        "opened": pl.Series([date(2024, 3, 1)] * 2),
        "price": pl.Series([Decimal("1.50"), Decimal("2.50")], dtype=pl.Decimal(10, 2)),
        "rank": [1, 2],
    }
)
WIDE = [f"v{number}" for number in range(1000)]


def rows(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame


def named(name: str, **options: object) -> object:
    def function(frame: pl.LazyFrame) -> pl.LazyFrame:
        return rows(frame)

    function.__name__ = name
    return mlf.feature(**options)(function)  # type: ignore[arg-type]


@pytest.fixture
def defs(git: Git, monkeypatch: pytest.MonkeyPatch) -> mlf.Definitions:
    monkeypatch.chdir(git.root)
    LIMITS.write_parquet("limits.parquet")
    LIMITS.with_columns(pl.col("at").dt.replace_time_zone(None)).write_parquet("naive.parquet")
    USERS.write_parquet("users.parquet")
    SHOPS.write_parquet("shops.parquet")
    pl.DataFrame({"user": [1], **{name: [1.0] for name in WIDE}}).write_parquet("wide.parquet")
    daily = mlf.Rolling(["1d"], {"limit": ["count"]})
    timed = {"keys": ["user"], "timestamp": "at"}
    features = [
        named("aware", source="limits.parquet", **timed),
        named("naive", source="naive.parquet", **timed),
        named("fresh", source="limits.parquet", max_age="12h", **timed),
        named("daily", source="limits.parquet", interval="1d", metrics=[daily], **timed),
        named("static", source="users.parquet", keys=["user"]),
        named("shops", source="shops.parquet", keys=["user", "shop", "opened", "price"]),
        named("wide", source="wide.parquet", keys=["user"]),
    ]
    defs = mlf.Definitions(name="shop", features=features)  # type: ignore[arg-type]
    defs.build()
    return defs


def seen(defs: mlf.Definitions, feature: str, *when: object, **options: object) -> list[object]:
    """The limit that user 1 has at these times."""
    spine = pl.DataFrame({"user": [1] * len(when), "when": list(when)})
    training = defs.get_training_data(
        spine,
        [feature],
        timestamp="when",
        **options,  # type: ignore[arg-type]
    )
    return training[training.columns[-1]].to_list()


# -- rows and columns ---------------------------------------------------------------------------


def test_rows_come_back_as_they_went_in(defs: mlf.Definitions) -> None:
    spine = pl.DataFrame(
        {"user": [2, 1, 2, 9, 2, None], "when": [START + n * HOUR for n in (3, 1, 3, 2, 0, 1)]}
    )
    training = defs.get_training_data(spine, ["aware", "static"], timestamp="when")
    assert training.select(spine.columns).equals(spine)
    assert training["limit"].to_list() == [300, 100, 300, None, 300, None]


ODD: dict[str, pl.Series] = {
    "list": pl.Series([[1, 2], None]),
    "struct": pl.Series([{"a": 1, "b": None}, None]),
    "category": pl.Series(["x", None], dtype=pl.Categorical),
    "enum": pl.Series(["x", None], dtype=pl.Enum(["y", "x"])),
    "time": pl.Series([time(1, 2, 3), None]),
    "duration": pl.Series([HOUR, None], dtype=pl.Duration("ns")),
    "nothing": pl.Series([None, None], dtype=pl.Null),
    "odd name ": pl.Series([1, 2]),
    "": pl.Series([1.5, float("nan")]),
    "bytes": pl.Series([b"\xff\x00", None]),
    "local": pl.Series([START, None]).dt.convert_time_zone("Asia/Tokyo"),
    "nanoseconds": pl.Series([1, None], dtype=pl.Int64).cast(pl.Datetime("ns")),
    "embedding": pl.Series([[1.0, 2.0], None], dtype=pl.Array(pl.Float32, 2)),
    "huge": pl.Series([2**100, None], dtype=pl.Int128),
}


@pytest.mark.parametrize("column", ODD)
def test_no_column_of_the_spine_is_changed(defs: mlf.Definitions, column: str) -> None:
    spine = pl.DataFrame({"user": [1, 2], column: ODD[column]})
    training = defs.get_training_data(spine, ["static"])
    assert training.schema[column] == spine.schema[column]
    assert training.columns == ["user", column, "country"]
    assert training.select(spine.columns).equals(spine)


def test_a_spine_of_thousands_of_columns_is_joined(defs: mlf.Definitions) -> None:
    spine = pl.DataFrame({"user": [1], **{f"c{number}": [number] for number in range(3000)}})
    training = defs.get_training_data(spine, ["wide", "static"])
    assert training.width == 3001 + 1000 + 1
    narrow = mlf.FeatureSpec("wide", columns=["v999", "v0"])
    assert defs.get_training_data(spine, [narrow]).columns[-2:] == ["v999", "v0"]


def test_a_spine_without_rows_gives_none(defs: mlf.Definitions) -> None:
    spine = pl.DataFrame(schema={"user": pl.Int64, "when": pl.Datetime("us", "UTC")})
    training = defs.get_training_data(spine, ["aware", "static"], timestamp="when")
    assert (training.height, training.columns) == (0, ["user", "when", "limit", "country"])


def test_an_empty_feature_gives_nulls(git: Git, defs: mlf.Definitions) -> None:
    LIMITS.clear().write_parquet("limits.parquet")
    defs.build(["aware"])
    assert seen(defs, "aware", START + DAY) == [None]


# -- what is seen -------------------------------------------------------------------------------


def test_the_last_row_at_or_before_the_time_is_seen(defs: mlf.Definitions) -> None:
    before = timedelta(microseconds=1)
    assert seen(defs, "aware", START - before, START, START + DAY - before) == [None, 100, 100]


def test_without_exact_matches_only_what_was_before_it(defs: mlf.Definitions) -> None:
    after = timedelta(microseconds=1)
    assert seen(defs, "aware", START, START + after, exact_matches=False) == [None, 100]


def test_a_null_in_the_row_that_was_found_stays_null(defs: mlf.Definitions) -> None:
    assert seen(defs, "aware", START + 2 * DAY) == [None]


def test_a_row_that_is_too_old_gives_null_and_none_before_it_counts(defs: mlf.Definitions) -> None:
    assert seen(defs, "fresh", START + 12 * HOUR, START + 13 * HOUR) == [100, None]


def test_whether_all_rows_of_a_small_feature_are_read_changes_nothing(
    defs: mlf.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    spine = pl.DataFrame({"user": [2, 1, None, 9], "when": [START + n * DAY for n in (3, 1, 2, 0)]})
    found = list[mlf.TrainingSet]()
    for most in (0, 1 << 20):
        monkeypatch.setattr(joining, "_MOST_UNSEEN", most)
        found.append(defs.get_training_data(spine, ["aware", "static", "wide"], timestamp="when"))
    assert found[0].equals(found[1])
    assert found[0].provenance.content_hash == found[1].provenance.content_hash


def test_a_days_bucket_is_seen_when_the_day_is_over(defs: mlf.Definitions) -> None:
    assert seen(defs, "daily", START + 23 * HOUR, START + DAY) == [None, 1]
    assert seen(defs, "daily", START + DAY, exact_matches=False) == [None]


def test_a_null_key_or_time_gives_nulls(defs: mlf.Definitions) -> None:
    spine = pl.DataFrame(
        {"user": [None, 1, None], "when": [START, None, None]},
        {"user": pl.Int64, "when": pl.Datetime("us", "UTC")},
    )
    training = defs.get_training_data(spine, ["aware", "static"], timestamp="when")
    assert training["limit"].to_list() == [None] * 3
    # It asks for no time.
    assert training["country"].to_list() == [None, "DE", None]
    assert [f.without_key for f in training.provenance.features] == [3, 2]
    assert [f.matched for f in training.provenance.features] == [0, 1]


def test_keys_and_times_of_no_type_are_null(defs: mlf.Definitions) -> None:
    spine = pl.DataFrame({"user": [None], "when": [None]})
    training = defs.get_training_data(spine, ["aware", "static"], timestamp="when")
    assert training.row(0) == (None,) * 4


def test_static_features_need_no_time(defs: mlf.Definitions) -> None:
    training = defs.get_training_data(pl.DataFrame({"user": [2, 1]}), ["static"])
    assert training["country"].to_list() == [None, "DE"]


def test_neither_keys_nor_the_time_are_guessed(defs: mlf.Definitions) -> None:
    spine = pl.DataFrame({"user_id": [1], "at": [START]})
    with pytest.raises(InvalidSpine, match="say which column of the spine is its time"):
        defs.get_training_data(spine.rename({"user_id": "user"}), ["aware"])
    with pytest.raises(InvalidSpine, match="no column user"):
        defs.get_training_data(spine, ["aware"], timestamp="at")


# -- keys ---------------------------------------------------------------------------------------


def test_all_parts_of_a_key_are_cast_and_must_be_equal(defs: mlf.Definitions) -> None:
    spine = pl.DataFrame(
        {
            "user": pl.Series([1, 1, 1, 2, None], dtype=pl.UInt64),
            "shop": pl.Series(["a", "b", "c", "a", "a"], dtype=pl.Categorical),
            "opened": pl.Series([date(2024, 3, 1)] * 5),
            "price": pl.Series(["1.5", "2.5", "1.5", "1.5", "1.5"]).cast(pl.Decimal(38, 4)),
        }
    )
    training = defs.get_training_data(spine, ["shops"])
    assert training["rank"].to_list() == [1, 2, None, None, None]
    assert training.select(spine.columns).equals(spine)


# -- times --------------------------------------------------------------------------------------

SIX = START + 6 * HOUR
TOKYO = pl.Series([SIX]).dt.convert_time_zone("Asia/Tokyo")
TIMES: dict[str, pl.Series] = {
    **{unit: pl.Series([SIX]).dt.cast_time_unit(unit) for unit in ("ms", "us", "ns")},
    "another zone": TOKYO,
    "another zone in milliseconds": TOKYO.dt.cast_time_unit("ms"),
}


@pytest.mark.parametrize("feature", ["aware", "naive", "daily"])
@pytest.mark.parametrize("times", TIMES)
def test_aware_times_of_any_unit_and_zone_are_one_instant(
    defs: mlf.Definitions, feature: str, times: str
) -> None:
    spine = pl.DataFrame({"user": [1], "when": TIMES[times]})
    training = defs.get_training_data(spine, [feature], timestamp="when")
    assert training["when"].equals(TIMES[times])
    assert training[training.columns[-1]].to_list() == seen(defs, feature, SIX)


def test_naive_times_are_utc_where_the_features_are(defs: mlf.Definitions) -> None:
    local = (START + timedelta(minutes=1)).replace(tzinfo=None)
    assert seen(defs, "naive", local) == [100]
    assert seen(defs, "aware", local, timezone="UTC") == [100]
    with pytest.raises(NaiveTimes, match=r"times of aware@1\.0\.0 have"):
        seen(defs, "aware", local)


@pytest.mark.parametrize("feature", ["aware", "naive"])
def test_naive_times_are_local_ones_of_the_zone_that_is_said(
    defs: mlf.Definitions, feature: str
) -> None:
    local = START.replace(tzinfo=None)
    assert seen(defs, feature, local, local + HOUR, timezone="Europe/Berlin") == [None, 100]


def test_a_date_is_the_beginning_of_its_day(defs: mlf.Definitions) -> None:
    days = [date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 2)]
    assert seen(defs, "naive", *days) == [None, 100, None]
    assert seen(defs, "naive", *days, timezone="Europe/Berlin") == [None, None, 100]
    assert seen(defs, "daily", *days, timezone="UTC") == [None, None, 1]


@pytest.mark.parametrize("feature", ["aware", "static"])
def test_times_below_a_microsecond_are_refused_and_never_rounded(
    defs: mlf.Definitions, feature: str
) -> None:
    fine = pl.Series("when", [1_001]).cast(pl.Datetime("ns", "UTC"))
    with pytest.raises(InvalidTimes, match="not whole microseconds"):
        defs.get_training_data(
            pl.DataFrame({"user": [1], "when": fine}), [feature], timestamp="when"
        )


# -- names --------------------------------------------------------------------------------------


def test_all_collisions_are_listed(defs: mlf.Definitions) -> None:
    spine = pl.DataFrame({"user": [1], "country": ["x"], **{name: [0] for name in WIDE[:7]}})
    with pytest.raises(ColumnCollision) as refused:
        defs.get_training_data(spine, ["static", "wide"])
    lines = refused.value.message.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["country", *WIDE[:7]]
    assert "  country (the spine and static@1.0.0)" in lines
    assert "full_names=True" in str(refused.value.hint)


def test_full_names_begin_with_the_feature_once(defs: mlf.Definitions) -> None:
    spine = pl.DataFrame({"user": [1], "country": ["x"], "when": [START]})
    training = defs.get_training_data(spine, ["static", "daily"], timestamp="when", full_names=True)
    assert training.columns[3:] == ["static__country", "daily__limit__count__1d__1d"]


# -- files --------------------------------------------------------------------------------------

WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "spine.parquet": lambda frame, path: frame.write_parquet(path),
    "spine.csv": lambda frame, path: frame.write_csv(path),
    "spine.arrow": lambda frame, path: frame.write_ipc(path),
    "spine.ipc": lambda frame, path: frame.write_ipc(path, compression="lz4"),
    "spine.feather": lambda frame, path: frame.write_ipc(path, compression="zstd"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kind", [Path, str])
def test_a_path_to_a_file_is_a_spine(
    defs: mlf.Definitions, name: str, kind: type[Path] | type[str]
) -> None:
    WRITERS[name](pl.DataFrame({"user": [2, 1], "when": [START, START + HOUR]}), Path(name))
    training = defs.get_training_data(kind(name), ["aware"], timestamp="when")
    assert training["limit"].to_list() == [300, 100]


@pytest.mark.parametrize("name", [*WRITERS, "spine.json", "spine"])
def test_a_file_that_cannot_be_read_is_told(defs: mlf.Definitions, name: str) -> None:
    with pytest.raises(InvalidSpine, match="spine"):
        defs.get_training_data(name, ["static"])
    Path(name).write_bytes(b"\xff\xfe\0rubbish\n\0")
    with pytest.raises(InvalidSpine, match="spine"):
        defs.get_training_data(name, ["static"])


def test_a_stream_of_arrow_is_no_file(defs: mlf.Definitions) -> None:
    pl.DataFrame({"user": [1]}).write_ipc_stream("spine.arrow")
    with pytest.raises(InvalidSpine, match="cannot be read"):
        defs.get_training_data("spine.arrow", ["static"])


def test_what_comes_back_goes_to_pandas_and_to_arrow(defs: mlf.Definitions) -> None:
    training = defs.get_training_data(pl.DataFrame({"user": [2, 1]}), ["static"])
    assert training.to_pandas()["country"].isna().tolist() == [True, False]
    assert training.to_arrow().column_names == ["user", "country"]
