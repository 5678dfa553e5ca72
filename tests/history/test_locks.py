"""Writers wait for each other, for git, and never for the dead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlforge.errors import HeadMoved, RepositoryLocked, StorageFailed
from mlforge.history.base import Change, History
from mlforge.history.repository import open_repository
from tests.git_cli import NOW, Git, put

MANIFEST = "feature_store/spend/1.0.0/manifest.json"

WRITER = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from mlforge.errors import HeadMoved
from mlforge.history.base import Change
from mlforge.history.repository import open_repository

history = open_repository(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    path = f"feature_store/{sys.argv[2]}/1.0.{number}/manifest.json"
    with history.writing():
        file = history.root / path
        file.parent.mkdir(parents=True)
        file.write_text(path)
        while True:
            change = Change({path: path.encode()}, frozenset(), path)
            try:
                history.commit(
                    change, parent=history.head().commit, now=datetime.now(timezone.utc)
                )
                break
            except HeadMoved:
                continue
"""


def start(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def test_processes_that_commit_at_once_are_all_in_history_once(shop: Git) -> None:
    count = 4
    writers = [start(WRITER, shop.root, f"writer{n}", count) for n in range(4)]
    done = 0
    for number in range(20):
        shop.write("user.txt", str(number))
        shop("add", "user.txt", check=False)
        done += shop.run("commit", "-q", "-m", "user", check=False).returncode == 0
    assert [writer.wait() for writer in writers] == [0] * 4
    for writer in writers:
        writer.communicate()
    subjects = shop("log", "--format=%s").split()
    mine = [subject for subject in subjects if subject.startswith("feature_store")]
    assert sorted(mine) == sorted(
        f"feature_store/writer{n}/1.0.{number}/manifest.json"
        for n in range(4)
        for number in range(count)
    )
    assert subjects.count("user") == done
    assert shop("status", "--porcelain", "feature_store") == ""
    shop.fsck()


def test_a_foreign_lock_of_the_index_is_named_and_left_alone(shop: Git) -> None:
    (shop.root / ".git/index.lock").touch()
    history = open_repository(shop.root, lock_seconds=0.05)
    before = shop("rev-parse", "HEAD")
    with pytest.raises(RepositoryLocked, match=r"index\.lock"):
        put(history, {MANIFEST: "1\n"})
    assert (shop.root / ".git/index.lock").exists()
    assert shop("rev-parse", "HEAD") == before
    assert not list((shop.root / ".git/mlforge/leases").iterdir())
    (shop.root / ".git/index.lock").unlink()
    put(history, {MANIFEST: "1\n"})


def test_a_foreign_lock_of_the_branch_frees_the_index(shop: Git) -> None:
    (shop.root / ".git/refs/heads/main.lock").touch()
    history = open_repository(shop.root, lock_seconds=0.05)
    with pytest.raises(RepositoryLocked, match=r"main\.lock"):
        put(history, {MANIFEST: "1\n"})
    assert not (shop.root / ".git/index.lock").exists()
    shop("add", ".")


def test_a_lock_is_waited_for(shop: Git, history: History) -> None:
    lock = shop.root / ".git/index.lock"
    lock.touch()
    threading.Timer(0.2, lock.unlink).start()
    put(history, {MANIFEST: "1\n"})
    assert shop("status", "--porcelain") == ""


def test_the_writers_lock_is_for_one_process_and_may_be_nested(shop: Git, history: History) -> None:
    other = open_repository(shop.root)
    with history.writing(), history.writing(0):
        put(history, {MANIFEST: "1\n"})
        with pytest.raises(RepositoryLocked, match="mlforge") as caught, other.writing(0.05):
            pass
        assert str(os.getpid()) in str(caught.value)
    with other.writing(0):
        pass


def test_the_writers_lock_of_a_killed_process_is_free(shop: Git, history: History) -> None:
    holder = start(
        "import sys; from pathlib import Path\n"
        "from mlforge.history.repository import open_repository\n"
        "with open_repository(Path(sys.argv[1])).writing():\n"
        "    print('held', flush=True); sys.stdin.read()",
        shop.root,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(RepositoryLocked, match=str(holder.pid)), history.writing(0):
        pass
    holder.kill()
    holder.communicate()
    with history.writing(0):
        pass


def test_threads_take_turns(shop: Git, history: History) -> None:
    inside = []

    def work() -> None:
        with history.writing():
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not inside


@pytest.mark.parametrize("stale", [".git/index.lock", ".git/refs/heads/main.lock"])
def test_an_interrupt_frees_every_lock(
    shop: Git, history: History, stale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def interrupted(source: Path, target: Path) -> None:
        link(source, target)
        if str(target).endswith(stale):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(history, {MANIFEST: "1\n"})
    monkeypatch.undo()
    assert not list((shop.root / ".git").rglob("*.lock"))
    assert not list((shop.root / ".git/mlforge/leases").iterdir())


def test_a_file_system_without_hard_links_will_do(
    shop: Git, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise PermissionError("no hard links here")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refused)
        put(history, {MANIFEST: "1\n"})
    assert shop("status", "--porcelain") == ""
    assert not list((shop.root / ".git").rglob("*.lock"))


def test_a_disk_that_refuses_is_reported_with_the_path(
    shop: Git, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageFailed, match="No space left") as caught:
            put(history, {MANIFEST: "1\n"})
    assert caught.value.__cause__
    assert caught.value.hint
    put(history, {MANIFEST: "1\n"})
    shop.fsck()


def test_two_readers_of_one_head_get_one_commit(shop: Git) -> None:
    first, second = open_repository(shop.root), open_repository(shop.root)
    seen = second.head().commit
    put(first, {MANIFEST: "1\n"})
    with pytest.raises(HeadMoved):
        second.commit(Change({"feature_store/b": b"2"}, frozenset(), "b"), parent=seen, now=NOW)
