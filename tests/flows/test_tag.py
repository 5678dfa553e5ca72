"""Tags: a name for all heads of a commit, as git itself would make it."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.git_cli import Git
from tests.shop import Shop


@pytest.fixture
def built(shop: Shop) -> Shop:
    shop.mlforge("build")
    return shop


def test_a_tag_pins_every_head_and_git_accepts_it(built: Shop, tmp_path: Path) -> None:
    record = built.json("tag", "model/3", "-m", "The model of May")
    head = built.git("rev-parse", "HEAD").strip()
    assert (record["commit"], built.git("rev-parse", "model/3^{commit}").strip()) == (head, head)
    assert built.git("cat-file", "-t", "model/3") == "tag\n"
    shown = built.git("show", "-s", "model/3")
    assert "Tagger: Ada <ada@example.com>" in shown
    assert "The model of May" in shown
    for feature in ("user_profile", "user_spend"):
        content = built.json("show", feature)["content_hash"]
        assert f"Mlforge-Feature: {feature}@1.0.0" in shown
        assert f"Mlforge-Content: {feature} {content}" in shown
    built.git.fsck()
    built.git("clone", "-q", "--bare", "--no-tags", str(built.root), str(tmp_path / "bare"))
    built.git("push", "-q", str(tmp_path / "bare"), "model/3")
    Git(tmp_path / "bare").fsck()
    assert Git(tmp_path / "bare")("tag") == "model/3\n"


def test_train_takes_the_versions_of_a_tag(built: Shop) -> None:
    (built.root / "spine.csv").write_text("user_id,at\na,2024-02-01T00:00:00Z\n")
    args = ("train", "spine.csv", "-f", "user_spend", "--timestamp", "at")
    built.mlforge(*args, "-o", "then.parquet")
    built.mlforge("tag", "model")
    built.spend(9, 9)
    built.mlforge("build")
    built.mlforge(*args, "--at", "model", "-o", "again.parquet")
    built.mlforge(*args, "-o", "now.parquet")
    then, again, now = (
        pl.read_parquet(built.root / f"{name}.parquet") for name in ("then", "again", "now")
    )
    assert then.equals(again)
    assert not then.equals(now)


def test_a_committed_pin_is_tagged_and_another_is_refused(built: Shop) -> None:
    built.spend(9, 9)
    built.mlforge("build")
    built.mlforge("checkout", "user_spend@1.0.0")
    done = built.run("tag", "model")
    assert (done.returncode, "user_spend@1.0.0" in done.stderr) == (4, True)
    assert "hint: mlforge checkout user_spend\n" in done.stderr
    built.mlforge("checkout", "user_spend")
    built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    versions = {f["name"]: f["version"] for f in built.json("tag", "model")["features"]}
    assert versions["user_spend"] == "1.0.0"


def test_a_draft_is_refused(built: Shop) -> None:
    built.spend(9, 9)
    built.mlforge("build", "--no-commit")
    done = built.run("tag", "model")
    assert (done.returncode, "user_spend@1.0.1" in done.stderr) == (4, True)
    assert "draft" in done.stderr
    assert "hint: mlforge build -f user_spend\n" in done.stderr
    built.mlforge("build", "-f", "user_spend")
    built.mlforge("tag", "model")


def test_where_there_is_nothing_to_pin_no_tag_is_made(shop: Shop) -> None:
    assert shop.run("tag", "model").returncode == 3
    assert shop.git("tag") == ""


REFUSED = ("-x", "HEAD", "@", "a b", "a..b", "a~1", "a^", "a:b", "a?", "a[", "a\\b", "a.lock", ".a")
REFUSED += ("/a", "a/", "a//b", "a.", "a@{b", "\x7f", "a\nb", "", "x" * 300)


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_git_refuses_is_refused(built: Shop, name: str) -> None:
    done = built.run("tag", "--", name)
    assert (done.returncode, "error[MLF0617]" in done.stderr) == (2, True), done.stderr
    assert built.git("tag") == ""


@pytest.mark.parametrize("name", ["model", "model/2", "a-b_c.1", "größe", "1.0.0", "a/b/c"])
def test_a_name_that_git_takes_is_taken(built: Shop, name: str) -> None:
    built.git("check-ref-format", f"refs/tags/{name}")
    built.mlforge("tag", name)
    built.git.fsck()
    assert built.git("-c", "core.quotepath=off", "tag").strip() == name


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("name", ["model/2", "model", "model/2/b"])
def test_a_tag_never_moves_and_none_is_anothers_folder(
    built: Shop, name: str, is_packed: bool
) -> None:
    built.git("tag", "model/2")
    if is_packed:
        built.git("pack-refs", "--all")
    before = built.git("for-each-ref")
    done = built.run("tag", name)
    assert (done.returncode, "error[MLF0616]" in done.stderr) == (4, True)
    assert built.git("for-each-ref") == before


def test_a_folder_that_deleted_tags_have_left_is_no_obstacle(built: Shop) -> None:
    built.git("tag", "model/2")
    built.git("pack-refs", "--all")
    built.git("tag", "-d", "model/2")
    (built.root / ".git/refs/tags/model").mkdir(exist_ok=True)
    built.mlforge("tag", "model")
    built.git.fsck()


def test_without_an_identity_no_tag_is_made(built: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    built.git("config", "user.name", "")
    done = built.run("tag", "model")
    assert (done.returncode, "error[MLF0603]" in done.stderr) == (4, True)
    assert built.git("tag") == ""


def test_a_lock_of_gits_is_waited_for_and_told(
    built: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = built.root / ".git/refs/tags/model.lock"
    lock.touch()
    done = built.run("tag", "model")
    assert (done.returncode, "error[MLF0604]" in done.stderr) == (4, True)
    assert lock.exists()
    lock.unlink()
    built.mlforge("tag", "model")


def test_a_tag_in_a_linked_work_tree_is_of_its_head(built: Shop, tmp_path: Path) -> None:
    built.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    other = Shop(Git(tmp_path / "other"))
    shutil.copytree(built.root / "data", other.root / "data")
    other.spend(9, 9)
    other.mlforge("build")
    record = other.json("tag", "model")
    assert record["commit"] == other.git("rev-parse", "HEAD").strip()
    assert built.git("tag") == "model\n"


def test_a_tag_leaves_the_index_and_what_is_staged_alone(built: Shop) -> None:
    built.git.write("staged.txt", "x")
    built.git("add", "staged.txt")
    before = (built.root / ".git/index").read_bytes()
    built.mlforge("tag", "model")
    assert (built.root / ".git/index").read_bytes() == before
    assert not [*(built.root / ".git").rglob("*.lock")]
