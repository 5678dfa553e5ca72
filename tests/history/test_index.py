"""The user's index, in each of its forms, loses nothing and gains mlforge's paths."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mlforge.errors import RepositoryUnsupported
from mlforge.history import index
from mlforge.history.base import History
from mlforge.history.repository import open_repository
from tests.git_cli import Git, put

MANIFEST = "feature_store/spend/1.0.0/manifest.json"


def staged(git: Git) -> str:
    return git("ls-files", "-s", "--", ":!feature_store")


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_each_version_of_the_index_is_kept(shop: Git, version: str) -> None:
    for number in range(30):
        shop.write(f"folder/deep{number % 3}/file{number}", f"{number}\n")
    shop("add", ".")
    shop("add", "-N", "README.md")
    shop("update-index", "--index-version", version)
    before = staged(shop)
    put(open_repository(shop.root), {MANIFEST: "1\n"})
    put(open_repository(shop.root), {MANIFEST: "2\n", "feature_store/a": "x\n"})
    assert staged(shop) == before
    assert shop("ls-files", "feature_store").split() == ["feature_store/a", MANIFEST]
    assert shop("diff-files") == ""
    if version == "4":
        assert (shop.root / ".git/index").read_bytes()[7] == 4
    shop.fsck()


def test_conflicts_without_a_merge_are_kept(shop: Git, history: History) -> None:
    shop("switch", "-q", "-c", "side")
    shop.commit("README.md", "theirs\n")
    shop("switch", "-q", "main")
    shop.commit("README.md", "ours\n")
    shop("merge", "side", check=False)
    (shop.root / ".git/MERGE_HEAD").unlink()
    before = shop("ls-files", "-u")
    assert len(before.splitlines()) == 3
    put(history, {MANIFEST: "1\n"})
    assert shop("ls-files", "-u") == before


def test_a_split_index_is_amended_by_git(shop: Git, history: History) -> None:
    shop("update-index", "--split-index")
    shop.write("staged.txt", "s\n")
    shop("add", "staged.txt")
    put(history, {MANIFEST: "1\n"})
    assert shop("status", "--porcelain") == "A  staged.txt\n"
    assert shop("diff", "--cached", "--name-only") == "staged.txt\n"
    shop.fsck()


def test_a_sparse_index_is_amended_by_git(shop: Git, history: History) -> None:
    shop.commit("inside/a", "a\n")
    shop.commit("outside/deep/b", "b\n")
    shop("sparse-checkout", "init", "--cone", "--sparse-index")
    shop("sparse-checkout", "set", "inside", "feature_store")
    assert "outside/\n" in shop("ls-files", "--sparse")
    put(history, {MANIFEST: "1\n"})
    assert shop("status", "--porcelain") == ""
    assert shop("ls-tree", "-r", "--name-only", "HEAD").split() == [
        "README.md",
        MANIFEST,
        "inside/a",
        "outside/deep/b",
    ]
    assert not (shop.root / "outside").exists()
    shop.fsck()


def test_without_git_a_split_index_is_refused_before_the_ref_moves(
    shop: Git, history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shop("update-index", "--split-index")
    before = shop("rev-parse", "HEAD")
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryUnsupported, match="index"):
        put(history, {MANIFEST: "1\n"})
    monkeypatch.setenv("PATH", path)
    assert shop("rev-parse", "HEAD") == before
    shop("add", ".")


def test_a_large_index_is_amended_by_git(
    shop: Git, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MANY_ENTRIES", 0)
    put(history, {MANIFEST: "1\n", "feature_store/PIN": "1\n"})
    put(history, {}, deletes=frozenset(["feature_store/PIN"]))
    assert shop("status", "--porcelain") == ""
    assert shop("write-tree") == shop("rev-parse", "HEAD^{tree}")


def test_a_change_in_the_second_of_its_staging_is_not_forgotten(
    shop: Git, history: History
) -> None:
    file = shop.write("racy.txt", "one\n")
    os.utime(file, (2_000_000_000, 2_000_000_000))
    shop("add", "racy.txt")
    os.utime(shop.root / ".git/index", (2_000_000_000, 2_000_000_000))
    file.write_text("two\n")
    os.utime(file, (2_000_000_000, 2_000_000_000))
    put(history, {MANIFEST: "1\n"})
    os.utime(shop.root / ".git/index", (2_000_000_100, 2_000_000_100))
    subprocess.run(["git", "-c", "core.trustctime=false", "diff", "--quiet"], cwd=shop.root)
    assert shop("-c", "core.trustctime=false", "status", "--porcelain") == "AM racy.txt\n"


def test_flags_on_mlforges_own_files_are_kept(shop: Git, history: History) -> None:
    put(history, {MANIFEST: "1\n"})
    shop("update-index", "--skip-worktree", MANIFEST)
    put(history, {MANIFEST: "2\n"})
    assert shop("ls-files", "-v", MANIFEST).startswith("S ")
