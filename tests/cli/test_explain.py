"""`mlforge explain`: what a code means, anywhere, without a project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlforge.flows.explain import explanations
from tests.shop import Shop


@pytest.mark.parametrize("explanation", explanations(), ids=lambda e: e.code)
def test_every_code_is_explained(shop: Shop, explanation: object) -> None:
    code = explanation.code  # type: ignore[attr-defined]
    assert shop.mlforge("explain", code).startswith(f"{code}  ")


def test_it_says_meaning_exit_code_and_what_to_do(shop: Shop) -> None:
    first, meaning, remedy = shop.mlforge("explain", "MLF0609").splitlines()
    assert first == "MLF0609  ShallowHistory, exit 4"
    assert meaning.startswith("Older commits were never fetched")
    assert remedy == "`git fetch --unshallow`."


@pytest.mark.parametrize("code", ["mlf0702", "0702", " MLF0702 "])
def test_a_code_may_be_typed_carelessly(shop: Shop, code: str) -> None:
    assert "ObjectCorrupt" in shop.mlforge("explain", code)


def test_without_a_code_all_are_listed(shop: Shop) -> None:
    assert len(shop.json("explain")["errors"]) == len(explanations())
    assert shop.json("explain")["schema"] == "mlforge.explain/v1"
    assert shop.mlforge("explain").splitlines()[1].startswith("MLF0101     2  InvalidDefinitions")


def test_a_code_in_json(shop: Shop) -> None:
    (found,) = shop.json("explain", "MLF0604")["errors"]
    assert sorted(found) == ["code", "exit_code", "meaning", "name", "remedy"]
    assert found["exit_code"] == 4


@pytest.mark.parametrize("format", ["jsonl", "csv", "markdown"])
def test_every_format_names_every_code(shop: Shop, format: str) -> None:
    out = shop.mlforge("explain", "--format", format)
    assert all(explanation.code in out for explanation in explanations())


@pytest.mark.parametrize(("code", "near"), [("MLF072", "MLF07"), ("MLF0O01", "MLF0")])
def test_an_unknown_code_suggests_the_nearest(shop: Shop, code: str, near: str) -> None:
    done = shop.run("explain", code)
    assert done.returncode == 2
    assert f"hint: did you mean {near}" in done.stderr


@pytest.mark.parametrize("code", ["", "x", "MLF", "\x1b[2J", "💥", "0" * 5000])
def test_nonsense_is_refused(shop: Shop, code: str) -> None:
    done = shop.run("explain", code)
    assert done.returncode == 2
    assert "error[MLF0902]" in done.stderr
    assert "\x1b" not in done.stderr
    assert len(done.stderr) < 1000


def test_no_project_is_needed(shop: Shop, tmp_path: Path) -> None:
    done = shop.run("explain", "MLF0903", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["errors"][0]["name"] == "NoProject"
