"""Rows that arrive late or are corrected, from the declaration to training data."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import mlforge as mlf
from mlforge.errors import DuplicateKeys, InvalidTimes, NaiveTimes
from tests.engines.brute import declared
from tests.engines.brute import run as compute
from tests.git_cli import Git

DAY = timedelta(days=1)
START = datetime(2024, 3, 1, tzinfo=UTC)

# Known at once, corrected two days later, and an event that was told of five days later.
LIMITS = pl.DataFrame(
    {
        "user_id": [1, 1, 1],
        "at": [START, START, START + DAY],
        "limit": [100, 150, 200],
        "loaded_at": [START, START + 2 * DAY, START + 6 * DAY],
    }
)


@mlf.feature(keys=["user_id"], source="limits.parquet", timestamp="at", created="loaded_at")
def credit(limits: pl.LazyFrame) -> pl.LazyFrame:
    return limits


@pytest.fixture
def defs(git: Git, monkeypatch: pytest.MonkeyPatch) -> mlf.Definitions:
    monkeypatch.chdir(git.root)
    LIMITS.write_parquet("limits.parquet")
    return mlf.Definitions(name="shop", features=[credit])


def asked(*days: int) -> pl.DataFrame:
    return pl.DataFrame({"user_id": [1] * len(days), "when": [START + n * DAY for n in days]})


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_spine_sees_what_was_loaded_by_then(defs: mlf.Definitions, engine: str) -> None:
    defs.build(engine=engine)
    training = defs.get_training_data(asked(0, 1, 2, 5, 6), ["credit"], timestamp="when")
    assert training["limit"].to_list() == [100, 100, 150, 150, 200]


def test_when_a_row_was_loaded_is_kept_and_told_to_who_asks(defs: mlf.Definitions) -> None:
    defs.build()
    assert defs.offline_store.read("credit").columns == LIMITS.columns
    all_of_it = defs.get_training_data(asked(2), ["credit"], timestamp="when")
    assert all_of_it.columns == ["user_id", "when", "limit"]
    loaded = mlf.FeatureSpec("credit", columns=["loaded_at"])
    training = defs.get_training_data(asked(2), [loaded], timestamp="when")
    assert training.columns == ["user_id", "when", "loaded_at"]
    assert training["loaded_at"].to_list() == [START + 2 * DAY]


def test_it_is_part_of_the_version(defs: mlf.Definitions) -> None:
    defs.build()
    assert defs.offline_store.metadata("credit").manifest.created == "loaded_at"


def test_to_declare_it_is_another_rule_of_reading(git: Git, defs: mlf.Definitions) -> None:
    LIMITS[1:].write_parquet("limits.parquet")
    plain = mlf.feature(keys=["user_id"], source="limits.parquet", timestamp="at")(credit.function)
    mlf.Definitions(name="shop", features=[plain]).build()
    outcome = defs.build()["credit"]
    assert (str(outcome.version), outcome.change) == ("1.1.0", "minor: config_changed")
    details = defs.offline_store.metadata("credit").manifest.details
    assert details == ("created none -> loaded_at",)


def test_a_build_up_to_a_moment_has_what_was_loaded_by_then(defs: mlf.Definitions) -> None:
    defs.build(as_of=START + 5 * DAY)
    assert defs.offline_store.read("credit")["limit"].to_list() == [100, 150]


def rows(tmp_path: Path, created: pl.Series, **options: object) -> pl.DataFrame:
    count = len(created)
    frame = pl.DataFrame({"k": [1] * count, "t": [START] * count, "c": created})
    return compute(tmp_path, frame, declared(created="c", **options)).frame


def test_rows_without_it_are_left_out_and_counted(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [1, 1], "t": [START] * 2, "c": [None, START]})
    built = compute(tmp_path, frame, declared(created="c"))
    assert (built.excluded, len(built.rows)) == (1, 1)


def test_one_event_loaded_twice_at_once_is_a_duplicate(tmp_path: Path) -> None:
    with pytest.raises(DuplicateKeys, match="event time and time of creation") as refused:
        rows(tmp_path, pl.Series([START, START]))
    assert "c = 2024-03-01T00:00:00Z" in str(refused.value.cause)


def test_a_tiebreak_chooses_among_rows_of_one_creation(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [1] * 3, "t": [START] * 3, "c": [0, 0, 1], "x": [5, 7, 1]})
    frame = frame.with_columns(pl.col("c").cast(pl.Datetime("us", "UTC")))
    built = compute(tmp_path, frame, declared(created="c", tiebreak=["x"]))
    assert built.frame["x"].to_list() == [7, 1]


def test_a_date_is_visible_when_it_is_over_whatever_a_date_means_as_event_time(
    tmp_path: Path,
) -> None:
    created = pl.Series([date(2024, 3, 1)])
    for date_is in ("start", "end"):
        assert rows(tmp_path, created, date_is=date_is)["c"].to_list() == [datetime(2024, 3, 2)]


def test_local_times_are_of_the_features_zone(tmp_path: Path) -> None:
    created = pl.Series([datetime(2024, 3, 1, 1)])
    assert rows(tmp_path, created, timezone="Europe/Berlin")["c"].to_list() == [START]


def test_what_is_no_time_says_when_nothing_was_visible(tmp_path: Path) -> None:
    with pytest.raises(InvalidTimes, match="the column that created= gives, c is String"):
        rows(tmp_path, pl.Series(["yesterday"]))


def test_digits_below_a_microsecond_are_refused_with_the_column(tmp_path: Path) -> None:
    with pytest.raises(InvalidTimes, match="f: c has digits below a microsecond"):
        rows(tmp_path, pl.Series([1], dtype=pl.Int64).cast(pl.Datetime("ns")))


def test_a_spine_without_a_zone_meets_its_zone_too(defs: mlf.Definitions) -> None:
    naive = pl.col("at").dt.replace_time_zone(None)
    LIMITS.with_columns(naive).write_parquet("limits.parquet")
    defs.build()
    local = asked(2).with_columns(pl.col("when").dt.replace_time_zone(None))
    with pytest.raises(NaiveTimes, match=r"credit@1\.0\.0"):
        defs.get_training_data(local, ["credit"], timestamp="when")
