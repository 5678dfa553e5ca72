"""Revisions mean what they mean to git, and hostile text means nothing."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from mlforge.errors import RevisionNotFound
from mlforge.history.base import History
from mlforge.history.repository import open_repository
from tests.git_cli import Git

REVISIONS = [
    "HEAD", "@", "HEAD~", "HEAD~3", "HEAD^", "HEAD^1", "HEAD^2", "HEAD^2~1", "HEAD^0", "HEAD~0",
    "main", "main^", "main~1^1", "side", "heads/side", "refs/heads/side", "topic/deep",
    "light", "heavy", "heavy^{}", "heavy^{commit}", "heavy~1", "refs/tags/heavy", "tags/light",
    "both", "refs/heads/both", "twice", "origin", "origin/main", "refs/remotes/origin/main",
    "ORIG_HEAD", "abcd", "stash",
]  # fmt: skip

UNKNOWN = [
    "", " ", "nope", "main~99", "HEAD^3", "-", "--all", "-n1", "main..side", "main...side", "^main",
    "../config", "../../etc/passwd", "config", "refs", "refs/", "refs/heads", "heads", "/", "/etc",
    "refs/heads/../../config", "HEAD.lock", "main.lock", "HEAD@{1}", "@{u}", ":/begin",
    ":README.md", "HEAD:README.md", "main\n", "main\0", "ma in", "\udcff", "\ud800", "é",
    "x" * 100_000, "~", "^", "HEAD~-1", "HEAD~99999999999", "HEAD^{tree}", "0" * 40, "f" * 64,
    "HEAD~~~~~~~~~", "FETCH_HEADS", "CONFIG_HEAD",
    "$(rm -rf .)", "`id`", "%s", "main;id", "index", "objects", "logs/HEAD", "a//b", "HEAD/", "*",
]  # fmt: skip


@pytest.fixture
def woods(shop: Git, tmp_path: Path) -> Git:
    """A history with every kind of name in it."""
    shop.commit("a", "1\n")
    shop("switch", "-q", "-c", "side")
    shop.commit("b", "1\n")
    shop.commit("b", "2\n")
    shop("switch", "-q", "main")
    shop.commit("c", "1\n")
    shop("merge", "-q", "--no-ff", "-m", "merge", "side")
    shop("tag", "light", "HEAD~")
    shop("tag", "-a", "-m", "heavy", "heavy", "side")
    shop("tag", "-a", "-m", "twice", "twice", "heavy")
    for name, where in (("topic/deep", "HEAD~2"), ("both", "HEAD~1"), ("abcd", "HEAD~2")):
        shop("branch", name, where)
    shop("tag", "both", "HEAD^2")
    subprocess.run(["git", "clone", "-q", str(shop.root), str(tmp_path / "up")], check=True)
    shop("remote", "add", "origin", str(tmp_path / "up"))
    shop("fetch", "-q", "--no-tags", "origin")
    shop("remote", "set-head", "origin", "main")
    shop.write("a", "stashed\n")
    shop("stash", "-q")
    shop("reset", "-q", "--hard", "HEAD")
    return shop


@pytest.mark.parametrize("packed", [False, True])
def test_every_revision_is_the_commit_that_git_means(woods: Git, packed: bool) -> None:
    if packed:
        woods("gc", "-q")
    history = open_repository(woods.root)
    for revision in REVISIONS:
        expected = woods("rev-parse", f"{revision}^{{commit}}").strip()
        assert history.resolve(revision).hex == expected, revision
        for length in (4, 7, 12, 39, 40):
            short = woods("rev-parse", f"--short={length}", expected).strip()
            assert history.resolve(short).hex == expected
            assert history.resolve(short.upper()).hex == expected
    assert history.resolve(woods("rev-parse", "heavy").strip()) == history.resolve("side")


def test_hostile_text_is_no_revision(woods: Git) -> None:
    history = open_repository(woods.root)
    for revision in UNKNOWN:
        with pytest.raises(RevisionNotFound) as caught:
            history.resolve(revision)
        assert len(str(caught.value)) < 1000
        assert caught.value.message.isprintable()


def test_a_near_name_is_offered(woods: Git) -> None:
    with pytest.raises(RevisionNotFound) as caught:
        open_repository(woods.root).resolve("topic/deap")
    assert caught.value.hint == "did you mean topic/deep?"


def test_a_tree_and_a_blob_are_no_commits(woods: Git, history: History) -> None:
    for name in ("HEAD^{tree}", "HEAD:a"):
        oid = woods("rev-parse", name).strip()
        with pytest.raises(RevisionNotFound):
            history.resolve(oid)
        woods("tag", "-f", "odd", oid)
        with pytest.raises(RevisionNotFound, match="not a commit"):
            history.resolve("odd")


def test_an_ambiguous_id_lists_its_commits(shop: Git, history: History) -> None:
    # 2,000 commits share a first half of 4 digits somewhere.
    tree = shop("rev-parse", "HEAD^{tree}").strip()
    stream = "".join(
        f"commit refs/heads/n{n}\ncommitter A <a@b> {n} +0000\ndata 1\nx\nM 040000 {tree} \n\n"
        for n in range(2000)
    )
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=shop.root, input=stream.encode(), check=True
    )
    ids = sorted(shop("for-each-ref", "--format=%(objectname)", "refs/heads/n*").split())
    first, second = next(pair for pair in pairwise(ids) if pair[0][:4] == pair[1][:4])
    with pytest.raises(RevisionNotFound) as caught:
        history.resolve(first[:4])
    assert first in str(caught.value.hint)
    assert second in str(caught.value.hint)


def test_beyond_a_shallow_clone_the_hint_is_to_fetch(woods: Git, tmp_path: Path) -> None:
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", woods.root.as_uri(), str(tmp_path / "c")], check=True
    )
    with pytest.raises(RevisionNotFound) as caught:
        open_repository(tmp_path / "c").resolve("HEAD~2")
    assert caught.value.hint == "git fetch --unshallow"
