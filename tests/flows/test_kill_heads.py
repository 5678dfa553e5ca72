"""A checkout, rollback or retire killed anywhere leaves the head before or after."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.test_kill import CHILD, SEED, copy
from tests.shop import Shop

POINTS = int(os.environ.get("MLFORGE_KILL_POINTS", "20")) // 3
PIN = "feature_store/user_spend/PIN"
# What is done, the head before it, the head after it.
COMMANDS = {
    "checkout": ("user_spend@1.0.0", "1.0.1", "1.0.0"),
    "checkout of the newest": ("user_spend@1.0.2", "1.0.1", "1.0.2"),
    "rollback that makes PIN": ("user_spend 1.0.0 --yes", "1.0.2", "1.0.0"),
    "rollback that changes PIN": ("user_spend 1.0.0 --yes", "1.0.1", "1.0.0"),
    "rollback that removes PIN": ("user_spend 1.0.2 --yes", "1.0.1", "1.0.2"),
}


@pytest.fixture
def built(shop: Shop) -> Shop:
    for amounts in ((1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 5)):
        shop.spend(*amounts)
        shop.mlforge("build")
    shop.git.write("staged.txt", "staged\n")
    shop.git("add", "staged.txt")
    return shop


def run(root: Path, last: int, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(last), *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def points(whole: Shop, words: list[str]) -> list[int]:
    # The first run of a fresh installation writes more files than the later ones.
    run(copy(whole, whole.root.with_name("first")).root, -1, *words)
    count = int(run(whole.root, -1, *words).stderr.split()[-1])
    return sorted(random.Random(SEED).sample(range(count), min(POINTS, count)))


def user_commits(shop: Shop) -> None:
    """`git commit -a`, which may be refused, carries nothing of the store."""
    head = shop.git("rev-parse", "HEAD").strip()
    shop.git.run("commit", "-qam", "user", check=False)
    assert shop.git("diff", "--name-only", head, "HEAD", "--", "feature_store") == ""


@pytest.mark.parametrize("what", COMMANDS)
def test_a_killed_change_of_the_head_is_before_or_after(
    built: Shop, tmp_path: Path, what: str
) -> None:
    arguments, before, after = COMMANDS[what]
    words = [what.split()[0], *arguments.split()]
    if before != "1.0.2":
        built.mlforge("rollback", "user_spend", before, "--yes")
    last = points(copy(built, tmp_path / "whole"), words)
    for point in last:
        shop = copy(built, tmp_path / "killed")
        assert run(shop.root, point, *words).returncode == -signal.SIGKILL
        if words[0] == "rollback":
            user_commits(shop)
        # Any command that opens the history settles what the killed one has left.
        shop.mlforge("list")
        user = shop.git.run("commit", "-qam", "user again", check=False)
        assert user.returncode in (0, 1)
        assert shop.version("user_spend") in (before, after)
        shop.mlforge(*words)
        assert shop.version("user_spend") == after
        if words[0] == "rollback":
            assert shop.git("status", "--porcelain", "--", "feature_store") == ""
        assert not list((shop.root / ".git").rglob("*.lock"))
        shop.git.fsck()
        shutil.rmtree(shop.root)
    print(f"kill: {what} at {last}, seed {SEED}")


def test_a_killed_retire_is_before_or_after(built: Shop, tmp_path: Path) -> None:
    words = ["retire", "user_spend", "--yes"]
    for point in points(copy(built, tmp_path / "whole"), words):
        shop = copy(built, tmp_path / "killed")
        assert run(shop.root, point, *words).returncode == -signal.SIGKILL
        user_commits(shop)
        done = shop.run(*words)
        assert done.returncode in (0, 3)
        assert not (shop.store / "user_spend").exists()
        assert shop.git("status", "--porcelain", "--", "feature_store") == ""
        shop.git.fsck()
        shutil.rmtree(shop.root)
