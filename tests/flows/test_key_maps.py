"""Key maps: one feature for several columns of a spine, and what cannot be mapped."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

import mlforge as mlf
from mlforge.errors import (
    ColumnCollision,
    ColumnNotFound,
    InvalidName,
    InvalidSpine,
    InvalidUsage,
    KeyTypeMismatch,
)
from tests.git_cli import Git

START = datetime(2024, 1, 1, tzinfo=UTC)
USERS = pl.DataFrame({"user_id": [1, 2], "at": [START] * 2, "spend": [10, 20], "country": "DE"})
PEOPLE = pl.DataFrame({"first": ["Ada", "Alan"], "last": ["Byron", "Turing"], "born": [1815, 1912]})
SALES = pl.DataFrame(
    {
        "user_id": [9, 9, 9],
        "buyer_id": pl.Series([1, 2, None], dtype=pl.Int32),
        "seller_id": [2, 2, 1],
        "when": [START] * 3,
        "seller_first": ["Alan", "Ada", None],
        "last": ["Turing", "Byron", "Byron"],
    }
)
person = mlf.Entity(name="person", join_key="person_id", from_columns=["first", "last"])


@mlf.feature(keys=["user_id"], source="users.parquet", timestamp="at")
def user(df: pl.LazyFrame) -> pl.LazyFrame:
    return df


@mlf.feature(entities=[person], source="people.parquet")
def people(df: pl.LazyFrame) -> pl.LazyFrame:
    return df


@pytest.fixture
def defs(git: Git, monkeypatch: pytest.MonkeyPatch) -> mlf.Definitions:
    monkeypatch.chdir(git.root)
    USERS.write_parquet("users.parquet")
    PEOPLE.write_parquet("people.parquet")
    defs = mlf.Definitions(name="shop", features=[user, people])
    defs.build()
    return defs


def spec(column: str, prefix: str | None = None, **options: object) -> mlf.FeatureSpec:
    return mlf.FeatureSpec("user", on={"user_id": column}, prefix=prefix, **options)  # type: ignore[arg-type]


def trained(
    defs: mlf.Definitions, *features: mlf.FeatureSpec, full_names: bool = False
) -> mlf.TrainingSet:
    return defs.get_training_data(SALES, features, timestamp="when", full_names=full_names)


def test_a_feature_is_asked_for_twice_by_other_columns(defs: mlf.Definitions) -> None:
    training = trained(defs, spec("buyer_id", "buyer_"), spec("seller_id", "seller_"))
    assert training.select(SALES.columns).equals(SALES)
    assert training.columns[len(SALES.columns) :] == [
        *["buyer_spend", "buyer_country", "seller_spend", "seller_country"]
    ]
    assert training["buyer_spend"].to_list() == [10, 20, None]
    assert training["seller_spend"].to_list() == [20, 20, 10]


def test_a_map_goes_before_a_column_of_the_keys_name(defs: mlf.Definitions) -> None:
    assert trained(defs, spec("seller_id"))["spend"].to_list() == [20, 20, 10]


def test_a_prefix_does_without_a_map_and_comes_before_full_names(defs: mlf.Definitions) -> None:
    alone = mlf.FeatureSpec("user", columns=["spend"], prefix="own_")
    assert trained(defs, alone)["own_spend"].to_list() == [None] * 3
    full = trained(defs, spec("seller_id", "seller_", columns=["spend"]), full_names=True)
    assert full.columns[-1] == "seller_user__spend"


def test_provenance_names_the_map(defs: mlf.Definitions) -> None:
    provenance = trained(defs, spec("buyer_id", "b_"), spec("seller_id", "s_")).provenance
    assert [match.on for match in provenance.features] == [
        (("user_id", "buyer_id"),),
        (("user_id", "seller_id"),),
    ]
    assert provenance.features[0].to_dict()["on"] == {"user_id": "buyer_id"}
    assert "user (user_id = seller_id)" in repr(provenance)


def test_a_column_that_a_key_is_made_of_is_mapped(defs: mlf.Definitions) -> None:
    one = mlf.FeatureSpec("people", on={"first": "seller_first"})
    assert trained(defs, one)["born"].to_list() == [1912, 1815, None]


def test_a_key_that_is_made_of_others_is_mapped_itself(defs: mlf.Definitions) -> None:
    made = SALES.with_columns(who=mlf.surrogate_key("seller_first", "last"), person_id=pl.lit("?"))
    one = mlf.FeatureSpec("people", on={"person_id": "who"})
    assert defs.get_training_data(made, [one])["born"].to_list() == [1912, 1815, None]
    other = mlf.FeatureSpec("people", on={"first": "seller_first"})
    assert defs.get_training_data(made, [other])["born"].to_list() == [1912, 1815, None]


def test_what_is_no_key_is_told_with_what_is(defs: mlf.Definitions) -> None:
    with pytest.raises(ColumnNotFound, match=r"maps spend, which is no key of user@1\.0\.0") as no:
        trained(defs, mlf.FeatureSpec("user", on={"spend": "seller_id"}))
    assert no.value.hint == "what can be mapped: user_id"
    with pytest.raises(ColumnNotFound) as no:
        trained(defs, mlf.FeatureSpec("people", on={"user_id": "seller_id"}))
    assert no.value.hint == "what can be mapped: person_id, first, last"


def test_what_the_spine_does_not_have_is_told(defs: mlf.Definitions) -> None:
    with pytest.raises(InvalidSpine, match="no column selerid, to which on= maps user_id") as no:
        trained(defs, spec("selerid"))
    assert no.value.hint == "did you mean seller_id?"
    with pytest.raises(ColumnNotFound, match="no column person_id") as no:
        defs.get_training_data(
            SALES.drop("last"), [mlf.FeatureSpec("people", on={"first": "seller_first"})]
        )
    assert no.value.hint == "add person_id, or seller_first and last, to the spine"


def test_a_key_and_what_it_is_made_of_are_not_both_mapped(defs: mlf.Definitions) -> None:
    with pytest.raises(InvalidUsage, match="both person_id and last"):
        trained(defs, mlf.FeatureSpec("people", on={"person_id": "last", "last": "last"}))


def test_a_wrong_type_is_told_of_the_spines_column(defs: mlf.Definitions) -> None:
    with pytest.raises(KeyTypeMismatch, match="seller_first is string in the spine") as no:
        trained(defs, spec("seller_first"))
    assert no.value.hint == "make seller_first int64 first"


def test_the_same_names_twice_are_told_with_a_way_out(defs: mlf.Definitions) -> None:
    with pytest.raises(ColumnCollision, match=r"(?s)spend .*country") as no:
        trained(defs, spec("buyer_id"), spec("seller_id"))
    assert (
        no.value.hint == 'ask for it once, or tell them apart: FeatureSpec("user", prefix="other_")'
    )


@pytest.mark.parametrize("on", ["user_id", ["user_id"], {"user_id": 5}, {5: "user_id"}, 5])
def test_what_is_no_map_is_refused(defs: mlf.Definitions, on: object) -> None:
    with pytest.raises(InvalidUsage, match="maps no key to a column"):
        trained(defs, mlf.FeatureSpec("user", on=on))  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["a b", "2nd", 5, "a" * 101])
def test_a_prefix_is_the_beginning_of_a_name(defs: mlf.Definitions, prefix: object) -> None:
    with pytest.raises(InvalidName, match="cannot be the prefix"):
        trained(defs, mlf.FeatureSpec("user", prefix=prefix))  # type: ignore[arg-type]


def test_columns_are_a_list(defs: mlf.Definitions) -> None:
    with pytest.raises(InvalidUsage, match="columns='spend' is not a list"):
        trained(defs, mlf.FeatureSpec("user", columns="spend"))
