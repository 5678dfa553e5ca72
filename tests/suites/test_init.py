"""`mlforge init`, killed or refused anywhere: nothing half-made, and the next one finishes it."""

from __future__ import annotations

import errno
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mlforge.flows.template import template
from tests.git_cli import Git
from tests.shop import Shop
from tests.sizes import FAULT_POINTS, KILL_POINTS, SEED
from tests.suites.nursery import Fault, Nursery

COMMAND = ("init", "shop")
PLACES = ("new", "empty", "repository")
# Of a suite's points. It is typed once in a project's life.
SHARE = 0.05


def room(folder: Path, place: str) -> Git:
    """Where `shop` is not there, or empty, or to be a folder of the user's repository."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if place == "empty":
        (folder / "shop").mkdir()
    if place == "repository":
        git = Git(folder)
        git("init", "-q")
        git.commit("notes.txt", "notes\n")
        git.write("staged.txt", "staged\n")
        git("add", "staged.txt")
    return Git(folder)


def check(git: Git, place: str) -> None:
    """No third state; the user's next commit carries nothing; the next run finishes."""
    shop, is_own = git.root / "shop", place != "repository"
    if place == "new" and shop.exists():
        assert Git(shop)("status", "--porcelain") == "", "half a project"
    if not is_own:
        git.run("commit", "-qam", "user", check=False)
        carried = git("log", "-1", "--format=", "--name-only").split()
        assert set(carried) in ({"notes.txt"}, {"staged.txt"}) or len(carried) > 2, carried
    Shop(git).mlforge(*COMMAND)
    inner = Git(shop)
    assert inner("status", "--porcelain", ".") == ""
    assert len(inner("ls-files").split()) == len(template()) - (not is_own)
    assert [path for path in git.root.rglob(".tmp-*") if ".git" not in path.parts] == []
    inner.fsck()


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_it_is_not_there_or_finished_by_the_next_run(
    place: str, nursery: Nursery, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    where = tmp_path / "room"
    count = nursery.run(room(where, place).root, *COMMAND).changes
    share = min(max(round(KILL_POINTS * SHARE), 1), count)
    for point in sorted(random.Random(SEED).sample(range(count), share)):
        git = room(where, place)
        ended = nursery.run(git.root, *COMMAND, killed_at=point)
        assert ended.returncode == -signal.SIGKILL or (ended.returncode == 0 and point)
        check(git, place)
    suite(f"kill: init ({place}) changes files {count} times; killed at {share}, seed {SEED}")


@pytest.mark.parametrize("place", PLACES)
def test_a_disk_that_refuses_anywhere_leaves_nothing_half_made(
    place: str, nursery: Nursery, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    where = tmp_path / "room"
    count = len(nursery.run(room(where, place).root, *COMMAND).events)
    share = min(max(round(FAULT_POINTS * SHARE), 1), count)
    for event in random.Random(SEED).sample(range(count), share):
        git, code = room(where, place), (errno.ENOSPC, errno.EROFS)[event % 2]
        ended = nursery.run(git.root, *COMMAND, fault=Fault(event, code, is_sticky=True))
        assert ended.is_known, (ended.hit, ended.stderr)
        check(git, place)
    suite(f"faults: init ({place}) touches files {count} times; refused at {share}, seed {SEED}")
