"""Log: which commit brought a version, and what a shallow clone cannot know of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.git_cli import Git, live_alone
from tests.shop import Shop, make_shop

WORDS = "before the shallow boundary"


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """user_spend 1.0.0, 1.0.1 and 1.1.0, each in its commit; for cloning only."""
    with pytest.MonkeyPatch.context() as patch:
        live_alone(tmp_path_factory.mktemp("alone") / "home", patch)
        shop = make_shop(tmp_path_factory.mktemp("deep") / "project")
        shop.git("config", "user.name", "Ada")
        shop.git("config", "user.email", "ada@example.com")
        shop.mlforge("build")
        shop.spend(1, 2, 3)
        shop.mlforge("build")
        shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
        shop.mlforge("build")
    return shop


def shallow(deep: Shop, target: Path, depth: int) -> Shop:
    deep.git("clone", "-q", f"--depth={depth}", deep.root.as_uri(), str(target))
    return Shop(Git(target))


def test_versions_before_the_boundary_have_no_commit_no_author_and_no_date(
    deep: Shop, tmp_path: Path
) -> None:
    clone = shallow(deep, tmp_path / "clone", 1)
    found = clone.json("log")["versions"]
    assert [(entry["feature"], entry["version"]) for entry in found] == [
        ("user_profile", "1.0.0"),
        ("user_spend", "1.1.0"),
        ("user_spend", "1.0.1"),
        ("user_spend", "1.0.0"),
    ]
    for entry in found:
        assert (entry["commit"], entry["author"], entry["date"]) == (None, None, None)
        assert entry["before_boundary"]
    assert clone.mlforge("log").count(WORDS) == 4
    assert clone.mlforge("manifest").count(WORDS) == 2
    assert WORDS in clone.mlforge("show", "user_spend@1.0.0")
    shown = clone.json("show", "user_spend")
    assert (shown["commit"], shown["created_at"], shown["before_boundary"]) == (None, None, True)
    (head,) = [f for f in clone.json("manifest")["features"] if f["name"] == "user_spend"]
    assert (head["commit"], head["author"], head["before_boundary"]) == (None, None, True)


def test_what_came_after_the_boundary_has_its_commit(deep: Shop, tmp_path: Path) -> None:
    # The last commit of the three is of the definitions; the one before it is the boundary.
    clone = shallow(deep, tmp_path / "clone", 2)
    tip = clone.git("rev-parse", "HEAD").strip()
    found = clone.json("log", "user_spend")["versions"]
    assert [entry["version"] for entry in found] == ["1.1.0", "1.0.1", "1.0.0"]
    assert [entry["commit"] for entry in found] == [tip, None, None]
    assert clone.json("show", "user_spend")["commit"] == tip
    clone.git("fetch", "-q", "--unshallow")
    whole = clone.json("log")["versions"]
    assert whole == deep.json("log")["versions"]
    assert not any(entry["before_boundary"] for entry in whole)


def test_versions_of_one_commit_stand_highest_first(deep: Shop, tmp_path: Path) -> None:
    """Ten comes after nine, whatever text says."""
    clone = shallow(deep, tmp_path / "clone", 4)
    clone.git("switch", "-q", "--orphan", "squashed")
    clone.git("checkout", "origin/HEAD", "--", ".")
    tens = clone.store / "user_spend/1.10.0"
    (clone.store / "user_spend/1.1.0").rename(tens)
    manifest = tens / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"1.1.0"', '"1.10.0"'))
    clone.git("add", "-A", ".")
    clone.git("commit", "-qm", "squash")
    found = clone.json("log", "user_spend")["versions"]
    assert [entry["version"] for entry in found] == ["1.10.0", "1.0.1", "1.0.0"]
    assert len({entry["commit"] for entry in found}) == 1
