"""Stories: each row of the design's table of stories, by its name, as a user would meet it."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

import mlforge as mlf
from mlforge.api.project import find_project
from mlforge.errors import BuildFailed
from mlforge.flows import plan
from tests.git_cli import Git
from tests.shop import Shop


def trailers(git: Git, key: str) -> list[str]:
    return git("log", "-1", f"--format=%(trailers:key={key},valueonly)").split()


def committed_paths(git: Git) -> list[str]:
    return git("show", "--name-only", "--format=", "HEAD").split()


def clone_of(shop: Shop, target: Path) -> Shop:
    shop.git("clone", "-q", ".", str(target))
    (target / "data").symlink_to(shop.root / "data")
    return Shop(Git(target))


def test_repository_without_any_commit(shop: Shop) -> None:
    shop.git("update-ref", "-d", "HEAD")
    shop.git("rm", "-q", "-r", "--cached", ".")
    done = shop.run("build")
    assert done.returncode == 0
    assert "the definitions are not committed yet: features.py" in done.stderr
    assert all(path.startswith("feature_store/") for path in committed_paths(shop.git))
    assert shop.git("log", "--format=%h").count("\n") == 1


def test_uncommitted_definitions(shop: Shop) -> None:
    path = shop.root / "features.py"
    path.write_text(path.read_text().replace("What a user spends", "Spending"))
    done = shop.run("build")
    assert done.returncode == 0
    assert "features.py differs from the commit" in done.stderr
    assert trailers(shop.git, "Mlforge-Uncommitted") == ["features.py"]
    assert "features.py differed from it" in shop.mlforge("show", "user_spend")
    assert shop.json("show", "user_spend")["uncommitted"] == ["features.py"]
    assert shop.git("status", "--porcelain").split() == ["M", "features.py"]


def test_uncommitted_definitions_are_refused_by_require_clean(shop: Shop) -> None:
    shop.edit('name = "shop"\n', 'name = "shop"\n[git]\nrequire_clean = true\n', "mlforge.toml")
    path = shop.root / "features.py"
    path.write_text(path.read_text().replace("What a user spends", "Spending"))
    done = shop.run("build")
    assert done.returncode == 4
    assert "error[MLF0613]: features.py differs from the commit" in done.stderr
    assert not shop.store.exists()
    assert "hint: git commit -m 'features' -- features.py" in done.stderr
    shop.git("commit", "-m", "features", "--", "features.py")
    shop.mlforge("build")


def test_detached_head(shop: Shop) -> None:
    shop.git("switch", "-q", "--detach")
    for command in (["build"], ["rollback", "user_spend", "1.0.0", "-y"]):
        done = shop.run(*command)
        assert "on a detached HEAD" in done.stdout
        assert "git switch -c NAME" in done.stderr
        shop.spend(1, 2)
        shop.mlforge("build")
    assert shop.git("rev-parse", "main").strip() != shop.git("rev-parse", "HEAD").strip()


def test_writing_outside_a_git_repository(tmp_path: Path, shop: Shop) -> None:
    shop.mlforge("build")
    (shop.root / ".git").rename(tmp_path / "kept")
    for command in (["build"], ["rollback", "user_spend"], ["checkout", "user_spend"]):
        done = shop.run(*command)
        assert done.returncode == 3
        assert "hint: git init" in done.stderr
    (tmp_path / "kept").rename(shop.root / ".git")


def test_feature_no_longer_declared(shop: Shop) -> None:
    shop.mlforge("build")
    text = (shop.root / "features.py").read_text()
    shop.edit(text[text.index('@mlf.feature(keys=["user_id"], source="data/users.csv"') :], "")
    planned = {f["name"]: f["status"] for f in shop.json("plan")["features"]}
    assert planned == {"user_spend": "unchanged", "user_profile": "retired"}
    assert shop.json("build")["features"][0]["name"] == "user_spend"
    assert mlf.LocalStore(shop.store).read("user_profile").height == 2
    last = shop.git("rev-parse", "HEAD").strip()
    assert "retired in commit" in shop.mlforge("retire", "user_profile", "--yes")
    assert not (shop.store / "user_profile").exists()
    assert "user_profile" not in shop.mlforge("list")
    assert "first_build" in shop.mlforge("log", "user_profile")
    assert "user_profile 1.0.0" in shop.mlforge("show", f"user_profile@{last}")
    assert shop.git("status", "--porcelain") == ""
    shop.git.fsck()


def test_a_retired_features_numbers_stay_taken(shop: Shop) -> None:
    shop.mlforge("build")
    shop.mlforge("retire", "user_profile", "--yes")
    (shop.root / "data/users.csv").write_text("user_id,country\na,DE\nb,IT\n")
    assert "2.0.0" in shop.mlforge("build")


def test_feature_renamed(shop: Shop) -> None:
    shop.mlforge("build")
    shop.edit("def user_profile", "def customers")
    shop.edit('source="data/users.csv", ', 'source="data/users.csv", renamed_from="user_profile", ')
    out = shop.mlforge("build")
    assert "1.0.0 -> 1.0.1  (patch: metadata_changed, renamed from user_profile)" in out
    assert "mlforge retire user_profile" in out
    assert "No change" in shop.mlforge("build")
    assert shop.json("show", "customers")["renamed_from"] == "user_profile"
    shop.mlforge("retire", "user_profile", "--yes")
    assert "No change" in shop.mlforge("build")
    shown = shop.mlforge("show", "user_profile")
    assert "user_profile is called customers now" in shown
    (shop.root / "spine.csv").write_text("user_id\na\n")
    done = shop.run("train", "spine.csv", "-f", "user_profile", "-o", "out.csv")
    assert done.returncode == 0
    assert "user_profile is called customers now" in done.stderr


def test_pr_branch_builds_1_1_0_and_nightly_main_builds_1_0_1(shop: Shop) -> None:
    shop.mlforge("build")
    shop.git("switch", "-q", "-c", "review")
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    shop.mlforge("build")
    shop.git("switch", "-q", "main")
    events = (shop.root / "data/events.parquet").read_bytes()
    shop.spend(3, 4)
    shop.mlforge("build")
    shop.git("merge", "-q", "--no-edit", "review")
    assert shop.version("user_spend") == "1.1.0"
    said = "user_spend  1.1.0 was built from older source digests than 1.0.1"
    assert said in shop.mlforge("list")
    (shop.root / "data/events.parquet").write_bytes(events)
    assert said in shop.mlforge("build")
    shop.spend(3, 4)
    assert "1.1.0 -> 1.1.1" in shop.mlforge("build")
    assert "older source" not in shop.mlforge("list")


def test_library_upgrade(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.mlforge("build")
    before = shop.git("rev-parse", "HEAD")
    monkeypatch.setattr(plan, "package_version", lambda name: "99.0")
    computed = [
        [feature["computed"] for feature in shop.json("build")["features"]] for _ in range(2)
    ]
    assert computed == [[True, True], [False, False]]
    assert shop.git("rev-parse", "HEAD") == before


def test_clone_then_train(shop: Shop, tmp_path: Path) -> None:
    shop.mlforge("build")
    clone = clone_of(shop, tmp_path / "clone")
    (clone.root / "spine.csv").write_text("user_id\na\n")
    ask = ("train", "spine.csv", "-f", "user_profile", "-o", "out.csv")
    missing = clone.run(*ask)
    assert missing.returncode == 3
    assert "the rows of user_profile@1.0.0 are not in this clone" in missing.stderr
    assert clone.json("show", "user_profile")["parts"][0]["object"][3:15] in missing.stderr
    assert "hint: mlforge build -f user_profile" in missing.stderr
    clone.mlforge("build", "-f", "user_profile")
    clone.mlforge(*ask)


def test_clone_then_train_an_earlier_version(shop: Shop, tmp_path: Path) -> None:
    shop.mlforge("build")
    first = shop.git("rev-parse", "--short=8", "HEAD").strip()
    shop.edit('"user_id", "country")', '"user_id")')
    shop.mlforge("build")
    clone = clone_of(shop, tmp_path / "clone")
    (clone.root / "spine.csv").write_text("user_id\na\n")
    ask = ("train", "spine.csv", "-f", "user_profile@1.0.0", "-o", "out.csv")
    hint = f"git switch --detach {first} && mlforge build -f user_profile && git switch -"
    assert f"hint: {hint}" in clone.run(*ask).stderr
    clone.git("switch", "-q", "--detach", first)
    assert "No change" in clone.mlforge("build", "-f", "user_profile")
    clone.git("switch", "-q", "-")
    clone.mlforge(*ask)


def test_validator_or_description_changed_only(shop: Shop) -> None:
    shop.mlforge("build")
    objects = shop.objects()
    shop.edit("What a user spends", "Spending")
    assert "1.0.0 -> 1.0.1  (patch: metadata_changed" in shop.mlforge("build")
    shop.edit("mlf.greater_than(0)", "mlf.greater_than(-1)")
    assert "1.0.1 -> 1.0.2  (patch: metadata_changed" in shop.mlforge("build")
    assert shop.objects() == objects
    shop.edit("mlf.greater_than(-1)", "mlf.greater_than(5)")
    assert shop.run("build").returncode == 1
    assert shop.version("user_spend") == "1.0.2"


def test_version_with_several_features(shop: Shop) -> None:
    done = shop.run("build", "--version", "2.0.0")
    assert done.returncode == 2
    assert "a version is for one feature, and 2 are chosen" in done.stderr
    assert not shop.store.exists()


def test_store_in_another_repository_than_the_definitions(shop: Shop, tmp_path: Path) -> None:
    store = Git(tmp_path / "store")
    store.root.mkdir()
    store("init", "-q")
    shop.edit(
        'name = "shop"\n',
        'name = "shop"\n[profiles.default.offline_store]\npath = "../store/features"\n',
        "mlforge.toml",
    )
    head = shop.git("rev-parse", "HEAD").strip()
    shop.mlforge("build")
    assert trailers(store, "Mlforge-Definitions") == [head]
    assert trailers(store, "Mlforge-Uncommitted") == []
    assert all(path.startswith("features/") for path in committed_paths(store))
    assert shop.git("rev-parse", "HEAD").strip() == head
    assert "No change" in shop.mlforge("build")


def test_one_of_three_features_fails(shop: Shop) -> None:
    text = (shop.root / "features.py").read_text()
    shop.edit(text, text + text[text.rindex("@mlf.feature") :].replace("user_profile", "third"))
    shop.edit("def third(df):\n", "def third(df):\n    raise ValueError('no')\n")
    done = shop.run("build")
    assert done.returncode == 1
    assert shop.git("log", "-1", "--format=%s").strip() == "mlforge: build 2 features"
    here = os.getcwd()
    os.chdir(shop.root)
    try:
        definitions = find_project(shop.root).load()
        with pytest.raises(BuildFailed) as caught:
            definitions.build()
        report = definitions.build(on_error="report")
    finally:
        os.chdir(here)
    assert report.failed == ("third",)
    assert getattr(caught.value, "report").failed == ("third",)  # noqa: B009
    assert isinstance(mlf.LocalStore(shop.store).read("user_spend"), pl.DataFrame)
