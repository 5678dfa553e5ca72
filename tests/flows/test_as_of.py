"""Builds up to a moment: horizons, nightly builds, and rows made again from a source that grew."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

from mlforge.errors import InvalidUsage
from mlforge.times import iso, parse_as_of
from tests.shop import START, Shop


def horizon(shop: Shop) -> str:
    return iso(shop.json("show", "user_spend")["horizon"])


def rows(shop: Shop) -> int:
    return int(shop.json("show", "user_spend")["rows"])


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
@pytest.mark.parametrize("as_of", ["2024-01-03", "2024-01-03T09:30:00", "2024-01-03T23:59:59Z"])
def test_the_horizon_ends_at_the_last_bucket_that_was_over(
    shop: Shop, as_of: str, engine: str
) -> None:
    shop.mlforge("build", "--as-of", as_of, "--engine", engine)
    assert horizon(shop) == "2024-01-03T00:00:00Z"
    assert rows(shop) == 2


def test_a_later_bucket_without_events_is_a_version_with_the_same_bytes(shop: Shop) -> None:
    shop.mlforge("build", "--as-of", "2024-01-06")
    objects = shop.objects()
    told = shop.mlforge("build", "--as-of", "2024-01-07")
    assert "1.0.0 -> 1.0.1" in told
    assert "known until 2024-01-07T00:00:00Z" in told
    assert horizon(shop) == "2024-01-07T00:00:00Z"
    assert shop.objects() == objects


@pytest.mark.parametrize("as_of", ["2024-01-06T12:00:00", "2024-01-06"])
def test_the_same_bucket_is_no_version(shop: Shop, as_of: str) -> None:
    shop.mlforge("build", "--as-of", "2024-01-06")
    assert "No change" in shop.mlforge("build", "--as-of", as_of)


def test_what_is_known_is_not_forgotten_by_a_build_without_it(shop: Shop) -> None:
    shop.mlforge("build", "--as-of", "2024-01-07")
    assert "No change" in shop.mlforge("build")
    assert horizon(shop) == "2024-01-07T00:00:00Z"


def test_nightly_builds_change_no_row_that_was_made(shop: Shop) -> None:
    nights = [date(2024, 1, 2) + timedelta(days=n) for n in range(5)]
    seen = []
    for night in nights:
        shop.mlforge("build", "-f", "user_spend", "--as-of", night.isoformat())
        head = pl.read_parquet(shop.store / "user_spend" / shop.version("user_spend") / "*.parquet")
        seen.append({tuple(row) for row in head.rows()})
    assert all(before < after for before, after in pairwise(seen))


def test_rows_of_a_version_are_made_again_from_a_source_that_has_grown(shop: Shop) -> None:
    shop.mlforge("build", "--as-of", "2024-01-04")
    for path in shop.objects():
        path.unlink()
    shop.spend(1.0, 2.5, 0.1, 0.2, 7.0, 9.0, 11.0)
    assert "user_spend 1.0.0" in shop.mlforge("build", "-f", "user_spend@1.0.0")
    done = shop.run("build", "-f", "user_spend@1.0.0", "--as-of", "2024-01-04")
    assert done.returncode == 2
    assert "leave out --version, --as-of" in done.stderr


def test_a_feature_without_metrics_keeps_what_was_known(shop: Shop) -> None:
    shop.edit('interval="1d",', "")
    shop.edit(
        '    metrics=[mlf.Rolling(["7d", "30d"], {"amount": ["sum", "mean", "count"]})],\n', ""
    )
    shop.mlforge("build", "--as-of", "2024-01-02T10:00:00Z")
    assert rows(shop) == 2
    assert horizon(shop) == "2024-01-02T10:00:00Z"


def test_plan_asks_for_the_same_moment(shop: Shop) -> None:
    shop.mlforge("build", "--as-of", "2024-01-04")
    planned = shop.json("plan", "--as-of", "2024-01-04")["features"]
    assert {feature["status"] for feature in planned} == {"unchanged"}


def test_after_a_horizon_that_was_moved_a_value_is_not_too_old(shop: Shop) -> None:
    shop.edit('interval="1d",', 'interval="1d", max_age="1d",')
    spine = pl.DataFrame({"user_id": ["a"], "when": [START + timedelta(days=8)]})
    spine.write_parquet(shop.root / "spine.parquet")
    train = ("train", "spine.parquet", "-f", "user_spend", "--timestamp", "when", "-o", "t.parquet")
    known = []
    for as_of in ("2024-01-06", "2024-01-09"):
        shop.mlforge("build", "--as-of", as_of)
        shop.mlforge(*train)
        known.append(
            pl.read_parquet(shop.root / "t.parquet")["user_spend__amount__count__1d__30d"][0]
        )
    assert known == [None, 3]


@pytest.mark.parametrize("as_of", ["soon", "2024-13-01", "2999-01-01"])
def test_a_moment_that_cannot_be_is_refused(shop: Shop, as_of: str) -> None:
    done = shop.run("build", "--as-of", as_of)
    assert done.returncode == 2
    assert "as_of" in done.stderr
    assert not shop.objects()


def test_a_moment_is_a_date_a_time_or_text() -> None:
    now = datetime(2024, 3, 1, tzinfo=UTC)
    day = parse_as_of("2024-02-01", now)
    assert day == parse_as_of(date(2024, 2, 1), now) == parse_as_of("2024-02-01T01:00+01:00", now)
    assert parse_as_of(now, now) is not None
    with pytest.raises(InvalidUsage, match="lies in the future"):
        parse_as_of("2024-03-01T00:00:00.000001", now)
