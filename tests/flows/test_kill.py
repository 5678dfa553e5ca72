"""A build killed anywhere leaves the state before or after, and the next one just works."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.git_cli import Git
from tests.shop import Shop
from tests.sizes import KILL_POINTS, SEED

# A process that kills itself before its N-th event that changes a file; N = -1: it counts them.
CHILD = """
import os, signal, sys
from mlforge.cli.app import main
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod"}
last, seen = int(sys.argv.pop(1)), 0
def watch(event, args):
    global seen
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if not (writes or event in CHANGES) or "__pycache__" in str(args[0]):
        return
    if seen == last:
        os.kill(os.getpid(), signal.SIGKILL)
    seen += 1
sys.addaudithook(watch)
try:
    main()
finally:
    if last < 0:
        print("events", seen, file=sys.stderr)
"""


def build(root: Path, last: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(last), "build"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


@pytest.fixture
def before(shop: Shop) -> Shop:
    """Two versions in history, a user in the middle of something, and two changes to build."""
    shop.mlforge("build")
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    (shop.root / "data/users.csv").write_text("user_id,country\na,DE\nb,IT\n")
    shop.git.write("staged.txt", "staged\n")
    shop.git("add", "staged.txt")
    shop.git.write("mlforge.toml", '[project]\nname = "corner-shop"\n')
    return shop


def check(shop: Shop) -> str:
    """What the user finds after a kill: before, git refusing, or after; then a build succeeds."""
    git = shop.git
    git.fsck()
    head = git("rev-parse", "HEAD").strip()
    state = "after" if "1.1.0" in git("ls-tree", "-r", "--name-only", head) else "before"
    if git.run("commit", "-qam", "user", check=False).returncode:
        state += ", git refuses"
    assert git("diff", "--name-only", head, "HEAD", "--", "feature_store") == ""
    shop.mlforge("build")
    git("commit", "-qa", "--allow-empty", "-m", "user again")
    assert "No change" in shop.mlforge("build")
    assert (shop.version("user_spend"), shop.version("user_profile")) == ("1.1.0", "1.0.1")
    assert git("status", "--porcelain", "--ignored=no") == ""
    assert len(git("log", "--format=%h", "--grep=^mlforge: build").split()) == 2
    assert not list((git.root / ".git").rglob("*.lock"))
    git.fsck()
    return state


def test_a_build_killed_at_any_file_event_is_before_or_after(
    before: Shop, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    # The first run of a fresh installation writes more files than the later ones.
    build(copy(before, tmp_path / "first").root, -1)
    whole = copy(before, tmp_path / "whole")
    count = int(build(whole.root, -1).stderr.split()[-1])
    points = sorted(random.Random(SEED).sample(range(count), min(KILL_POINTS, count)))
    outcomes = {}
    for last in points:
        shop = copy(before, tmp_path / "killed")
        assert build(shop.root, last).returncode == -signal.SIGKILL
        outcomes[last] = check(shop)
        shutil.rmtree(shop.root)
    counts = ", ".join(f"{n} {what}" for what, n in sorted(Counter(outcomes.values()).items()))
    told = f"kill: build has {count} file events; killed at {len(points)}, seed {SEED}: {counts}"
    record_property("suite", told)
    assert "before" in outcomes.values()


def test_a_build_killed_at_a_random_moment_is_before_or_after(before: Shop, tmp_path: Path) -> None:
    moments = random.Random(SEED)
    for _ in range(max(min(KILL_POINTS, 500) // 5, 1)):
        shop = copy(before, tmp_path / "killed")
        process = shop.start("build")
        time.sleep(moments.uniform(0.2, 1.5))
        process.kill()
        process.communicate()
        check(shop)
        shutil.rmtree(shop.root)


def copy(shop: Shop, target: Path) -> Shop:
    shutil.copytree(shop.root, target, symlinks=True)
    return Shop(Git(target))
