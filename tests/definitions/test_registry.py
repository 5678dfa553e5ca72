"""Registry: features are found in modules, checked together, and chosen by name and tag."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import pytest

from mlforge.definitions.feature import Declaration, feature
from mlforge.definitions.registry import Registry
from mlforge.errors import FeatureNotFound, InvalidDefinitions, NothingToBuild


def declared(
    name: str, *tags: str, keys: Sequence[str] = ("user",), source: str = "a.parquet"
) -> Declaration:
    def function(frame: object) -> object:
        return frame

    function.__name__ = name
    return feature(source=source, keys=list(keys), tags=tags)(function)  # type: ignore[arg-type]


def module(**values: object) -> ModuleType:
    made = ModuleType("features")
    vars(made).update(values)
    return made


SHOP = Registry.of([declared("spend", "daily"), declared("risk", "daily", "slow"), declared("geo")])


def problems(declared: object) -> tuple[str, ...]:
    with pytest.raises(InvalidDefinitions) as refused:
        Registry.of(declared)  # type: ignore[arg-type]
    return refused.value.problems


def test_a_module_is_scanned_in_its_order() -> None:
    features = module(spend=declared("spend"), number=5, risk=declared("risk"))
    assert Registry.of([features, declared("geo")]).names == ("spend", "risk", "geo")


def test_a_feature_that_is_found_twice_is_one() -> None:
    spend = declared("spend")
    found = Registry.of([spend, module(spend=spend, alias=spend), module(imported=spend)])
    assert found.names == ("spend",)


def test_an_empty_registry_is_allowed() -> None:
    assert Registry.of([module()]).names == ()


@pytest.mark.parametrize("names", [("spend", "spend"), ("spend", "Spend")])
def test_names_are_unique_without_regard_to_case(names: tuple[str, str]) -> None:
    found = problems([declared(name) for name in names])
    assert len(found) == 2
    assert all("another feature has this name" in problem for problem in found)


def test_mistakes_of_all_features_and_clashes_of_names_are_told_at_once() -> None:
    found = problems([declared("a", keys=[]), declared("A", source="a.xlsx"), 5])
    told = [problem.rpartition(": ")[2] for problem in found]
    assert told == [
        "5 is neither a feature nor a module",
        "keys= is empty",
        "'xlsx' is not parquet, csv or arrow",
        *["another feature has this name"] * 2,
    ]


@pytest.mark.parametrize("features", [declared("spend"), module(), None])
def test_features_are_a_list(features: object) -> None:
    assert "is not a list" in problems(features)[0]


@pytest.mark.parametrize(
    ("names", "tags", "chosen"),
    [
        (None, None, ["spend", "risk", "geo"]),
        (["geo", "spend"], None, ["spend", "geo"]),
        (None, ["daily"], ["spend", "risk"]),
        (None, ["slow", "daily"], ["spend", "risk"]),
        (["risk", "geo"], ["slow"], ["risk"]),
    ],
)
def test_features_are_chosen_in_declared_order(
    names: list[str] | None, tags: list[str] | None, chosen: list[str]
) -> None:
    assert [feature.name for feature in SHOP.select(names, tags)] == chosen


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(FeatureNotFound, match="no feature is called spent") as refused:
        SHOP.select(["geo", "spent"])
    assert refused.value.hint == "did you mean spend?"


def test_an_unknown_tag_is_answered_with_all_tags() -> None:
    with pytest.raises(NothingToBuild, match="no feature has the tag hourly") as refused:
        SHOP.select(tags=["hourly"])
    assert refused.value.hint == "there are: daily, slow"
    with pytest.raises(NothingToBuild) as refused:
        Registry.of([declared("geo")]).select(tags=["hourly"])
    assert refused.value.hint == "no feature has a tag"
