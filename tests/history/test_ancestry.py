"""Ancestry: which commits follow which, in histories that git itself has made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlforge.errors import MlforgeError
from mlforge.history.base import History
from mlforge.history.repository import open_repository
from mlforge.ids import CommitId
from tests.git_cli import Git


def commits(git: Git, *names: str) -> list[CommitId]:
    return [CommitId(git("rev-parse", name).strip()) for name in names]


def as_git_says(git: Git, commit: CommitId, wanted: CommitId) -> bool:
    done = git.run("merge-base", "--is-ancestor", wanted.hex, commit.hex, check=False)
    assert done.returncode in (0, 1)
    return done.returncode == 0


def check(git: Git, *names: str) -> list[list[bool]]:
    """Of each of these commits, whether it follows each: as git says, with and without a graph."""
    found = commits(git, *names)
    history = open_repository(git.root)
    told = [[history.follows(commit, wanted) for wanted in found] for commit in found]
    assert told == [[as_git_says(git, commit, wanted) for wanted in found] for commit in found]
    git("commit-graph", "write", "--reachable")
    again = open_repository(git.root)
    assert told == [[again.follows(commit, wanted) for wanted in found] for commit in found]
    git("gc", "-q")
    packed = open_repository(git.root)
    assert told == [[packed.follows(commit, wanted) for wanted in found] for commit in found]
    return told


def test_in_a_line_each_follows_those_before(shop: Git) -> None:
    for number in range(3):
        shop.commit("a", f"{number}")
    assert check(shop, "HEAD~3", "HEAD~1", "HEAD") == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_a_merge_follows_both_and_these_not_each_other(shop: Git) -> None:
    shop("checkout", "-q", "-b", "side")
    shop.commit("side", "1")
    shop("checkout", "-q", "main")
    shop.commit("main", "1")
    shop("merge", "-q", "--no-edit", "side")
    shop.commit("after", "1")
    assert check(shop, "HEAD", "HEAD~1", "HEAD~2", "side", "HEAD~3") == [
        [True, True, True, True, True],
        [False, True, True, True, True],
        [False, False, True, False, True],
        [False, False, False, True, True],
        [False, False, False, False, True],
    ]


def test_an_octopus_and_a_cross_are_followed(shop: Git) -> None:
    for name in "abc":
        shop("checkout", "-q", "-b", name, "main")
        shop.commit(name, name)
    shop("checkout", "-q", "main")
    shop("merge", "-q", "--no-edit", "a", "b", "c")
    for cross, one, other in (("x", "a", "b"), ("y", "b", "a")):
        shop("checkout", "-q", "-b", cross, one)
        shop("merge", "-q", "--no-ff", "--no-edit", other)
    check(shop, "main", "a", "b", "c", "x", "y", "main~1")


def test_unrelated_histories_do_not_follow(shop: Git) -> None:
    shop("checkout", "-q", "--orphan", "other")
    shop("commit", "-q", "-m", "another beginning")
    assert check(shop, "main", "other") == [[True, False], [False, True]]
    shop("merge", "-q", "--no-edit", "--allow-unrelated-histories", "main")
    assert check(shop, "other", "main", "other~1")[0] == [True, True, True]


def test_clocks_that_are_wrong_change_nothing(shop: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    for year in (2030, 1971, 2050, 1999):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{year}-01-01T00:00:00Z")
        shop.commit("a", f"{year}")
    check(shop, "HEAD", "HEAD~1", "HEAD~2", "HEAD~3", "HEAD~4")


def test_a_long_history_is_no_matter_of_depth(shop: Git) -> None:
    count = 3_000
    lines = ["feature done", "reset refs/heads/long"]
    for number in range(count):
        lines += ["commit refs/heads/long", f"mark :{number + 1}"]
        lines += [f"committer Ada <ada@example.com> {1_700_000_000 + number} +0000", "data 1", "x"]
    path = shop.write("../stream", "\n".join([*lines, "done", ""]))
    command = ["git", "fast-import", "--quiet"]
    with path.open() as stream:
        subprocess.run(command, cwd=shop.root, stdin=stream, check=True)
    first, last = commits(shop, f"long~{count - 1}", "long")
    history = open_repository(shop.root)
    assert history.follows(last, first)
    assert not history.follows(first, last)


def test_a_shallow_clone_knows_no_more_than_it_has(shop: Git, tmp_path: Path) -> None:
    for number in range(4):
        shop.commit("a", f"{number}")
    first, second, head = commits(shop, "HEAD~4", "HEAD~1", "HEAD")
    shop("clone", "-q", "--depth", "2", f"file://{shop.root}", str(tmp_path / "clone"))
    clone = Git(tmp_path / "clone")
    history = open_repository(clone.root)
    assert history.is_shallow
    assert [history.has(commit) for commit in (first, second, head)] == [False, True, True]
    assert history.follows(head, second)
    assert not history.follows(second, head)
    assert not history.follows(head, first)
    clone("fetch", "-q", "--unshallow")
    whole = open_repository(clone.root)
    assert not whole.is_shallow
    assert whole.has(first)
    assert whole.follows(head, first)


def test_what_is_no_commit_is_not_here(shop: Git, history: History) -> None:
    shop("tag", "-a", "v1", "-m", "one")
    tree, blob, tag = commits(shop, "HEAD^{tree}", "HEAD:README.md", "v1")
    assert [history.has(found) for found in (tree, blob, tag)] == [False] * 3
    assert not history.has(CommitId("0" * 40))
    assert history.has(*commits(shop, "HEAD"))


def test_a_parent_that_was_lost_is_told(shop: Git) -> None:
    for number in range(3):
        shop.commit("a", f"{number}")
    lost, head = commits(shop, "HEAD~1", "HEAD")
    (shop.root / ".git/objects" / lost.hex[:2] / lost.hex[2:]).unlink()
    with pytest.raises(MlforgeError) as told:
        open_repository(shop.root).follows(head, CommitId("1" * 40))
    assert told.value.hint
