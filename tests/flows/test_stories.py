"""Stories: each row of the design's table of stories, by its name, as a user would meet it."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import mlforge as mlf
from mlforge.api.project import find_project
from mlforge.errors import BuildFailed, NoRepository
from mlforge.flows.origin import Origin
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


def test_one_file_differs_and_two_files_differ() -> None:
    assert Origin(("a.py",)).note == "a.py differs from the commit"
    assert Origin(("a.py", "b.py")).note == "a.py, b.py differ from the commit"


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


_READ = """
import sys
touched = []
sys.addaudithook(lambda event, args: touched.append((event, str(args[0]) if args else "")))
import mlforge as mlf
store = mlf.LocalStore("feature_store")
print(store.read("user_spend").height, store.read("user_spend", version="1.0.0").height)
print(store.scan("user_profile").collect().height, store.list_versions("user_spend"))
started = ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty", "os.system")
print([event for event, _ in touched if event in started])
hidden = ("/.git/HEAD", "/.git/refs", "/.git/packed-refs", "/.git/objects", "features.py")
print([path for event, path in touched if event == "open" and any(h in path for h in hidden)])
print("features" in sys.modules)
"""


def test_writing_outside_a_git_repository_but_reading_a_head_needs_its_folder_alone(
    shop: Shop,
) -> None:
    shop.mlforge("build")
    (shop.root / "features.py").write_text("raise SystemExit('imported')\n")
    folder = shop.root / ".git"
    shutil.rmtree(folder / "refs")
    shutil.rmtree(folder / "objects")
    for name in ("HEAD", "packed-refs", "index", "config"):
        (folder / name).write_bytes(b"\0 no git writes this")
    done = subprocess.run(
        [sys.executable, "-c", _READ],
        cwd=shop.root,
        env={**os.environ, "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["5 5", "2 ['1.0.0']", "[]", "[]", "False"]
    shutil.rmtree(folder)
    with pytest.raises(NoRepository) as caught:
        mlf.LocalStore(shop.store).read("user_spend")
    assert caught.value.hint == "git init"


def test_feature_no_longer_declared(shop: Shop) -> None:
    shop.mlforge("build")
    text = (shop.root / "features.py").read_text()
    shop.edit(text[text.index('@mlf.feature(keys=["user_id"], source="data/users.csv"') :], "")
    planned = {f["name"]: f["status"] for f in shop.json("plan")["features"]}
    assert planned == {"user_spend": "unchanged", "user_profile": "retired"}
    listed = {f["name"]: f["retired"] for f in shop.json("list")["features"]}
    assert listed == {"user_spend": False, "user_profile": True}
    assert "user_profile  1.0.0 retired" in shop.mlforge("list")
    (shop.root / "data/users.csv").write_text("user_id,country\na,IT\n")
    assert [f["name"] for f in shop.json("build", "--force")["features"]] == ["user_spend"]
    assert mlf.LocalStore(shop.store).read("user_profile").height == 2
    last = shop.git("rev-parse", "HEAD").strip()
    assert "retired in commit" in shop.mlforge("retire", "user_profile", "--yes")
    assert shop.git("rev-parse", "HEAD~1").strip() == last
    assert all(path.startswith("feature_store/user_profile/") for path in committed_paths(shop.git))
    assert not (shop.store / "user_profile").exists()
    assert "user_profile" not in shop.mlforge("list")
    assert "first build" in shop.mlforge("log", "user_profile")
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
    assert "user_profile 1.0.0" in shop.mlforge("show", "user_profile")
    shop.mlforge("retire", "user_profile", "--yes")
    assert "No change" in shop.mlforge("build")
    assert mlf.LocalStore(shop.store).read("user_profile").height == 2


@pytest.fixture
def renamed(shop: Shop) -> Shop:
    """user_profile 1.0.0 became customers 1.0.1 and 1.0.2, and its old name is retired."""
    (shop.root / "spine.csv").write_text("user_id\na\n")
    shop.mlforge("build")
    shop.edit("def user_profile", "def customers")
    shop.edit('source="data/users.csv", ', 'source="data/users.csv", renamed_from="user_profile", ')
    shop.mlforge("build")
    (shop.root / "data/users.csv").write_text("user_id,country\na,DE\nb,IT\n")
    shop.mlforge("build")
    shop.mlforge("retire", "user_profile", "--yes")
    return shop


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "user_profile"], "customers 1.0.2"),
        (["show", "user_profile@1.0.1"], "customers 1.0.1"),
        (["show", "user_profile@~=1.0"], "customers 1.0.2"),
        (["show", "user_profile@HEAD"], "customers 1.0.2"),
        (["versions", "user_profile"], "1.0.2  head"),
        (["log", "user_profile"], "customers     1.0.2"),
        (["diff", "user_profile"], "customers  1.0.1 -> 1.0.2"),
        (["diff", "user_profile@1.0.1"], "customers  1.0.1 -> 1.0.2"),
        (["diff", "user_profile@1.0.1", "customers@1.0.2"], "customers  1.0.1 -> 1.0.2"),
        (["diff", "user_profile@1.0.1", "customers@1.0.1"], "No difference: customers@1.0.1"),
        (["checkout", "user_profile@1.0.1"], "customers 1.0.1 is head here (pinned"),
        (["checkout", "user_profile"], "customers 1.0.2 is head here already"),
        (["rollback", "user_profile", "-y"], "customers  1.0.2 -> 1.0.1 pinned"),
        (["rollback", "user_profile", "1.0.1", "--dry-run"], "customers  1.0.2 -> 1.0.1 pinned"),
        (["train", "spine.csv", "-f", "user_profile", "-o", "out.csv"], "customers@1.0.2"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_feature_renamed_is_meant_by_its_old_name(
    renamed: Shop, words: list[str], said: str
) -> None:
    done = renamed.run(*words)
    assert done.returncode == 0
    assert said in done.stdout
    assert "user_profile is called customers now" in done.stdout + done.stderr


def test_feature_renamed_has_one_log_under_both_names(renamed: Shop) -> None:
    logs = [renamed.json("log", name)["versions"] for name in ("customers", "user_profile")]
    names = [(entry["feature"], entry["version"]) for entry in logs[0]]
    assert names == [("customers", "1.0.2"), ("customers", "1.0.1"), ("user_profile", "1.0.0")]
    assert logs[0] == logs[1]
    assert len(renamed.json("log", "user_spend")["versions"]) == 1


def test_feature_renamed_keeps_what_its_old_name_meant_in_a_commit(renamed: Shop) -> None:
    shown = renamed.json("show", "user_profile@HEAD~3")
    assert (shown["name"], shown["version"], shown["note"]) == ("user_profile", "1.0.0", None)
    assert "(was user_profile)" in renamed.mlforge("diff", "user_profile@HEAD~4", "customers")


def test_feature_renamed_is_not_retired_by_its_old_name(renamed: Shop) -> None:
    assert renamed.run("retire", "user_profile", "-y").returncode == 3
    assert (renamed.store / "customers").exists()


def test_feature_renamed_is_found_beside_a_broken_one(renamed: Shop) -> None:
    (renamed.store / "user_spend/1.0.0/manifest.json").write_text("{")
    (renamed.store / "a_draft/1.0.0").mkdir(parents=True)
    (renamed.store / "a_draft/1.0.0/manifest.json").write_text("{")
    assert "customers 1.0.2" in renamed.mlforge("show", "user_profile")


def test_feature_renamed_does_not_take_the_place_of_a_new_one_of_its_old_name(
    renamed: Shop,
) -> None:
    text = (renamed.root / "features.py").read_text()
    again = text[text.rindex("@mlf.feature") :].replace("customers", "user_profile")
    renamed.edit(text, text + again.replace('renamed_from="user_profile", ', ""))
    renamed.mlforge("build")
    assert "called customers" not in renamed.run("show", "user_profile").stderr
    assert renamed.json("show", "user_profile")["version"] == "2.0.0"
    assert len(renamed.json("log", "customers")["versions"]) == 3


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
    told = "1.1.0 was built from older source digests than 1.0.1"
    assert told in shop.mlforge("diff", "user_spend@1.0.1")
    assert told in shop.mlforge("diff", "main~1..main", "--format", "markdown")
    (shop.root / "data/events.parquet").write_bytes(events)
    assert said in shop.mlforge("build")
    shop.spend(3, 4)
    assert "1.1.0 -> 1.1.1" in shop.mlforge("build")
    assert "older source" not in shop.mlforge("list")


def test_library_upgrade(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.mlforge("build")
    before = shop.git("rev-parse", "HEAD")
    # What an installer leaves: Python takes the first that its path has for the installed one.
    installed = tmp_path / "site/polars-99.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: polars\nVersion: 99.0\n")
    monkeypatch.setenv("PYTHONPATH", str(installed.parent), prepend=os.pathsep)
    computed = []
    for _ in range(2):
        out, errors = shop.start("build", "--json").communicate()
        computed.append([feature["computed"] for feature in json.loads(out)["features"]])
        assert errors == ""
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
    assert "hint: mlforge build -f user_profile@1.0.0\n" in missing.stderr
    clone.mlforge("build", "-f", "user_profile@1.0.0")
    clone.mlforge(*ask)


def test_clone_then_train_an_earlier_version(shop: Shop, tmp_path: Path) -> None:
    shop.mlforge("build")
    first = shop.git("rev-parse", "--short=8", "HEAD").strip()
    shop.edit('"user_id", "country")', '"user_id")')
    shop.mlforge("build")
    clone = clone_of(shop, tmp_path / "clone")
    (clone.root / "spine.csv").write_text("user_id\na\n")
    ask = ("train", "spine.csv", "-f", "user_profile@1.0.0", "-o", "out.csv")
    build = "mlforge build -f user_profile@1.0.0"
    hint = f"git switch --detach {first} && {build} && git switch -"
    assert f"hint: {hint}" in clone.run(*ask).stderr
    clone.git("switch", "-q", "--detach", first)
    assert "rows made again: user_profile 1.0.0" in clone.mlforge(*build.split()[1:])
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


def test_store_in_another_repository_than_the_definitions_made_by_hand(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Git(tmp_path / "store")
    store.root.mkdir()
    store("init", "-q")
    made = (
        'made = mlf.Definitions(name="by hand", features=[user_spend, user_profile],\n'
        '    offline_store=mlf.LocalStore("../store/features"))\n'
    )
    head = shop.git.commit("by_hand.py", (shop.root / "features.py").read_text() + made)
    monkeypatch.chdir(shop.root)
    definitions = runpy.run_path("by_hand.py")["made"]
    report = definitions.build()
    assert report.commit is not None
    assert store("rev-parse", "HEAD").strip() == report.commit.hex
    assert trailers(store, "Mlforge-Definitions") == [head]
    assert trailers(store, "Mlforge-Uncommitted") == []
    assert all(path.startswith("features/") for path in committed_paths(store))
    assert (shop.git("rev-parse", "HEAD").strip(), shop.store.exists()) == (head, False)
    assert mlf.LocalStore(store.root / "features").read("user_profile").height == 2
    assert definitions.build().commit is None


def test_one_of_three_features_fails(shop: Shop) -> None:
    text = (shop.root / "features.py").read_text()
    shop.edit(text, text + text[text.rindex("@mlf.feature") :].replace("user_profile", "third"))
    shop.edit("def third(df):\n", "def third(df):\n    raise ValueError('no')\n")
    done = shop.run("build")
    assert done.returncode == 1
    assert shop.git("log", "-1", "--format=%s").strip() == "mlforge: build 2 features"
    assert {path.split("/")[1] for path in committed_paths(shop.git) if "1.0.0" in path} == {
        "user_spend",
        "user_profile",
    }
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
