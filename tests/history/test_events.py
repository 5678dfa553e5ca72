"""Events are what git's own history says, from scratch or brought up to date."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlforge.history.base import History, PathEvent
from mlforge.history.repository import open_repository
from mlforge.ids import CommitId
from tests.git_cli import Git, put

FOLDER = "feature_store"


def fresh(git: Git, tip: CommitId | None = None) -> tuple[PathEvent, ...]:
    """The same question to an index that is not there yet."""
    cache = git.root / ".git/mlforge/cache"
    moved = cache.with_name("moved")
    cache.rename(moved)
    try:
        return open_repository(git.root).events(FOLDER, tip=tip)
    finally:
        shutil.rmtree(cache)
        moved.rename(cache)


def by_git(git: Git, *revisions: str) -> set[tuple[str, str, str]]:
    """(commit, path, blob) of all changes, as git log tells them; merges as combined diffs."""
    text = git("log", "--format=%H", "--raw", "-r", "-c", "--no-renames", "--no-abbrev", "--root",
               *revisions, "--", FOLDER)  # fmt: skip
    found, commit = set(), ""
    for line in filter(None, text.splitlines()):
        if not line.startswith(":"):
            commit = line
            continue
        left, path = line.split("\t", 1)
        parts = left.split(" ")
        blob = parts[2 * line.count(":", 0, 4) + 1] if line.startswith("::") else parts[3]
        found.add((commit, path, blob))
    return found


def as_git(events: tuple[PathEvent, ...]) -> set[tuple[str, str, str]]:
    return {(event.commit.id.hex, event.path, event.blob or "0" * 40) for event in events}


def check(git: Git, history: History) -> None:
    events = history.events(FOLDER)
    assert as_git(events) == by_git(git, "--all")
    assert events == fresh(git)
    head = history.head().commit
    assert head
    reached = history.events(FOLDER, tip=head)
    assert as_git(reached) == by_git(git, "HEAD")
    assert reached == fresh(git, head)
    _check_order(git, events)


def _check_order(git: Git, events: tuple[PathEvent, ...]) -> None:
    order = list(dict.fromkeys(event.commit.id.hex for event in events))
    place = {commit: number for number, commit in enumerate(order)}
    for line in git("rev-list", "--parents", "--all").splitlines():
        child, *parents = line.split()
        for parent in parents:
            if child in place and parent in place:
                assert place[child] < place[parent]


def test_an_event_tells_commit_path_and_blob(shop: Git, history: History) -> None:
    time = datetime(2024, 1, 2, tzinfo=UTC)
    made = put(history, {"feature_store/a/PIN": "1\n"}, message="mlforge: a\n\nbody", at=time)
    gone = put(history, {}, deletes=frozenset(["feature_store/a/PIN"]))
    last, first = history.events(FOLDER)
    assert (first.commit.id, first.commit.subject, first.commit.time) == (made, "mlforge: a", time)
    assert (first.commit.author.name, first.commit.author.email) == ("Ada", "ada@example.com")
    assert first.blob
    assert history.read_blob(first.blob) == b"1\n"
    assert (last.commit.id, last.commit.parents, last.blob) == (gone, (made,), None)
    assert last.path == first.path == "feature_store/a/PIN"


def test_there_are_none_without_a_commit_or_a_folder(git: Git) -> None:
    assert open_repository(git.root).events(FOLDER) == ()
    git.commit("README.md", "x\n")
    assert open_repository(git.root).events(FOLDER) == ()


def test_branches_merges_reverts_resets_and_amends(shop: Git, history: History) -> None:
    store = "feature_store/spend"
    put(history, {f"{store}/1.0.0/manifest.json": "1\n"})
    check(shop, history)
    shop("switch", "-q", "-c", "side")
    put(history, {f"{store}/1.1.0/manifest.json": "side\n", f"{store}/PIN": "1.0.0\n"})
    check(shop, history)
    shop("switch", "-q", "main")
    put(history, {f"{store}/1.0.1/manifest.json": "main\n"})
    shop.commit("other.txt", "other\n")
    check(shop, history)
    shop("merge", "-q", "-m", "clean", "side")
    check(shop, history)
    shop("switch", "-q", "side")
    put(history, {f"{store}/PIN": "side\n"})
    shop("switch", "-q", "main")
    put(history, {f"{store}/PIN": "main\n"})
    shop("merge", "side", check=False)
    shop.write(f"{store}/PIN", "both\n")
    shop("add", ".")
    shop("commit", "-qm", "evil")
    assert shop("rev-parse", "HEAD").strip() in {e.commit.id.hex for e in history.events(FOLDER)}
    check(shop, history)
    shop("revert", "-n", "-m", "1", "HEAD")
    shop("commit", "-qm", "revert")
    check(shop, history)
    shop("reset", "-q", "--hard", "HEAD~2")
    check(shop, history)
    shop.write(f"{store}/PIN", "amended\n")
    shop("commit", "-qa", "--amend", "-m", "amended")
    check(shop, history)
    shop.write(f"{store}/1.0.0/manifest.json", "stashed\n")
    shop("stash", "-q")
    check(shop, history)
    shop("branch", "-D", "-q", "side")
    shop("tag", "-a", "-m", "tag", "v1", "HEAD~")
    shop("gc", "-q", "--prune=now")
    check(shop, history)


def test_any_history_is_told_as_git_tells_it(shop: Git, history: History) -> None:
    dice = random.Random(7)
    branches = ["main"]
    for number in range(60):
        shop("switch", "-q", dice.choice(branches))
        match dice.randrange(5):
            case 0:
                branches.append(f"b{number}")
                shop("switch", "-q", "-c", f"b{number}")
            case 1:
                shop("merge", "-q", "-X", "ours", "-m", "merge", dice.choice(branches), check=False)
            case 2:
                shop.commit(f"other{dice.randrange(3)}", str(number))
            case _:
                at = datetime.fromtimestamp(1_700_000_000 + dice.randrange(9), UTC)
                put(history, {f"feature_store/f{dice.randrange(4)}/PIN": f"{number}\n"}, at=at)
        if number % 6 == 0:
            check(shop, history)
    check(shop, history)


def test_files_that_become_folders_and_links_are_deletions(shop: Git, history: History) -> None:
    put(history, {"feature_store/a": "1\n", "feature_store/b": "1\n"})
    (shop.root / "feature_store/a").unlink()
    shop.write("feature_store/a/x", "2\n")
    (shop.root / "feature_store/b").unlink()
    (shop.root / "feature_store/b").symlink_to("a")
    shop("add", ".")
    shop("commit", "-qm", "kinds")
    events = [(e.path, e.blob is not None) for e in history.events(FOLDER)]
    assert events[:3] == [
        ("feature_store/a", False),
        ("feature_store/a/x", True),
        ("feature_store/b", False),
    ]


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "folder", "row"])
def test_a_damaged_index_is_made_anew(shop: Git, history: History, damage: str) -> None:
    for number in range(40):
        put(history, {"feature_store/PIN": f"{number}\n"})
    expected = history.events(FOLDER)
    (database,) = (shop.root / ".git/mlforge/cache").iterdir()
    match damage:
        case "garbage":
            database.write_bytes(b"not a database" * 1000)
        case "empty":
            database.write_bytes(b"")
        case "cut":
            os.truncate(database, database.stat().st_size // 2)
        case "folder":
            database.unlink()
            database.mkdir()
        case "row":
            with closing(sqlite3.connect(database)) as connection, connection:
                connection.execute("UPDATE changers SET before = NULL WHERE generation = 7")
    assert history.events(FOLDER) == expected
    put(history, {"feature_store/PIN": "more\n"})
    assert len(history.events(FOLDER)) == len(history.events(FOLDER)) == 41


def test_a_locked_index_is_done_without(
    shop: Git, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(history, {"feature_store/PIN": "1\n"})
    history.events(FOLDER)
    put(history, {"feature_store/PIN": "2\n"})
    (database,) = (shop.root / ".git/mlforge/cache").iterdir()
    blocker = sqlite3.connect(database, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        monkeypatch.setattr("mlforge.history.events.WAIT_SECONDS", 0.05)
        assert len(history.events(FOLDER)) == 2
    finally:
        blocker.close()


def test_a_shallow_clone_says_where_it_ends(shop: Git, history: History, tmp_path: Path) -> None:
    for number in range(5):
        put(history, {f"feature_store/a/1.{number}.0/manifest.json": f"{number}\n"})
    assert not history.is_shallow
    subprocess.run(
        ["git", "clone", "-q", "--depth=2", shop.root.as_uri(), str(tmp_path / "clone")], check=True
    )
    clone = Git(tmp_path / "clone")
    copy = open_repository(clone.root)
    assert copy.is_shallow
    events = copy.events(FOLDER)
    assert [event.commit.is_boundary for event in events] == [False] + [True] * 4
    assert put(copy, {"feature_store/PIN": "1\n"}) == copy.head().commit
    clone("fetch", "-q", "--unshallow")
    assert not copy.is_shallow
    assert not any(event.commit.is_boundary for event in copy.events(FOLDER))
    assert len(copy.events(FOLDER)) == 6


def test_processes_that_index_at_once_agree(shop: Git, history: History) -> None:
    for number in range(30):
        put(history, {"feature_store/PIN": f"{number}\n"})
    code = (
        "import sys; from pathlib import Path\n"
        "from mlforge.history.repository import open_repository\n"
        "print(len(open_repository(Path(sys.argv[1])).events('feature_store')))"
    )
    command = [sys.executable, "-c", code, str(shop.root)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert [reader.communicate()[0] for reader in readers] == [b"30\n"] * 4


def test_a_detached_head_of_another_work_tree_counts(shop: Git, tmp_path: Path) -> None:
    shop("worktree", "add", "-q", "--detach", str(tmp_path / "side"))
    put(open_repository(tmp_path / "side"), {"feature_store/PIN": "1\n"})
    assert len(open_repository(shop.root).events(FOLDER)) == 1
