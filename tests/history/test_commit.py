"""A commit holds HEAD's tree and mlforge's paths, and nothing that the user is busy with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mlforge.errors import (
    HeadMoved,
    IdentityMissing,
    InvalidReference,
    InvalidUsage,
    OperationInProgress,
    RepositoryUnsupported,
)
from mlforge.history.base import Change, History
from mlforge.history.repository import open_repository
from mlforge.ids import CommitId
from tests.git_cli import NOW, Git, put

MANIFEST = "feature_store/spend/1.0.0/manifest.json"


def test_the_first_commit_holds_only_mlforges_paths(git: Git) -> None:
    git.write("features.py", "x = 1\n")
    git("add", "features.py")
    put(open_repository(git.root), {MANIFEST: "{}\n"})
    assert git("ls-tree", "-r", "--name-only", "HEAD").split() == [MANIFEST]
    assert git("status", "--porcelain") == "A  features.py\n"
    git.fsck()


def test_what_the_user_is_busy_with_stays_as_it_was(shop: Git) -> None:
    for name in ("changed", "deleted", "moved", "removed", "staged-twice", "assumed", "skipped"):
        shop.commit(f"{name}.txt", f"{name}\n" * 20)
    shop.write("staged.txt", "new\n")
    shop.write("staged-twice.txt", "one\n")
    shop("add", "staged.txt", "staged-twice.txt")
    shop.write("staged-twice.txt", "two\n")
    shop.write("changed.txt", "other\n")
    (shop.root / "deleted.txt").unlink()
    shop("mv", "moved.txt", "elsewhere.txt")
    shop("rm", "-q", "removed.txt")
    shop.write("meant.txt", "later\n")
    shop("add", "-N", "meant.txt")
    shop.write("untracked.txt", "mine\n")
    shop("update-index", "--assume-unchanged", "assumed.txt")
    shop("update-index", "--skip-worktree", "skipped.txt")
    (shop.root / "skipped.txt").unlink()
    before = _state(shop)
    put(open_repository(shop.root), {MANIFEST: "{}\n"})
    assert _state(shop) == before
    assert shop("diff", "--name-only", "HEAD~", "HEAD").split() == [MANIFEST]
    shop.fsck()


def _state(git: Git) -> tuple[str, ...]:
    return (
        git("status", "--porcelain=v2"),
        git("diff", "--cached"),
        git("diff"),
        git("ls-files", "-v", "--", ":!feature_store"),
        git("write-tree", check=False) and "",
    )


def test_the_tree_that_git_writes_from_the_index_is_the_committed_one(shop: Git) -> None:
    shop("status")  # makes a cache-tree that must not be believed afterwards
    put(open_repository(shop.root), {MANIFEST: "{}\n"})
    assert shop("write-tree") == shop("rev-parse", "HEAD^{tree}")
    assert shop("status", "--porcelain") == ""
    assert shop("diff-files") == ""


def test_a_commit_is_logged_for_the_branch_and_for_head(git: Git) -> None:
    history = open_repository(git.root)
    put(history, {MANIFEST: "1\n"}, message="mlforge: first\n\nbody")
    put(history, {MANIFEST: "2\n"}, message="mlforge: second")
    expected = "commit: mlforge: second\ncommit (initial): mlforge: first\n"
    assert git("reflog", "--format=%gs", "main") == expected
    assert git("reflog", "--format=%gs", "HEAD") == expected
    assert (
        git("rev-parse", "HEAD@{1}", "main@{1}").split() == [git("rev-parse", "HEAD~").strip()] * 2
    )


def test_git_is_told_not_to_log(git: Git) -> None:
    git("config", "core.logAllRefUpdates", "false")
    put(open_repository(git.root), {MANIFEST: "1\n"})
    assert not (git.root / ".git/logs/HEAD").exists()


def test_a_delete_removes_the_folders_that_it_empties(shop: Git, history: History) -> None:
    put(history, {MANIFEST: "1\n", "feature_store/PIN": "1.0.0\n"})
    put(history, {}, deletes=frozenset([MANIFEST, "feature_store/absent/x"]))
    assert shop("ls-tree", "-r", "-t", "--name-only", "HEAD").split() == [
        "README.md",
        "feature_store",
        "feature_store/PIN",
    ]
    assert shop("status", "--porcelain") == ""
    shop.fsck()


def test_a_change_of_nothing_makes_no_commit_but_puts_the_index_right(
    shop: Git, history: History
) -> None:
    first = put(history, {MANIFEST: "1\n"})
    shop("rm", "-q", "--cached", MANIFEST)
    assert put(history, {MANIFEST: "1\n"}) == first
    assert shop("status", "--porcelain") == ""
    assert shop("rev-list", "--count", "HEAD") == "2\n"


def test_a_detached_head_moves_and_no_branch_does(shop: Git, history: History) -> None:
    shop("checkout", "-q", "--detach")
    made = put(history, {MANIFEST: "1\n"})
    assert history.head().branch is None
    assert shop("rev-parse", "HEAD").strip() == made.hex
    assert shop("rev-parse", "main") != shop("rev-parse", "HEAD")
    assert shop("reflog", "--format=%gs", "-1", "HEAD") == "commit: mlforge: a 1.0.0\n"
    shop.fsck()


def test_a_linked_work_tree_commits_to_its_own_branch(shop: Git, tmp_path: Path) -> None:
    shop("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = Git(tmp_path / "side")
    history = open_repository(side.root / "deeper" / "still")
    assert history.common_dir == shop.root / ".git"
    made = put(history, {MANIFEST: "1\n"})
    assert side("rev-parse", "side").strip() == made.hex
    assert side("status", "--porcelain") == shop("status", "--porcelain") == ""
    assert side("reflog", "--format=%gs", "-1", "HEAD") == "commit: mlforge: a 1.0.0\n"
    shop.fsck()


def test_a_submodule_is_a_repository_of_its_own(shop: Git, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "inner")], check=True)
    inner = Git(tmp_path / "inner")
    inner.commit("a", "a\n")
    shop("submodule", "--quiet", "add", str(inner.root), "sub")
    sub = Git(shop.root / "sub")
    put(open_repository(sub.root), {MANIFEST: "1\n"})
    assert sub("status", "--porcelain") == ""
    assert sub("log", "-1", "--format=%s") == "mlforge: a 1.0.0\n"


def test_packed_refs_are_read_and_outdated(shop: Git, history: History) -> None:
    shop("branch", "topic/old")
    shop("pack-refs", "--all")
    shop("gc", "-q")
    made = put(history, {MANIFEST: "1\n"})
    assert shop("rev-parse", "main").strip() == made.hex
    shop("pack-refs", "--all")
    assert history.head().commit == made
    shop.fsck()


def test_a_sha256_repository_works(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(tmp_path / "s")], check=True)
    git = Git(tmp_path / "s")
    git.commit("a", "a\n")
    history = open_repository(git.root)
    made = put(history, {MANIFEST: "1\n"})
    assert len(made.hex) == 64
    assert git("status", "--porcelain") == ""
    assert [event.path for event in history.events("feature_store")] == [MANIFEST]
    git.fsck()


def test_author_and_time_are_what_git_would_write(
    shop: Git, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    put(history, {MANIFEST: "1\n"}, at=now)
    assert shop("log", "-1", "--format=%an %ae %cn %ai") == (
        "Ada ada@example.com Ada 2024-01-02 03:04:05 +0530\n"
    )
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Bob <b>")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "1700000000 -0800")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "ci@example.com")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2023-05-06T07:08:09Z")
    put(history, {MANIFEST: "2\n"})
    mine = shop("log", "-1", "--format=%an %ae %ad %ce %ci")
    shop("commit", "-q", "--allow-empty", "-m", "git's own")
    assert mine == shop("log", "-1", "--format=%an %ae %ad %ce %ci")


def test_a_date_that_is_none_is_refused(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_DATE", "once upon a time")
    with pytest.raises(InvalidUsage, match="GIT_AUTHOR_DATE"):
        put(history, {MANIFEST: "1\n"})


@pytest.mark.parametrize("key", ["user.name", "user.email"])
def test_an_unknown_committer_is_asked_for(shop: Git, key: str) -> None:
    shop("config", "--global", "--unset", key)
    with pytest.raises(IdentityMissing, match=key) as caught:
        put(open_repository(shop.root), {MANIFEST: "1\n"})
    assert "git config user.name" in str(caught.value.hint)
    assert shop("rev-list", "--count", "HEAD") == "1\n"


def test_an_unfinished_merge_is_not_swallowed(shop: Git, history: History) -> None:
    shop("switch", "-q", "-c", "side")
    shop.commit("README.md", "theirs\n")
    shop("switch", "-q", "main")
    shop.commit("README.md", "ours\n")
    shop("merge", "side", check=False)
    before = shop("ls-files", "-s")
    with pytest.raises(OperationInProgress, match="merge"):
        put(history, {MANIFEST: "1\n"})
    assert shop("ls-files", "-s") == before


def test_an_unfinished_rebase_is_not_swallowed(shop: Git, history: History) -> None:
    shop.commit("a", "1\n")
    shop.run("-c", "sequence.editor=sed -i s/pick/edit/", "rebase", "-q", "-i", "HEAD~")
    with pytest.raises(OperationInProgress, match="rebase"):
        put(history, {MANIFEST: "1\n"})


def test_a_moved_head_is_noticed_and_nothing_changes(shop: Git, history: History) -> None:
    seen = history.head().commit
    shop.commit("other", "x\n")
    before = shop("rev-parse", "HEAD"), shop("ls-files", "-s"), shop("reflog")
    with pytest.raises(HeadMoved):
        history.commit(Change({MANIFEST: b"1\n"}, frozenset(), "m"), parent=seen, now=NOW)
    with pytest.raises(HeadMoved):
        history.commit(Change({MANIFEST: b"1\n"}, frozenset(), "m"), parent=None, now=NOW)
    assert (shop("rev-parse", "HEAD"), shop("ls-files", "-s"), shop("reflog")) == before
    assert not list((shop.root / ".git").rglob("*.lock"))


def test_a_commit_on_top_in_the_same_instant_leaves_ours_published(shop: Git) -> None:
    """The user's git, with an index of its own, commits between our swap and our look at it."""

    def user_commits() -> None:
        index = {"GIT_INDEX_FILE": str(shop.root / ".git/mlforge/other-index")}
        for words in ("read-tree HEAD", "commit -q --allow-empty -m user"):
            subprocess.run(["git", *words.split()], cwd=shop.root, env=os.environ | index)

    assert _commit_with_a_guest(shop, user_commits) == "made"
    assert shop("log", "--format=%s", "-3").split("\n")[:3] == ["user", "mlforge: b", "begin"]
    assert shop("show", f"HEAD:{MANIFEST}") == "{}\n"
    assert shop("diff", "--cached", "--name-only") == ""
    shop.fsck()


def test_a_branch_that_is_reset_in_the_same_instant_is_told(shop: Git) -> None:
    begin = shop("rev-parse", "HEAD").strip()
    assert _commit_with_a_guest(shop, lambda: shop("update-ref", "HEAD", begin)) == "moved"
    assert shop("rev-parse", "HEAD").strip() == begin
    assert shop("diff", "--cached", "--name-only") == ""
    assert not list((shop.root / ".git").rglob("*.lock"))


def _commit_with_a_guest(shop: Git, guest: Callable[[], object]) -> str:
    """Commit in a child; the guest comes right after the ref's rename. How it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        states = iter(["before", "renamed", "done"])
        state = next(states)

        def watch(event: str, args: tuple[object, ...]) -> None:
            nonlocal state
            if state == "before" and event == "os.rename" and str(args[1]).endswith("heads/main"):
                state = next(states)
            elif state == "renamed" and event == "open":
                state = next(states)
                guest()

        try:
            sys.addaudithook(watch)
            history = open_repository(shop.root)
            change = Change({MANIFEST: b"{}\n"}, frozenset(), "mlforge: b")
            shop.write(MANIFEST, "{}\n")
            history.commit(change, parent=history.head().commit, now=NOW)
            os.write(writer, b"made" if state == "done" else b"nobody came")
        except HeadMoved:
            os.write(writer, b"moved")
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader) as pipe:
        return pipe.read()


def test_a_symlinked_store_is_refused_not_followed(shop: Git, history: History) -> None:
    (shop.root / "feature_store").symlink_to("/tmp")
    shop("add", "feature_store")
    shop("commit", "-q", "-m", "link")
    head = history.head().commit
    assert head
    assert history.read(head, MANIFEST) is None
    with pytest.raises(RepositoryUnsupported, match="feature_store"):
        history.commit(Change({MANIFEST: b"1\n"}, frozenset(), "m"), parent=head, now=NOW)


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", ".git/config", "a/.GIT/x", "", "a/./b"])
def test_a_path_that_leaves_the_repository_is_refused(history: History, path: str) -> None:
    with pytest.raises(InvalidReference):
        history.commit(
            Change({path: b"x"}, frozenset(), "m"), parent=history.head().commit, now=NOW
        )


def test_the_work_tree_decides_how_git_sees_the_committed_files(
    shop: Git, history: History
) -> None:
    head = history.head().commit
    history.commit(Change({MANIFEST: b"1\n"}, frozenset(), "m"), parent=head, now=NOW)
    assert shop("status", "--porcelain") == f" D {MANIFEST}\n"
    shop.write(MANIFEST, "other\n")
    assert shop("status", "--porcelain") == f" M {MANIFEST}\n"


def test_a_shared_repository_stays_shared(shop: Git, history: History) -> None:
    shop("config", "core.sharedRepository", "group")
    made = put(history, {MANIFEST: "1\n"})
    for path in ("index", "refs/heads/main", f"objects/{made.hex[:2]}/{made.hex[2:]}"):
        assert (shop.root / ".git" / path).stat().st_mode & 0o040
    assert (shop.root / ".git/index").stat().st_mode & 0o020


def test_an_unknown_commit_is_no_parent(history: History) -> None:
    with pytest.raises(HeadMoved):
        history.commit(Change({}, frozenset(), "m"), parent=CommitId("0" * 40), now=NOW)
