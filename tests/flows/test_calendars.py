"""Time zones from end to end: what a build keeps of them, and what training reads by them."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl
import pytest

import mlforge as mlf
from mlforge.errors import BuildFailed
from mlforge.flows import ingredients
from tests.git_cli import Git

# In Berlin: late on a Saturday, late on the Sunday of 23 hours, and at Monday's first instant.
SOLD = pl.DataFrame(
    {
        "shop": [1, 1, 1],
        "at": [datetime(2024, 3, 30, 23, 59), datetime(2024, 3, 31, 23, 59), datetime(2024, 4, 1)],
        "sold": [1, 10, 100],
    }
)


def sales(df: pl.LazyFrame) -> pl.LazyFrame:
    return df


@pytest.fixture(autouse=True)
def source(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(git.root)
    SOLD.write_parquet("sales.parquet")


def declared(**options: object) -> mlf.Definitions:
    declare = mlf.feature(keys=["shop"], source="sales.parquet", timestamp="at", **options)  # type: ignore[arg-type]
    store = mlf.LocalStore("feature_store")
    return mlf.Definitions(name="shop", features=[declare(sales)], offline_store=store)


def rolled(interval: str, *windows: str, zone: str | None = "Europe/Berlin") -> mlf.Definitions:
    metrics = [mlf.Rolling(list(windows), {"sold": ["sum"]})]
    return declared(timezone=zone, interval=interval, metrics=metrics)


def asked(defs: mlf.Definitions, *times: object, **options: object) -> list[dict[str, object]]:
    spine = pl.DataFrame({"shop": [1] * len(times), "when": times})
    training = defs.get_training_data(spine, ["sales"], timestamp="when", **options)  # type: ignore[arg-type]
    return training.drop("shop", "when").to_dicts()


def test_days_of_a_zone_are_joined_by_its_clock() -> None:
    defs = rolled("1d", "1d", "2d")
    defs.build()
    days = [datetime(2024, 3, 31), datetime(2024, 4, 1), datetime(2024, 4, 2)]
    assert [[*row.values()] for row in asked(defs, *days, timezone="Europe/Berlin")] == [
        [1, 1],
        [10, 11],
        [100, 110],
    ]
    late = datetime(2024, 3, 31, 23, 59)
    assert asked(defs, late, timezone="Europe/Berlin") == asked(defs, days[0], timezone="UTC")


def test_a_date_in_a_spine_is_the_local_days_first_instant() -> None:
    defs = rolled("1d", "1d")
    defs.build()
    day = asked(defs, date(2024, 4, 1), timezone="Europe/Berlin")
    assert day == asked(defs, datetime(2024, 4, 1), timezone="Europe/Berlin")


@pytest.mark.parametrize(("interval", "window"), [("1mo", "1mo"), ("1y", "1y")])
def test_calendar_units_are_built_joined_and_kept_as_spelled(interval: str, window: str) -> None:
    defs = rolled(interval, window, zone=None)
    defs.build()
    manifest = defs.offline_store.metadata("sales").manifest
    assert (str(manifest.interval), manifest.timezone) == (interval, None)
    found = asked(defs, datetime(2025, 1, 1))
    assert found == [{f"sales__sold__sum__{interval}__{window}": {"1mo": 100, "1y": 111}[interval]}]


def test_a_zone_is_in_the_manifest_and_another_one_is_a_minor_change() -> None:
    declared(timezone="Europe/Berlin").build()
    report = declared(timezone="Europe/Paris").build()
    manifest = mlf.LocalStore("feature_store").metadata("sales").manifest
    assert (manifest.timezone, str(report["sales"].version)) == ("Europe/Paris", "1.1.0")
    assert (manifest.reason, manifest.details) == (
        "config_changed",
        ("timezone Europe/Berlin -> Europe/Paris",),
    )


def test_ambiguous_alone_changes_no_equal_data() -> None:
    declared(timezone="Europe/Berlin").build()
    report = declared(timezone="Europe/Berlin", ambiguous="earliest").build()
    assert report.unchanged == ("sales",)


@pytest.mark.parametrize(("zone", "is_computed"), [("Europe/Berlin", True), (None, False)])
def test_another_tzdata_computes_what_has_a_zone(
    zone: str | None, is_computed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared(timezone=zone).build()
    version = ingredients.import_version
    monkeypatch.setattr(
        ingredients, "import_version", lambda name: "0" if name == "tzdata" else version(name)
    )
    (planned,) = declared(timezone=zone).plan()
    assert bool(planned.causes) is is_computed


def test_a_doubtful_time_fails_the_feature_and_names_a_way_out() -> None:
    twice = pl.lit(datetime(2024, 10, 27, 2, 30)).alias("at")
    SOLD.head(1).with_columns(twice).write_parquet("sales.parquet")
    with pytest.raises(BuildFailed) as failed:
        declared(timezone="Europe/Berlin").build()
    assert "sales: at: 2024-10-27 02:30:00 comes twice in Europe/Berlin" in str(failed.value)
    declared(timezone="Europe/Berlin", ambiguous="earliest").build()
    rows = mlf.LocalStore("feature_store").read("sales")
    assert rows["at"].to_list()[0].isoformat() == "2024-10-27T00:30:00+00:00"
