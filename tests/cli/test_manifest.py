"""`mlforge manifest`: all heads in one document."""

from __future__ import annotations

import json

import pytest

from tests.shop import Shop


@pytest.fixture
def built(shop: Shop) -> Shop:
    shop.mlforge("build")
    shop.spend(1, 2, 3)
    shop.mlforge("build")
    return shop


def test_the_table_has_a_line_a_head(built: Shop) -> None:
    header, profile, spend = built.mlforge("manifest").splitlines()
    assert header.split() == ["feature", "version", "rows", "content", "commit", "date", "author"]
    assert profile.split()[:3] == ["user_profile", "1.0.0", "2"]
    assert spend.split()[:3] == ["user_spend", "1.0.1", "3"]


def test_json_has_the_manifests_fields_and_git_s(built: Shop) -> None:
    found = built.json("manifest")
    assert found["schema"] == "mlforge.manifest/v1"
    spend = {feature["name"]: feature for feature in found["features"]}["user_spend"]
    manifest = json.loads((built.store / "user_spend/1.0.1/manifest.json").read_text())
    assert {key: spend[key] for key in manifest} == manifest
    assert spend["commit"] == built.git("rev-parse", "HEAD").strip()
    assert spend["author"] == "Ada"
    assert spend["created_at"] == spend["updated_at"] is not None
    assert spend["created_at"] == built.json("show", "user_spend")["created_at"]


def test_regenerate_writes_the_same_document_which_git_ignores(built: Shop) -> None:
    assert "manifest.json  2 features" in built.mlforge("manifest", "--regenerate")
    written = (built.store / "manifest.json").read_bytes()
    assert json.loads(written) == built.json("manifest")
    assert built.git("status", "--short") == ""
    built.mlforge("manifest", "--regenerate")
    assert (built.store / "manifest.json").read_bytes() == written
    assert [path.name for path in built.store.glob(".tmp-*")] == []


def test_regenerate_can_answer_in_json_too(built: Shop) -> None:
    assert len(built.json("manifest", "--regenerate")["features"]) == 2
    assert (built.store / "manifest.json").is_file()


def test_the_document_is_of_the_work_tree(built: Shop) -> None:
    built.spend(4, 5)
    built.mlforge("build", "--no-commit", "-f", "user_spend")
    spend = built.json("manifest")["features"][1]
    assert (spend["version"], spend["commit"], spend["created_at"]) == ("1.0.2", None, None)
    assert "draft" in built.mlforge("manifest")


def test_a_link_in_its_place_is_replaced_and_never_followed(built: Shop) -> None:
    target = built.root / "elsewhere.json"
    target.write_text("mine")
    (built.store / "manifest.json").symlink_to(target)
    built.mlforge("manifest", "--regenerate")
    assert target.read_text() == "mine"
    assert not (built.store / "manifest.json").is_symlink()


def test_without_a_feature_nothing_is_written(shop: Shop) -> None:
    assert shop.json("manifest", "--regenerate")["features"] == []
    assert not shop.store.exists()


def test_a_folder_in_the_way_is_told(built: Shop) -> None:
    (built.store / "manifest.json").mkdir()
    done = built.run("manifest", "--regenerate")
    assert done.returncode == 6
    assert "error[MLF0704]" in done.stderr
