"""The Python API on a real project: the verbs are the command line's."""

from __future__ import annotations

import inspect
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import mlforge as mlf
from mlforge.errors import (
    BuildFailed,
    ColumnCollision,
    FeatureNotFound,
    InvalidDefinitions,
    InvalidTimes,
    InvalidUsage,
    NaiveTimes,
    NoRepository,
    ObjectNotFound,
)
from mlforge.flows.keep import kept
from tests.shop import START, Shop

SPINE = pl.DataFrame({"user_id": ["b", "a"], "when": [START.replace(day=4), START.replace(day=9)]})


def test_build_returns_a_report_by_feature(defs: mlf.Definitions, shop: Shop) -> None:
    report = defs.build()
    assert report.built == ("user_spend", "user_profile")
    assert str(report["user_spend"].version) == "1.0.0"
    assert str(report.commit) == shop.git("rev-parse", "HEAD").strip()
    assert defs.build().unchanged == ("user_spend", "user_profile")


def test_a_failed_feature_raises_with_the_report_unless_told_otherwise(
    defs: mlf.Definitions, shop: Shop
) -> None:
    (shop.root / "data/users.csv").unlink()
    with pytest.raises(BuildFailed) as failed:
        defs.build()
    report = failed.value.report
    assert report.built == ("user_spend",)
    assert defs.build(on_error="report").failed == ("user_profile",)


def test_features_are_chosen_by_name_and_tag(defs: mlf.Definitions) -> None:
    assert list(defs.build(tags=["static"])) == ["user_profile"]
    assert list(defs.build(["user_spend"])) == ["user_spend"]
    with pytest.raises(FeatureNotFound, match="did you mean user_spend"):
        defs.build(["user_spent"])


def test_what_is_declared_can_be_listed(defs: mlf.Definitions) -> None:
    assert defs.list_features() == ["user_spend", "user_profile"]
    assert defs.list_features(tags=["spend"]) == ["user_spend"]
    assert defs.list_entities() == ["user_id"]
    assert defs.list_sources() == ["data/events.parquet", "data/users.csv"]


def test_plan_and_validate_return_values(defs: mlf.Definitions) -> None:
    assert [str(planned.next) for planned in defs.plan()] == ["1.0.0", "1.0.0"]
    assert all(result.holds for result in defs.validate())


def test_definitions_tell_all_mistakes_at_once() -> None:
    @mlf.feature(keys=[], source="x.json")
    def one(df: pl.LazyFrame) -> pl.LazyFrame:
        return df

    @mlf.feature(keys=["a"], source="x.csv", interval="1d")
    def two(df: pl.LazyFrame) -> pl.LazyFrame:
        return df

    with pytest.raises(InvalidDefinitions) as found:
        mlf.Definitions(name="bad", features=[one, two])
    assert len(found.value.problems) == 3
    assert all(__file__ in problem for problem in found.value.problems)


def test_store_reads_head_a_version_and_a_commit(
    store: mlf.LocalStore, defs: mlf.Definitions, shop: Shop
) -> None:
    first = store.read("user_spend")
    shop.spend(5, 6)
    defs.build()
    assert not store.read("user_spend").equals(first)
    assert store.read("user_spend", version="1.0.0").equals(first)
    assert store.read("user_spend", at="HEAD~1").equals(first)
    assert store.read("user_spend@1.0.0").equals(first)
    assert store.scan("user_spend").collect().equals(store.read("user_spend"))
    assert store.list_versions("user_spend") == ["1.0.0", "1.0.1"]


def test_metadata_says_when_git_first_saw_a_version(store: mlf.LocalStore, shop: Shop) -> None:
    metadata = store.metadata("user_spend")
    assert metadata.columns["user_spend__amount__count__1d__7d"] == "int64"
    assert metadata.row_count == store.read("user_spend").height
    assert metadata.created_at is not None
    assert f"{metadata.created_at.timestamp():.0f}" == shop.git("log", "-1", "--format=%at").strip()
    assert metadata.change_summary["reason"] == "first_build"
    assert list(metadata.sources) == ["data/events.parquet"]


def test_rows_that_are_not_in_the_clone_are_told_with_the_way_out(
    store: mlf.LocalStore, shop: Shop
) -> None:
    for path in shop.objects():
        path.unlink()
    with pytest.raises(ObjectNotFound, match="mlforge build -f user_spend"):
        store.read("user_spend")


def test_a_store_outside_git_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(NoRepository, match="git init"):
        mlf.LocalStore(tmp_path / "feature_store").read("x")


def test_a_file_is_a_spine(store: mlf.LocalStore, tmp_path: Path) -> None:
    spine = tmp_path / "spine.parquet"
    SPINE.write_parquet(spine)
    training = mlf.get_training_data(spine, ["user_spend"], store=store, timestamp="when")
    assert training["user_spend__amount__sum__1d__7d"].to_list() == [2.5, 8.1]


def test_training_data_is_polars_and_says_where_it_is_from(store: mlf.LocalStore) -> None:
    training = mlf.get_training_data(SPINE, ["user_spend"], store=store, timestamp="when")
    assert isinstance(training, pl.DataFrame)
    assert isinstance(training.to_arrow(), pa.Table)
    assert training.to_pandas().shape == training.shape
    (match,) = training.provenance.features
    assert match.pin.reference == "user_spend@1.0.0"
    assert training.provenance.commit is not None


def test_equal_training_data_has_an_equal_hash_and_other_data_has_not(
    store: mlf.LocalStore,
) -> None:
    def hash_of(spine: pl.DataFrame) -> object:
        training = mlf.get_training_data(spine, ["user_spend"], store=store, timestamp="when")
        return training.provenance.content_hash

    assert hash_of(SPINE) == hash_of(SPINE.clone())
    assert hash_of(SPINE) != hash_of(SPINE.reverse())


def test_columns_are_chosen_with_a_spec(store: mlf.LocalStore) -> None:
    column = "user_spend__amount__count__1d__7d"
    spec = mlf.FeatureSpec("user_spend", columns=[column], version="~=1.0")
    training = mlf.get_training_data(SPINE, [spec], store=store, timestamp="when")
    assert training.columns == ["user_id", "when", column]


def test_one_feature_at_two_versions_collides(
    store: mlf.LocalStore, defs: mlf.Definitions, shop: Shop
) -> None:
    shop.spend(5, 6)
    defs.build()
    with pytest.raises(ColumnCollision, match="ask for it once"):
        mlf.get_training_data(
            SPINE, ["user_spend", ("user_spend", "1.0.0")], store=store, timestamp="when"
        )


def test_exact_matches_can_be_excluded(store: mlf.LocalStore) -> None:
    spine = SPINE.head(1).with_columns(when=pl.lit(START.replace(day=3)))
    column = "user_spend__amount__count__1d__7d"
    seen = [
        mlf.get_training_data(
            spine, ["user_spend"], store=store, timestamp="when", exact_matches=exact
        )[column].item()
        for exact in (True, False)
    ]
    assert seen == [1, None]


@pytest.mark.parametrize("features", [[], "user_spend"])
def test_features_must_be_a_list(store: mlf.LocalStore, features: list[str]) -> None:
    with pytest.raises(InvalidUsage) as told:
        mlf.get_training_data(SPINE, features, store=store, timestamp="when")
    assert told.value.hint == ('features=["user_spend"]' if features else '["NAME"]')


def test_definitions_join_with_their_own_store(
    store: mlf.LocalStore, defs: mlf.Definitions
) -> None:
    training = defs.get_training_data(SPINE, ["user_profile"])
    assert training["country"].to_list() == ["FR", "DE"]


def test_a_spine_without_a_zone_meets_aware_times_only_when_told(store: mlf.LocalStore) -> None:
    naive = SPINE.with_columns(pl.col("when").dt.replace_time_zone(None))
    aware = mlf.get_training_data(SPINE, ["user_spend"], store=store, timestamp="when")
    with pytest.raises(NaiveTimes, match='timezone="UTC"'):
        mlf.get_training_data(naive, ["user_spend"], store=store, timestamp="when")
    told = mlf.get_training_data(
        naive, ["user_spend"], store=store, timestamp="when", timezone="UTC"
    )
    assert told.drop("when").equals(aware.drop("when"))


def test_naive_times_of_a_spine_are_local_times_of_the_zone_that_is_told(
    store: mlf.LocalStore,
) -> None:
    berlin = SPINE.with_columns(pl.col("when").dt.convert_time_zone("Europe/Berlin"))
    local = berlin.with_columns(pl.col("when").dt.replace_time_zone(None))
    aware = mlf.get_training_data(SPINE, ["user_spend"], store=store, timestamp="when")
    told = mlf.get_training_data(
        local, ["user_spend"], store=store, timestamp="when", timezone="Europe/Berlin"
    )
    assert told.drop("when").equals(aware.drop("when"))
    assert told["when"].equals(local["when"])


def test_a_local_time_that_comes_twice_is_an_error_or_the_earliest(store: mlf.LocalStore) -> None:
    def trained(**options: str) -> mlf.TrainingSet:
        when = pl.lit(datetime(2024, 10, 27, 2, 30)).alias("when")
        return mlf.get_training_data(
            SPINE.with_columns(when), ["user_spend"], store=store, timestamp="when", **options
        )

    with pytest.raises(InvalidTimes, match="when: 2024-10-27 02:30:00 comes twice") as refused:
        trained(timezone="Europe/Berlin")
    assert 'ambiguous="earliest"' in str(refused.value.hint)
    assert trained(timezone="Europe/Berlin", ambiguous="earliest").height == SPINE.height


def test_training_data_is_that_of_the_functions_with_the_store_filled_in(
    defs: mlf.Definitions, store: mlf.LocalStore
) -> None:
    spine = pl.DataFrame({"user_id": ["b", "a"], "when": [START.replace(day=4)] * 2})
    options: dict[str, object] = {
        "timestamp": "when",
        "timezone": None,
        "ambiguous": "raise",
        "exact_matches": False,
        "full_names": True,
        "at": "HEAD",
    }
    said = list[str]()
    mine = defs.get_training_data(
        spine,
        ["user_spend"],
        **options,  # type: ignore[arg-type]
        on_event=lambda event: said.append(str(event)),
    )
    theirs = mlf.get_training_data(spine, ["user_spend"], store=store, **options)  # type: ignore[arg-type]
    assert mine.equals(theirs)
    assert said == ["joining user_spend@1.0.0"]
    for dry_run in (True, False):
        sunk = defs.sink_training_data(
            spine,
            ["user_spend"],
            "out.parquet",
            **options,  # type: ignore[arg-type]
            keep=True,
            dry_run=dry_run,
            on_event=lambda event: said.append(str(event)),
        )
        assert (sunk.lock_path is None) == dry_run
        assert sunk.lock == theirs.lock().written_to("out.parquet")
        assert len(kept(store.workspace())) == (not dry_run)
    assert len(said) == 3


def test_each_function_with_a_store_has_its_parameters_in_definitions() -> None:
    for name in ("get_training_data", "sink_training_data"):
        function = inspect.signature(getattr(mlf, name)).parameters.keys() - {"store"}
        assert function == inspect.signature(getattr(mlf.Definitions, name)).parameters.keys() - {
            "self"
        }
