"""A process killed anywhere in a commit leaves the state before or after, and no lock for ever."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlforge.history.base import Change
from mlforge.history.repository import open_repository
from tests.git_cli import NOW, Git, put

OLD = "feature_store/spend/1.0.0/manifest.json"
NEW = "feature_store/spend/1.1.0/manifest.json"
PIN = "feature_store/spend/PIN"
FILE_EVENTS = ("open", "os.")


def commit(root: Path) -> None:
    """What is killed: a new version's file, and a pin removed in the same commit."""
    history = open_repository(root)
    change = Change({NEW: b"new\n"}, frozenset([PIN]), "mlforge: spend 1.1.0")
    history.commit(change, parent=history.head().commit, now=NOW)


IsLast = Callable[[int, str, tuple[object, ...]], bool]


def never(seen: int, event: str, args: tuple[object, ...]) -> bool:
    return False


def at_the_index(seen: int, event: str, args: tuple[object, ...]) -> bool:
    """HEAD has the commit, the index has not, and its lock is held."""
    return event == "os.rename" and str(args[1]).endswith("/.git/index")


def run_until(root: Path, is_last: IsLast) -> int:
    """Commit in a child that kills itself before one of its file events: 0, or all events."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(event: str, args: tuple[object, ...]) -> None:
            nonlocal seen
            if event.startswith(FILE_EVENTS) and event != "os.kill":
                if is_last(seen, event, args):
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1

        try:
            sys.addaudithook(watch)
            commit(root)
            os.write(writer, str(seen).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader) as pipe:
        return int(pipe.read() or 0)


@pytest.fixture(autouse=True)
def without_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill leaves does not depend on it, and the disk is slow."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def before(shop: Git) -> Git:
    """A store with a version and a pin, and a user in the middle of something."""
    put(open_repository(shop.root), {OLD: "old\n", PIN: "1.0.0\n"})
    shop.write("staged.txt", "staged\n")
    shop("add", "staged.txt")
    shop.write("README.md", "changed\n")
    shop.write(NEW, "new\n")
    shutil.rmtree(shop.root / ".git/hooks")
    return shop


def test_a_commit_killed_at_any_file_event_is_before_or_after(before: Git, tmp_path: Path) -> None:
    count = run_until(_copy(before, tmp_path / "whole"), never)
    assert count > 50
    outcomes = set()
    for last in range(count):
        git = Git(_copy(before, tmp_path / "killed"))
        assert run_until(git.root, lambda seen, *_, last=last: seen == last) == 0
        outcomes.add(_check(git, last))
        shutil.rmtree(git.root)
    # The window in which git itself refuses has been met, and both sides of it.
    assert outcomes == {("before", 0), ("before", 128), ("after", 128), ("after", 0)}


def _copy(git: Git, target: Path) -> Path:
    shutil.copytree(git.root, target, symlinks=True)
    return target


def _check(git: Git, last: int) -> tuple[str, int]:
    head = git("rev-parse", "HEAD").strip()
    is_published = NEW in git("ls-tree", "-r", "--name-only", head)
    # The user's own commit, at once and after recovery, touches nothing of mlforge's.
    refused = git.run("commit", "-qam", "user", check=False).returncode
    history = open_repository(git.root)
    assert not list((git.root / ".git").rglob("*.lock")), last
    assert not (git.root / ".git/mlforge/leases/commit.json").exists(), last
    git("commit", "-qa", "--allow-empty", "-m", "user again")
    assert git("diff", "--name-status", head, "HEAD", "--", "feature_store") == "", last
    change = Change({NEW: b"new\n"}, frozenset([PIN]), "mlforge: spend 1.1.0")
    (git.root / PIN).unlink(missing_ok=True)
    history.commit(change, parent=history.head().commit, now=NOW)
    assert git("ls-tree", "-r", "--name-only", "HEAD", "feature_store").split() == [OLD, NEW]
    assert git("status", "--porcelain") == "", last
    assert not list((git.root / ".git/mlforge/leases").iterdir()), last
    git.fsck()
    return ("after" if is_published else "before"), refused


def test_a_lock_removed_by_hand_after_a_kill_deletes_nothing(before: Git) -> None:
    """git's own advice is `rm index.lock`; the index then lacks what HEAD has."""
    assert run_until(before.root, at_the_index) == 0
    (before.root / ".git/index.lock").unlink()
    assert NEW in before("diff", "--cached", "--name-only")
    open_repository(before.root)
    assert before("diff", "--cached", "--name-only") == "staged.txt\n"


def test_a_commit_undone_after_a_kill_is_not_staged(before: Git) -> None:
    assert run_until(before.root, at_the_index) == 0
    before("update-ref", "refs/heads/main", "HEAD~")
    open_repository(before.root)
    assert before("diff", "--cached", "--name-only") == "staged.txt\n"
    before("commit", "-qam", "user")


def test_a_commit_built_upon_after_a_kill_is_in_the_index(before: Git) -> None:
    assert run_until(before.root, at_the_index) == 0
    tree = before("rev-parse", "HEAD^{tree}").strip()
    before("update-ref", "HEAD", before("commit-tree", "-p", "HEAD", "-m", "x", tree).strip())
    open_repository(before.root)
    assert before("diff", "--cached", "--name-only") == "staged.txt\n"


def test_a_kill_in_one_work_tree_is_settled_from_another(before: Git, tmp_path: Path) -> None:
    before("worktree", "add", "-q", str(tmp_path / "side"))
    assert run_until(before.root, at_the_index) == 0
    open_repository(tmp_path / "side")
    assert before("diff", "--cached", "--name-only") == "staged.txt\n"


def test_a_live_writers_lock_is_not_taken_for_a_dead_ones(shop: Git) -> None:
    history = open_repository(shop.root)
    lease = shop.root / ".git/mlforge/leases/commit.json"
    with history.writing():
        lease.parent.mkdir(parents=True)
        lease.write_text("{}")
        open_repository(shop.root)
        assert lease.exists()
    open_repository(shop.root)
    assert not lease.exists()


def test_a_foreign_lock_beside_a_dead_lease_is_left_alone(before: Git) -> None:
    assert run_until(before.root, at_the_index) == 0
    lock = before.root / ".git/index.lock"
    ours = lock.stat().st_ino
    lock.unlink()
    lock.write_text("git's own")
    assert lock.stat().st_ino != ours
    open_repository(before.root, lock_seconds=0)
    assert lock.read_text() == "git's own"
    lock.unlink()
    open_repository(before.root)
    assert before("diff", "--cached", "--name-only") == "staged.txt\n"
