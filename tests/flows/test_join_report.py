"""Explaining: how a spine met each feature, in numbers that can be counted by hand."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

import mlforge as mlf
from mlforge.errors import InvalidUsage
from tests.shop import START, Shop
from tests.typist import Typist, mlforge

HOUR, DAY = 3_600_000_000, 86_400_000_000
# User a has events on days 0, 2 and 4, known from the ends of these days; then there is no data.
ASKED = [("a", 1.0), ("a", 2.5), ("a", 5.0), ("a", 9.0), ("b", 1.0), (None, 3.0), ("c", 3.0)]


@pytest.fixture
def training(shop: Shop) -> mlf.TrainingSet:
    shop.edit('interval="1d",', 'interval="1d", max_age="3d",')
    shop.mlforge("build")
    spine = pl.DataFrame(
        {
            "user_id": [user for user, _ in ASKED],
            "when": [START + timedelta(days=days) for _, days in ASKED],
        }
    )
    return mlf.get_training_data(
        spine, ["user_spend", "user_profile"], store=mlf.LocalStore(shop.store), timestamp="when"
    )


def test_every_number_is_what_a_hand_counts(training: mlf.TrainingSet) -> None:
    spend, profile = training.explain().features
    assert (spend.rows_read, spend.matched, spend.without_key) == (5, 3, 1)
    assert (spend.youngest_age, spend.median_age) == (0, 0)
    assert (spend.p90_age, spend.oldest_age) == (12 * HOUR, 12 * HOUR)
    assert (spend.too_old, spend.past_horizon, spend.furthest) == (1, 0, 0)
    assert (profile.rows_read, profile.matched, profile.without_key) == (2, 5, 1)
    assert (profile.youngest_age, profile.p90_age) == (None, None)


def test_it_is_a_value_a_text_and_a_table(training: mlf.TrainingSet) -> None:
    report = training.explain()
    assert report.to_dict()["rows"] == len(ASKED)
    assert "user_spend@1.0.0" in repr(report)
    assert report._repr_html_().startswith("<table")
    assert {len(cells) for cells in report.cells} == {len(report.columns)}
    # Nothing lies after the data.
    assert "after the data" in report.columns
    assert "after the data" not in repr(report) + report._repr_html_()
    assert max(map(len, repr(report).splitlines())) < 110
    with pytest.raises(InvalidUsage, match="derived"):
        training.head(1).explain()


def test_the_command_line_prints_the_same_table(training: mlf.TrainingSet, shop: Shop) -> None:
    spine = training.select("user_id", "when")
    pl.DataFrame(spine).write_parquet(shop.root / "spine.parquet")
    args = ("train", "spine.parquet", "-f", "user_spend,user_profile", "--timestamp", "when")
    out = shop.mlforge(*args, "-o", "out.parquet", "--explain")
    table = out.partition("\n\n")[2].splitlines()
    assert table[0].split() == [
        *("feature", "commit", "rows", "read", "matched", "youngest", "median", "90", "%"),
        *("oldest", "null", "key", "too", "old"),
    ]
    assert table[1].split()[0] == "user_spend@1.0.0"
    assert "12 h" in table[1]
    assert "feature" not in shop.mlforge(*args, "-o", "out.parquet")
    record = shop.json(*args, "-o", "out.parquet")
    assert [f["without_key"] for f in record["features"]] == [1, 1]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_each_number_of_each_feature(
    training: mlf.TrainingSet, shop: Shop, columns: int
) -> None:
    pl.DataFrame(training.select("user_id", "when")).write_parquet(shop.root / "spine.parquet")
    args = ("train", "spine.parquet", "-f", "user_spend,user_profile", "--timestamp", "when")
    words = mlforge(*args, "-o", "out.parquet", "--explain")
    with Typist(words, shop.root, columns=columns) as typist:
        assert typist.end() == 0
    lines = typist.text.partition("out.parquet  content")[2].splitlines()
    assert max(map(len, lines)) <= columns, typist.text
    told = " ".join(" ".join(lines).split())
    for cells in training.explain().cells:
        assert told.count(cells[0]) == 1
    if columns == 120:
        heads = "feature commit rows read matched youngest median 90 % oldest null key too old"
        assert heads in told
        assert "5 42.9 % 0 s 0 s 12 h 12 h 1 1" in told
    else:
        assert "rows read 5 matched 42.9 % youngest 0 s median 0 s 90 % 12 h oldest 12 h" in told
        assert "null key 1 too old 1" in told
