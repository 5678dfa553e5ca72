"""Every result: frozen, with `to_dict`, a short text at a prompt and a table in a notebook."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import polars as pl
import pytest

import mlforge as mlf
from mlforge.canonical import encode
from mlforge.notebook import Shown
from tests.shop import START, Shop

HOSTILE = "<script>alert(1)</script>\x1b[31m"
SPINE = pl.DataFrame({"user_id": ["b", "a"], "when": [START.replace(day=4), START.replace(day=9)]})


def training_of(defs: mlf.Definitions) -> mlf.TrainingSet:
    return defs.get_training_data(SPINE, ["user_spend"], timestamp="when")


def again(defs: mlf.Definitions, spine: pl.DataFrame) -> mlf.Reproduced:
    lock = training_of(defs).lock()
    return mlf.reproduce(lock, store=defs.offline_store, spine=spine)


RESULTS: dict[str, Callable[[mlf.Definitions], Shown]] = {
    "build": lambda defs: defs.build(force=True),
    "outcome": lambda defs: defs.build()["user_spend"],
    "plan": lambda defs: defs.plan(),
    "planned": lambda defs: defs.plan()[0],
    "validate": lambda defs: defs.validate(),
    "validated": lambda defs: defs.validate()[0],
    "metadata": lambda defs: defs.offline_store.metadata("user_spend"),
    "log": lambda defs: defs.offline_store.log(),
    "entry": lambda defs: defs.offline_store.log()[0],
    "diff": lambda defs: defs.offline_store.diff("user_spend@1.0.0", "user_spend@1.0.1"),
    "verify": lambda defs: defs.offline_store.verify(),
    "overview": lambda defs: defs.offline_store.overview(),
    "checkout": lambda defs: defs.offline_store.checkout("user_spend@1.0.0", dry_run=True),
    "rollback": lambda defs: defs.offline_store.rollback("user_spend", dry_run=True),
    "retire": lambda defs: defs.offline_store.retire("user_spend", dry_run=True),
    "training": lambda defs: training_of(defs).provenance,
    "match": lambda defs: training_of(defs).provenance.features[0],
    "join report": lambda defs: training_of(defs).explain(),
    "lock": lambda defs: training_of(defs).lock(),
    "reproduced": lambda defs: again(defs, SPINE),
    "difference": lambda defs: again(defs, SPINE.head(1)).differences[0],
    "tagged": lambda defs: defs.offline_store.tag("model", dry_run=True),
    "pin": lambda defs: training_of(defs).provenance.features[0].pin,
    "feature diff": lambda defs: defs.offline_store.diff("user_spend").features[0],
    "feature overview": lambda defs: defs.offline_store.overview().features[0],
}


@pytest.fixture
def rebuilt(defs: mlf.Definitions, shop: Shop) -> mlf.Definitions:
    """Two versions of a feature whose words, and whose author, are hostile."""
    shop.git("config", "user.name", HOSTILE.replace("<", "").replace(">", ""))
    shop.edit("What a user spends", "<script>alert(1)</script>\\x1b[31m")
    shop.edit('"spend"', '"<script>"')
    from mlforge.api.project import find_project

    defs = find_project(shop.root).load()
    defs.build()
    shop.spend(1, 2, 3)
    defs.build()
    return defs


def test_each_result_is_short_plain_and_frozen(rebuilt: mlf.Definitions) -> None:
    for name, make in RESULTS.items():
        shown = make(rebuilt)
        said = repr(shown)
        assert said.startswith(type(shown).__name__), name
        assert len(said.splitlines()) <= 40, name
        assert said.replace("\n", "").isprintable(), name
        assert json.loads(encode(shown.to_dict())), name  # type: ignore[attr-defined]
        page = shown._repr_html_()
        assert page.startswith("<table"), name
        assert "<script" not in page, name
        assert "http" not in page, name
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            shown.anything = 1  # type: ignore[attr-defined]


def test_an_overview_says_at_the_prompt_what_list_says(rebuilt: mlf.Definitions) -> None:
    lines = repr(rebuilt.offline_store.overview()).splitlines()
    assert lines[1].split() == ["feature", "version", "keys", "columns", "rows", "description"]
    assert any(line.split()[:4] == ["user_spend", "1.0.1", "user_id", "6"] for line in lines)


def test_one_thing_is_not_told_as_many(defs: mlf.Definitions) -> None:
    defs.build(["user_profile"])
    assert repr(defs).endswith(": 2 features>")
    assert "whole; 1 version, 1 object, " in repr(defs.offline_store.verify())


def test_hostile_words_are_shown_as_words(rebuilt: mlf.Definitions) -> None:
    page = rebuilt.offline_store.metadata("user_spend")._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m" in page
    assert "&lt;script&gt;" in rebuilt._repr_html_()


def test_a_report_cannot_be_changed(defs: mlf.Definitions) -> None:
    report = defs.build()
    with pytest.raises(FrozenInstanceError):
        report.commit = None  # type: ignore[misc]
    with pytest.raises(TypeError):
        report["user_spend"] = report["user_profile"]  # type: ignore[index]


def test_a_report_is_a_mapping(defs: mlf.Definitions) -> None:
    report = defs.build()
    assert dict(report) == {name: report[name] for name in ("user_spend", "user_profile")}
    assert report == dict(report)
    assert "user_spend" in report
    with pytest.raises(KeyError):
        report["nonsense"]


def test_a_failure_says_why_at_the_prompt(defs: mlf.Definitions, shop: Shop) -> None:
    (shop.root / "data/users.csv").unlink()
    report = defs.build(on_error="report")
    assert "1 built, 1 failed" in repr(report)
    error = report["user_profile"].error
    assert error is not None
    assert error.message[:40] in repr(report)
    assert "failed" in repr(defs.plan())
    assert defs.validate().failed == ("user_profile",)


def test_failing_rows_are_shown(defs: mlf.Definitions, shop: Shop) -> None:
    shop.spend(1, -2, 3)
    assert "1 of 2 features hold" in repr(defs.validate())
    assert "amount" in defs.validate()._repr_html_()


def test_what_a_command_prints_as_json_is_to_dict(defs: mlf.Definitions, shop: Shop) -> None:
    defs.build()
    printed = {"plan": defs.plan(), "validate": defs.validate(), "log": defs.offline_store.log()}
    for command, result in printed.items():
        told = shop.json(command)
        assert told.pop("schema") == f"mlforge.{command}/v1"
        assert told == json.loads(encode(result.to_dict()))


def test_a_training_set_shows_its_rows_and_where_they_are_from(defs: mlf.Definitions) -> None:
    defs.build()
    training = training_of(defs)
    assert str(training) == str(pl.DataFrame(training))
    assert "shape: (2," in repr(training)
    assert "Provenance: 2 rows, commit" in repr(training)
    page = training._repr_html_()
    assert "shape: (2," in page
    assert "Provenance: 2 rows" in page


def test_what_polars_derives_shows_no_origin(defs: mlf.Definitions) -> None:
    defs.build()
    for derived in (training_of(defs).head(1), training_of(defs).filter(pl.lit(True))):
        assert "Provenance" not in repr(derived)
        assert "Provenance" not in derived._repr_html_()


def test_an_empty_answer_is_one_line(defs: mlf.Definitions) -> None:
    assert repr(defs.offline_store.log()) == "Log: 0 versions"


def test_hostile_data_in_a_training_set_are_words(defs: mlf.Definitions) -> None:
    defs.build()
    spine = SPINE.with_columns(pl.lit("<script>alert(1)</script>").alias("<script>"))
    page = defs.get_training_data(spine, ["user_spend"], timestamp="when")._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
