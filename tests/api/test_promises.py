"""What the Python interface promises, name by name, on a project with two versions."""

from __future__ import annotations

import sys
from types import ModuleType

import polars as pl
import pytest

import mlforge as mlf
from mlforge.errors import (
    BuildFailed,
    FeatureNotFound,
    InvalidName,
    InvalidReference,
    InvalidSpine,
    InvalidUsage,
    VersionNotFound,
)
from tests.shop import START, Shop

SPINE = pl.DataFrame({"user_id": ["a"], "when": [START.replace(day=9)]})
COLUMN = "user_spend__amount__sum__1d__30d"


@pytest.fixture
def two(defs: mlf.Definitions, shop: Shop) -> mlf.LocalStore:
    """1.0.0, tagged `old`, of which a's sum is 8.1; and 1.0.1, of which it is 5."""
    defs.build(["user_spend"])
    shop.git("tag", "old")
    shop.spend(5, 6)
    defs.build(["user_spend"])
    return defs.offline_store


def joined(store: mlf.LocalStore, feature: object, at: str | None = None) -> float:
    training = mlf.get_training_data(
        SPINE,
        [feature],  # type: ignore[list-item]
        store=store,
        timestamp="when",
        at=at,
    )
    value: float = training[COLUMN].item()
    return value


def test_every_form_of_a_reference_means_its_version(two: mlf.LocalStore, shop: Shop) -> None:
    sha = shop.git("rev-parse", "HEAD~1").strip()
    newest = ["user_spend", "user_spend@1.0.1", "user_spend@~=1.0", ("user_spend", "1.0.1")]
    oldest = ["user_spend@1.0.0", "user_spend@old", "user_spend@HEAD~1", f"user_spend@{sha}"]
    specs = [
        mlf.FeatureSpec("user_spend", version="1.0.0"),
        mlf.FeatureSpec("user_spend@old", columns=[COLUMN]),
    ]
    assert [joined(two, feature) for feature in newest] == [5.0] * len(newest)
    assert [joined(two, feature) for feature in [*oldest, *specs]] == [8.1] * 6
    assert [two.read(str(feature)).height for feature in oldest] == [5] * 4


def test_at_pins_what_is_not_pinned_itself(two: mlf.LocalStore) -> None:
    assert joined(two, "user_spend", at="old") == 8.1
    assert joined(two, "user_spend@main", at="old") == 5.0


@pytest.mark.parametrize(
    ("feature", "error"),
    [
        ("user_spent", FeatureNotFound),
        ("user_spend@9.9.9", VersionNotFound),
        ("user_spend@nowhere", VersionNotFound),
        ("user_spend@", InvalidReference),
        (("user_spend", "1.0.0", "x"), InvalidUsage),
        (3, InvalidUsage),
        (("user_spend", 1), InvalidUsage),
        (mlf.FeatureSpec("user_spend", on={"user_id": "seller_id"}), InvalidSpine),
        (mlf.FeatureSpec("user_spend", prefix="seller-"), InvalidName),
    ],
)
def test_what_is_no_reference_is_told(
    two: mlf.LocalStore, feature: object, error: type[mlf.errors.MlforgeError]
) -> None:
    with pytest.raises(error) as told:
        joined(two, feature)
    assert told.value.hint


def test_options_of_a_join_that_cannot_be_meant_are_errors(two: mlf.LocalStore) -> None:
    told = r"no zone is given|is not 'raise'|no time zone is called"
    for options in ({"ambiguous": "earliest"}, {"ambiguous": "late"}, {"timezone": "Berlin"}):
        with pytest.raises(InvalidUsage, match=told):
            mlf.get_training_data(
                SPINE,
                ["user_spend"],
                store=two,
                timestamp="when",
                **options,  # type: ignore[arg-type]
            )


def test_full_names_say_whose_a_column_is(defs: mlf.Definitions) -> None:
    defs.build()
    training = defs.get_training_data(
        SPINE, ["user_spend", "user_profile"], timestamp="when", full_names=True
    )
    assert training.columns[-1] == "user_profile__country"
    assert COLUMN in training.columns


def test_the_verbs_of_a_store_are_the_command_lines(two: mlf.LocalStore, shop: Shop) -> None:
    assert two.list_versions("user_spend") == ["1.0.0", "1.0.1"]
    assert [str(entry.manifest.version) for entry in two.log("user_spend")] == ["1.0.1", "1.0.0"]
    assert len(two.log(limit=1)) == 1
    assert not two.diff("user_spend@1.0.0", "user_spend@1.0.1").is_same
    assert two.diff("HEAD", "HEAD").is_same
    assert two.checkout("user_spend@1.0.0").is_pinned
    assert two.metadata("user_spend").version == "1.0.0"
    assert not two.checkout("user_spend").is_pinned
    assert two.rollback("user_spend", to="1.0.0").is_changed
    assert two.metadata("user_spend").version == "1.0.0"
    assert two.metadata("user_spend", version="1.0.1").version == "1.0.1"
    assert two.verify(quick=True).problems == two.verify().problems == ()
    shop.objects()[0].unlink()
    assert [problem.kind for problem in two.verify().problems]


def test_a_failed_build_carries_its_report(defs: mlf.Definitions, shop: Shop) -> None:
    (shop.root / "data/users.csv").unlink()
    with pytest.raises(BuildFailed) as failed:
        defs.build()
    report = failed.value.report
    assert isinstance(report, mlf.BuildReport)
    assert (report.built, report.unchanged, report.failed) == (
        ("user_spend",),
        (),
        ("user_profile",),
    )
    assert report["user_profile"].error is not None


def test_progress_is_told_to_whoever_asks(defs: mlf.Definitions) -> None:
    events = list[object]()
    defs.build(on_event=events.append)
    mlf.get_training_data(
        SPINE, ["user_spend"], store=defs.offline_store, timestamp="when", on_event=events.append
    )
    defs.offline_store.verify(on_event=events.append)
    kinds = {type(event).__name__ for event in events}
    assert kinds == {"BuildEvent", "TrainEvent", "VerifyEvent"}


def test_modules_are_scanned_for_features(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.root)
    module = ModuleType("shop_features")
    monkeypatch.setitem(sys.modules, "shop_features", module)
    exec((shop.root / "features.py").read_text(), vars(module))
    user = mlf.Entity(name="user", join_key="user_id")

    @mlf.feature(entities=[user], source="data/users.csv")
    def users(df: pl.LazyFrame) -> pl.LazyFrame:
        return df

    defs = mlf.Definitions(name="shop", features=[module, users], default_engine="polars")
    assert defs.list_features() == ["user_spend", "user_profile", "users"]
    assert defs.list_entities() == ["user_id", "user"]
    assert defs.offline_store.path == shop.root / "feature_store"
