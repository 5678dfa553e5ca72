"""Surrogate keys from end to end: a feature of people by name, and spines that carry either."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import mlforge as mlf
from mlforge.errors import BuildFailed, ColumnNotFound
from tests.git_cli import Git

PEOPLE = pl.DataFrame(
    {
        "first": ["Ada", "Ada", "Alan", None],
        "last": ["Byron", "Lovelace", "Turing", "Turing"],
        "born": [1815, 1816, 1912, 1900],
    }
)
person = mlf.Entity(name="person", join_key="person_id", from_columns=["first", "last"])


@mlf.feature(
    entities=[person],
    source="people.parquet",
    validators={"first": [mlf.is_in(["Ada", "Alan"])]},
)
def people(df: pl.LazyFrame) -> pl.LazyFrame:
    return df.select("first", "last", "born")


@mlf.feature(entities=[person], source="people.parquet")
def keyed(df: pl.LazyFrame) -> pl.LazyFrame:
    return df.select(pl.lit("k").alias("person_id") + pl.col("born").cast(pl.String), "born")


@pytest.fixture
def defs(git: Git, monkeypatch: pytest.MonkeyPatch) -> mlf.Definitions:
    monkeypatch.chdir(git.root)
    PEOPLE.write_parquet("people.parquet")
    return mlf.Definitions(
        name="shop", features=[people], offline_store=mlf.LocalStore("feature_store")
    )


def test_a_key_made_of_columns_stands_for_them(defs: mlf.Definitions) -> None:
    defs.build()
    store = mlf.LocalStore("feature_store")
    rows = store.read("people")
    assert rows.columns == ["person_id", "born"]
    made = PEOPLE.select(mlf.surrogate_key("first", "last").alias("person_id"), "born")
    assert rows.sort("born").equals(made.sort("born"))
    assert [s.columns for s in store.metadata("people").manifest.surrogates] == [("first", "last")]


def test_a_spine_carries_the_columns_or_the_key(defs: mlf.Definitions) -> None:
    defs.build()
    names = PEOPLE.select("last", "first").reverse()
    by_name = defs.get_training_data(names, features=["people"])
    assert by_name.columns == ["last", "first", "born"]
    assert by_name["born"].to_list() == [1900, 1912, 1816, 1815]
    by_key = defs.get_training_data(
        names.select(mlf.surrogate_key("first", "last").alias("person_id")), features=["people"]
    )
    assert by_key["born"].to_list() == [1900, 1912, 1816, 1815]


def test_a_spine_with_neither_is_told_both_ways(defs: mlf.Definitions) -> None:
    defs.build()
    with pytest.raises(ColumnNotFound, match="no column person_id") as refused:
        defs.get_training_data(PEOPLE.select("first"), features=["people"])
    assert refused.value.hint == "add person_id, or first and last, to the spine"


def test_a_function_may_make_the_key_itself(git: Git, defs: mlf.Definitions) -> None:
    own = mlf.Definitions(name="own", features=[keyed], offline_store=mlf.LocalStore("own_store"))
    own.build()
    assert own.offline_store.read("keyed")["person_id"].sort().to_list()[0] == "k1815"


def test_a_column_that_the_key_needs_is_missed_by_name(
    git: Git, defs: mlf.Definitions, tmp_path: Path
) -> None:
    PEOPLE.drop("last").rename({"first": "last"}).write_parquet("people.parquet")

    @mlf.feature(entities=[person], source="people.parquet")
    def lacking(df: pl.LazyFrame) -> pl.LazyFrame:
        return df

    bad = mlf.Definitions(name="bad", features=[lacking], offline_store=mlf.LocalStore("other"))
    with pytest.raises(BuildFailed, match="has no column first"):
        bad.build()


def test_what_a_key_is_made_of_is_a_rule_of_reading(defs: mlf.Definitions, git: Git) -> None:
    defs.build()
    PEOPLE.select("last", first="first", born="born").write_parquet("people.parquet")
    other = mlf.Entity(name="person", join_key="person_id", from_columns=["last", "first"])

    @mlf.feature(entities=[other], source="people.parquet")
    def people(df: pl.LazyFrame) -> pl.LazyFrame:
        return df.select("first", "last", "born")

    again = mlf.Definitions(
        name="shop", features=[people], offline_store=mlf.LocalStore("feature_store")
    )
    outcome = again.build()["people"]
    assert (str(outcome.version), outcome.change) == ("1.1.0", "minor: config_changed")
