"""Nested columns from end to end: built, shown, verified, read, trained on, and diffed."""

from __future__ import annotations

import polars as pl
import pytest

import mlforge as mlf
from tests.git_cli import Git
from tests.shop import Shop

ROWS = pl.DataFrame(
    {"k": [2, 1, 3], "vector": [[0.5, -0.0], None, [1.0, None]], "tags": [["b", None], [], None],
     "place": [{"lat": 1.5, "names": ["x"]}, None, {"lat": None, "names": None}]},
    schema={"k": pl.Int64, "vector": pl.Array(pl.Float32, 2), "tags": pl.List(pl.Categorical),
            "place": pl.Struct({"lat": pl.Float64, "names": pl.List(pl.String)})},
)  # fmt: skip
STORED = ROWS.sort("k").with_columns(pl.col("tags").cast(pl.List(pl.String)))


def definitions(rows: pl.DataFrame) -> mlf.Definitions:
    @mlf.feature(keys=["k"], source="one.csv")
    def places(df: pl.LazyFrame) -> pl.DataFrame:
        return rows

    return mlf.Definitions(name="shop", features=[places], offline_store=mlf.LocalStore("store"))


@pytest.fixture
def store(git: Git, monkeypatch: pytest.MonkeyPatch) -> mlf.LocalStore:
    monkeypatch.chdir(git.root)
    (git.root / "one.csv").write_text("k\n1\n")
    git.write("mlforge.toml", '[profiles.default.offline_store]\npath = "store"\n')
    definitions(ROWS).build()
    return mlf.LocalStore("store")


def test_nested_rows_are_read_as_they_were_built(store: mlf.LocalStore) -> None:
    assert store.read("places").equals(STORED)
    assert [str(column.type) for column in store.metadata("places").manifest.schema.columns] == [
        "int64",
        "fixed_list[float32,2]",
        "list[string]",
        "struct[lat:float64,names:list[string]]",
    ]


def test_nested_rows_verify_and_show_their_nulls(store: mlf.LocalStore, git: Git) -> None:
    assert not store.verify().problems
    shown = Shop(git).mlforge("show", "places")
    assert "struct[lat:float64,names:list[string]]" in shown


def test_training_data_takes_nested_columns_and_keeps_the_spines_own(
    store: mlf.LocalStore,
) -> None:
    spine = pl.DataFrame({"k": [3, 1, 9], "history": [[1], [2, 3], []]})
    trained = mlf.get_training_data(spine, features=["places"], store=store)
    assert trained["history"].to_list() == [[1], [2, 3], []]
    assert trained["vector"].to_list() == [[1.0, None], None, None]
    assert trained["place"].to_list()[0] == {"lat": None, "names": None}
    other = mlf.get_training_data(
        spine.with_columns(history=pl.Series([[1], [2, 4], []])), features=["places"], store=store
    )
    assert trained.provenance.content_hash != other.provenance.content_hash


def test_other_items_are_another_version_and_other_order_is_not(store: mlf.LocalStore) -> None:
    assert definitions(ROWS.reverse()).build().unchanged
    longer = ROWS.with_columns(tags=pl.Series([["b"], [], None], dtype=pl.List(pl.String)))
    assert str(definitions(longer).build()["places"].version) == "1.0.1"
    assert "tags" in str(store.diff("places@1.0.0", "places@1.0.1").to_dict())


def test_a_wider_item_is_minor_and_another_is_major(store: mlf.LocalStore) -> None:
    wider = ROWS.with_columns(pl.col("vector").cast(pl.Array(pl.Float64, 2)))
    assert str(definitions(wider).build()["places"].version) == "1.1.0"
    other = wider.with_columns(pl.col("tags").list.len())
    assert str(definitions(other).build()["places"].version) == "2.0.0"
