"""Trees that are kept for the next process, and files that are read from the work tree."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlforge.canonical import encode
from mlforge.errors import RepositoryCorrupt
from mlforge.history import kept
from mlforge.history.base import History
from mlforge.history.repository import open_repository
from mlforge.ids import CommitId
from tests.git_cli import Git

FILES = {"store/a/1.0.0/manifest.json": "one\n", "store/b/1.0.0/manifest.json": "two\n"}


@pytest.fixture
def head(shop: Git) -> CommitId:
    for path, text in FILES.items():
        shop.commit(path, text)
    history = open_repository(shop.root)
    commit = history.resolve("HEAD")
    assert found(history, commit) == FILES
    history.keep()
    return commit


def found(history: History, commit: CommitId) -> dict[str, str]:
    """All manifests, as a process that was just started finds them."""
    names = history.list(commit, "store")
    paths = [f"store/{name}/1.0.0/manifest.json" for name in names]
    return {path: (history.read(commit, path) or b"").decode() for path in paths}


def cache_of(shop: Git) -> Path:
    return shop.root / ".git/mlforge/cache/trees"


def lose(shop: Git, revision: str) -> None:
    loose(shop, revision).unlink()


def loose(shop: Git, revision: str) -> Path:
    oid = shop("rev-parse", revision).strip()
    return shop.root / ".git/objects" / oid[:2] / oid[2:]


def test_the_next_process_needs_no_tree_of_gits(shop: Git, head: CommitId) -> None:
    lose(shop, "HEAD:store/a")
    assert found(open_repository(shop.root), head) == FILES
    cache_of(shop).unlink()
    with pytest.raises(RepositoryCorrupt):
        found(open_repository(shop.root), head)


def test_a_later_commit_is_seen_and_kept_too(shop: Git, head: CommitId) -> None:
    later = CommitId(shop.commit("store/a/1.0.0/manifest.json", "changed\n"))
    history = open_repository(shop.root)
    assert found(history, later)["store/a/1.0.0/manifest.json"] == "changed\n"
    history.keep()
    lose(shop, "HEAD:store/a/1.0.0")
    lose(shop, "HEAD~1:store/b")
    assert found(open_repository(shop.root), later)["store/a/1.0.0/manifest.json"] == "changed\n"
    assert found(open_repository(shop.root), head) == FILES


def test_a_tree_of_git_with_other_bytes_is_told_and_not_kept(shop: Git, head: CommitId) -> None:
    cache_of(shop).unlink()
    path, other = loose(shop, "HEAD:store/a"), loose(shop, "HEAD:store/b")
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(other.read_bytes())
    history = open_repository(shop.root)
    with pytest.raises(RepositoryCorrupt):
        found(history, head)
    history.keep()
    path.write_bytes(good)
    assert found(open_repository(shop.root), head) == FILES


def _with_checksum(body: bytes) -> bytes:
    return kept._head(body) + body


def _flipped(data: bytes) -> bytes:
    return data.replace(b"40000 ", b"40001 ")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a flipped digit": _flipped,
    "cut off": lambda data: data[:-5],
    "no body": lambda data: data[:81],
    "empty": lambda data: b"",
    "more": lambda data: data + b"\n",
    "another format": lambda data: data.replace(b"trees 1", b"trees 2"),
    "no JSON": lambda data: _with_checksum(b"{"),
    "another shape": lambda data: _with_checksum(encode({"trees": 1})),
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_costs_reading_git_again(shop: Git, head: CommitId, damage: str) -> None:
    path = cache_of(shop)
    data = path.read_bytes()
    path.write_bytes(DAMAGES[damage](data))
    assert path.read_bytes() != data
    history = open_repository(shop.root)
    assert found(history, head) == FILES
    history.keep()
    assert path.read_bytes() != DAMAGES[damage](data)


@pytest.mark.parametrize("entry", ["", "x", "40000", "40000 \N{SNOWMAN}", "9 1"])
def test_entries_that_nobody_wrote_are_read_from_git(shop: Git, head: CommitId, entry: str) -> None:
    tree = shop("rev-parse", "HEAD:store").strip()
    cache_of(shop).write_bytes(_with_checksum(encode({tree: {"a": entry}})))
    assert found(open_repository(shop.root), head) == FILES


def test_a_file_too_large_is_not_read(
    shop: Git, head: CommitId, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(shop, "HEAD:store/a")
    monkeypatch.setattr(kept, "_LARGEST", 10)
    with pytest.raises(RepositoryCorrupt):
        found(open_repository(shop.root), head)


@pytest.mark.parametrize("what", ["folder", "loop", "no folder"])
def test_where_it_cannot_be_kept_nothing_fails(shop: Git, head: CommitId, what: str) -> None:
    path = cache_of(shop)
    path.unlink()
    if what == "folder":
        (path / "somebody's").mkdir(parents=True)
    elif what == "loop":
        path.symlink_to(path.name)
    else:
        shutil.rmtree(path.parent)
        path.parent.write_text("a file\n")
    history = open_repository(shop.root)
    assert found(history, head) == FILES
    history.keep()
    assert found(open_repository(shop.root), head) == FILES
    assert not [*path.parent.glob("trees.*")]


def test_its_size_is_bounded_and_the_last_read_stays(
    shop: Git, head: CommitId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "KEPT_ENTRIES", 4)
    cache_of(shop).unlink()
    history = open_repository(shop.root)
    history.read(head, "store/a/1.0.0/manifest.json")
    history.read(head, "store/b/1.0.0/manifest.json")
    history.keep()
    text = cache_of(shop).read_text()
    assert shop("rev-parse", "HEAD:store/b/1.0.0").strip() in text
    assert shop("rev-parse", "HEAD:store/a/1.0.0").strip() not in text


def test_a_few_new_trees_are_not_worth_a_file(
    shop: Git, head: CommitId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_WORTH", 1)
    before = cache_of(shop).read_bytes()
    later = CommitId(shop.commit("other", "x\n"))
    history = open_repository(shop.root)
    assert history.read(later, "other") == b"x\n"
    history.keep()
    assert cache_of(shop).read_bytes() == before


PATH = "store/a/1.0.0/manifest.json"


def test_a_file_of_the_work_tree_is_read_if_it_has_gits_bytes(shop: Git, head: CommitId) -> None:
    history = open_repository(shop.root)
    assert history.read_near(head, PATH) == b"one\n"
    lose(shop, f"HEAD:{PATH}")
    assert history.read_near(head, PATH) == b"one\n"
    assert history.read_near(head, "store/nowhere") is None
    assert history.read_near(head, "store/a") is None


@pytest.mark.parametrize("what", ["edited", "gone", "a link", "a pipe", "a folder"])
def test_other_bytes_in_the_work_tree_are_not_taken(shop: Git, head: CommitId, what: str) -> None:
    here = shop.root / PATH
    here.unlink()
    if what == "edited":
        here.write_text("One\n")
    elif what == "a link":
        (shop.root / "same").write_text("one\n")
        here.symlink_to(shop.root / "same")
    elif what == "a pipe":
        os.mkfifo(here)
    elif what == "a folder":
        here.mkdir()
    assert open_repository(shop.root).read_near(head, PATH) == b"one\n"
    lose(shop, f"HEAD:{PATH}")
    with pytest.raises(RepositoryCorrupt):
        open_repository(shop.root).read_near(head, PATH)
