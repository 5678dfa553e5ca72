"""Identity: what of a declaration is hashed, and what may change without a new hash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlforge.definitions.entity import Entity
from mlforge.definitions.feature import Feature, feature, parse
from mlforge.definitions.identity import config_hash, validators_text
from mlforge.definitions.rolling import Rolling
from mlforge.definitions.source import Source
from mlforge.definitions.validators import greater_than, is_in, not_null

GOLDEN = Path(__file__).parents[1] / "golden" / "hashes.json"
DEFAULT = {"source": "a.csv", "keys": ["user"], "timestamp": "at"}
ROLLED = {**DEFAULT, "interval": "1d", "metrics": [Rolling(["7d", "30d"], {"n": ["sum", "max"]})]}


def spend(frame: object) -> object:
    return frame


def declared(**options: object) -> Feature:
    parsed, problems = parse(feature(**options)(spend))  # type: ignore[arg-type]
    assert parsed, problems
    return parsed


def config(**options: object) -> str:
    return str(config_hash(declared(**options)))


def test_hashes_never_change() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert config(**DEFAULT) == golden["config"]
    assert config(**ROLLED) == golden["config of metrics"]
    assert config(**DEFAULT, created="loaded") == golden["config of created"]


OTHER_CONFIG: list[dict[str, object]] = [
    {"keys": ["buyer"]},
    {"keys": ["user", "shop"]},
    {"keys": ["shop", "user"]},
    {"keys": None, "entities": [Entity("user", "user")]},
    {"timestamp": "seen"},
    {"timestamp": None},
    {"source": "b.csv"},
    {"source": Source("a.csv", schema={"n": "int64"})},
    {"source": Source("a.csv", format="parquet")},
    {"max_age": "30d"},
    {"date_is": "start"},
    {"tiebreak": ["n"]},
    {"created": "loaded"},
    {"created": "seen"},
    {"timezone": "Europe/Berlin"},
    {"timezone": "Europe/Paris"},
    {"timezone": "Europe/Berlin", "ambiguous": "earliest"},
    {"interval": "1d", "metrics": [Rolling(["7d"], {"n": ["sum"]})]},
    {"interval": "1d", "metrics": [Rolling(["1w"], {"n": ["sum"]})]},
    {"interval": "1d", "metrics": [Rolling(["7d"], {"n": ["max"]})]},
    {"interval": "1d", "metrics": [Rolling(["7d"], {"m": ["sum"]})]},
    {"interval": "7d", "metrics": [Rolling(["7d"], {"n": ["sum"]})]},
]


def test_each_rule_of_a_declaration_is_in_its_configuration() -> None:
    hashes = [config(**{**DEFAULT, **options}) for options in [{}, *OTHER_CONFIG]]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(
    "options",
    [
        {"description": "What users spend"},
        {"owner": "growth"},
        {"tags": ["daily"]},
        {"validators": {"n": [not_null()]}},
        {"source": Source("a.csv", name="sales")},
        {"source": Source("a.csv", format="csv")},
        {"source": Path("a.csv")},
        {"engine": "polars", "timezone": "UTC"},
        {"ambiguous": "raise"},
        {"timezone": "UTC", "ambiguous": "earliest"},
    ],
    ids=str,
)
def test_what_changes_no_result_is_not_in_it(options: dict[str, object]) -> None:
    assert config(**{**DEFAULT, **options}) == config(**DEFAULT)


def test_the_spelling_of_an_age_is_not_in_it() -> None:
    assert config(**DEFAULT, max_age="7d") == config(**DEFAULT, max_age="1w")


def test_validators_are_kept_as_text_in_declared_order() -> None:
    declaration = declared(
        **DEFAULT, validators={"n": [greater_than(0), not_null()], "a": [is_in("x")]}
    )
    assert validators_text(declaration) == [["n", "> 0"], ["n", "not_null"], ["a", "is in ['x']"]]
