"""Opening finds the repository or says why not; reading needs no work tree."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlforge.errors import NoRepository, RepositoryCorrupt, RepositoryUnsupported
from mlforge.history.base import Head, History
from mlforge.history.repository import open_repository
from mlforge.ids import CommitId
from tests.git_cli import Git, put


def test_the_repository_is_found_from_below(shop: Git) -> None:
    history = open_repository(shop.root / "not" / "there" / "yet")
    assert history.root == shop.root
    assert history.common_dir == shop.root / ".git"


def test_a_symlink_into_the_repository_finds_it(shop: Git, tmp_path: Path) -> None:
    (shop.root / "inner").mkdir()
    (tmp_path / "link").symlink_to(shop.root / "inner")
    assert open_repository(tmp_path / "link").root == shop.root


def test_outside_of_any_repository_the_hint_is_git_init(tmp_path: Path) -> None:
    with pytest.raises(NoRepository) as caught:
        open_repository(tmp_path)
    assert caught.value.hint == "git init"


def test_a_broken_gitdir_link_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises((NoRepository, RepositoryCorrupt)):
        open_repository(tmp_path)
    (tmp_path / ".git").write_text("rubbish")
    with pytest.raises((NoRepository, RepositoryCorrupt)):
        open_repository(tmp_path)


def test_a_bare_repository_is_refused(shop: Git, tmp_path: Path) -> None:
    shop("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(RepositoryUnsupported, match="bare"):
        open_repository(tmp_path / "bare")


@pytest.mark.parametrize("key", ["extensions.refStorage=reftable", "extensions.future=true",
                                 "core.repositoryFormatVersion=7"])  # fmt: skip
def test_what_dulwich_cannot_write_is_refused(shop: Git, key: str) -> None:
    shop("config", "core.repositoryFormatVersion", "1")
    shop("config", *key.split("="))
    with pytest.raises(RepositoryUnsupported):
        open_repository(shop.root)


def test_a_separate_git_dir_is_followed(tmp_path: Path) -> None:
    subprocess.run(
        ["git", "init", "-q", "--separate-git-dir", str(tmp_path / "data"), str(tmp_path / "work")],
        check=True,
    )
    history = open_repository(tmp_path / "work")
    put(history, {"feature_store/PIN": "1\n"})
    assert history.common_dir == tmp_path / "data"
    assert Git(tmp_path / "work")("status", "--porcelain") == ""


def test_opening_and_reading_write_nothing(shop: Git) -> None:
    before = sorted((shop.root / ".git").rglob("*"))
    history = open_repository(shop.root)
    head = history.head().commit
    assert head
    history.list(head, "")
    history.resolve("main")
    history.differs(["README.md"])
    assert sorted((shop.root / ".git").rglob("*")) == before


def test_head_says_branch_and_commit(git: Git) -> None:
    history = open_repository(git.root)
    assert history.head() == Head(None, "main")
    made = CommitId(git.commit("a", "1\n"))
    assert history.head() == Head(made, "main")
    git("switch", "-q", "-c", "team/topic")
    assert history.head() == Head(made, "team/topic")
    git("switch", "-q", "--detach")
    assert history.head() == Head(made, None)


def test_files_and_folders_are_read_from_a_commit(shop: Git, history: History) -> None:
    (shop.root / "link").symlink_to("README.md")
    shop.write("folder/b", "b\n")
    shop.write("folder/a", "a\n")
    shop("add", ".")
    shop("commit", "-qm", "more")
    head = history.resolve("HEAD")
    assert history.read(head, "folder/a") == b"a\n"
    assert history.list(head, "folder") == ("a", "b")
    assert history.list(head, "") == ("README.md", "folder", "link")
    for path in (
        "absent",
        "folder",
        "link",
        "link/x",
        "README.md/x",
        "folder//a",
        "../x",
        "folder/",
    ):
        assert history.read(head, path) is None
        assert history.list(head, path + "x") == ()
    assert history.read(history.resolve("HEAD~"), "folder/a") is None


def test_what_differs_between_two_folders_is_told_by_name(shop: Git, history: History) -> None:
    old = CommitId(shop.commit("store/same/1/x", "x\n"))
    shop.write("store/gone/x", "x\n")
    shop("add", ".")
    before = CommitId(shop.commit("store/b/deep/er/x", "1\n"))
    shop("rm", "-rq", "store/gone")
    after = CommitId(shop.commit("store/b/deep/er/x", "2\n"))
    shop.write("store/a", "a\n")
    shop("add", ".")
    last = CommitId(shop.commit("README.md", "elsewhere\n"))
    assert history.differing(before, after, "store") == ("b", "gone")
    assert history.differing(before, last, "store") == ("a", "b", "gone")
    assert history.differing(after, after, "store") == ()
    assert history.differing(last, old, "store") == ("a", "b")
    assert history.differing(before, last, "store/same") == ()
    assert history.differing(before, last, "none") == ()


def test_trees_that_are_dropped_are_read_again(
    shop: Git, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlforge.history.tree._KEPT_ENTRIES", 3)
    commits = [CommitId(shop.commit(f"a/b/{name}", f"{name}\n")) for name in "xyz"]
    for _ in range(2):
        for count, commit in enumerate(commits, 1):
            assert history.list(commit, "a/b") == ("x", "y", "z")[:count]
            assert history.read(commit, "a/b/x") == b"x\n"


def test_reading_goes_on_after_git_gc(shop: Git, history: History) -> None:
    head = history.resolve("HEAD")
    shop("gc", "-q", "--prune=now")
    assert history.read(head, "README.md") == b"hello\n"
    made = CommitId(shop.commit("later", "x\n"))
    shop("repack", "-q", "-a", "-d")
    assert history.read(made, "later") == b"x\n"
    assert history.head().commit == made


def test_changed_new_and_missing_files_differ(shop: Git, history: History) -> None:
    shop.commit("same", "x\n")
    shop.commit("gone", "x\n")
    shop.commit("linked", "x\n")
    shop.commit("executable", "x\n")
    shop.write("README.md", "other\n")
    shop.write("new", "x\n")
    (shop.root / "gone").unlink()
    (shop.root / "linked").unlink()
    (shop.root / "linked").symlink_to("same")
    (shop.root / "executable").chmod(0o755)
    paths = ["same", "README.md", "new", "gone", "linked", "executable", "nowhere"]
    assert history.differs(paths) == ("README.md", "new", "gone", "linked")


def test_staged_files_still_differ_from_the_commit(shop: Git, history: History) -> None:
    shop.write("README.md", "other\n")
    shop("add", "README.md")
    assert history.differs(["README.md"]) == ("README.md",)


def test_line_endings_that_git_converts_do_not_differ(shop: Git, history: History) -> None:
    shop.write(".gitattributes", "*.py text eol=crlf\n")
    shop.write("spend.py", "x = 1\ny = 2\n")
    shop("add", ".")
    shop("commit", "-qm", "crlf")
    (shop.root / "spend.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    assert history.differs(["spend.py"]) == ()
    (shop.root / "spend.py").write_bytes(b"x = 1\r\ny = 3\r\n")
    assert history.differs(["spend.py"]) == ("spend.py",)


def test_before_the_first_commit_every_file_differs(git: Git) -> None:
    git.write("a", "1\n")
    assert open_repository(git.root).differs(["a", "b"]) == ("a",)


def test_a_missing_object_is_corruption_not_absence(shop: Git, history: History) -> None:
    blob = shop("rev-parse", "HEAD:README.md").strip()
    path = shop.root / ".git/objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(b"")
    with pytest.raises(RepositoryCorrupt):
        history.read(history.resolve("HEAD"), "README.md")
    path.unlink()
    with pytest.raises(RepositoryCorrupt, match=blob):
        history.read(history.resolve("HEAD"), "README.md")


def test_a_moved_repository_is_found_again(shop: Git, tmp_path: Path) -> None:
    put(open_repository(shop.root), {"feature_store/PIN": "1\n"})
    shutil.move(shop.root, tmp_path / "moved")
    history = open_repository(tmp_path / "moved")
    put(history, {"feature_store/PIN": "2\n"})
    assert len(history.events("feature_store")) == 2


def test_a_history_that_is_dropped_closes_its_packs(shop: Git) -> None:
    shop("gc", "-q")
    history = open_repository(shop.root)
    history.read(history.resolve("HEAD"), "README.md")
    del history
    gc.collect()
    held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if
            os.path.exists(f"/proc/self/fd/{fd}")]  # fmt: skip
    assert not [path for path in held if ".pack" in path or ".idx" in path]


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [("base", "dulwich"), ("repository", "dulwich.porcelain"), ("repository", "dulwich.client")],
)
def test_imports_stay_light(module: str, unwanted: str) -> None:
    code = f"import mlforge.history.{module}, sys; sys.exit({unwanted!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
