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
        git.commit("notes.txt", "notes\n", "first")
        git.write("staged.txt", "staged\n")
        git("add", "staged.txt")
    return Git(folder)


def check(git: Git, place: str) -> None:
    """No third state; the user's next commit carries nothing; the next run finishes."""
    shop, is_own = git.root / "shop", place != "repository"
    if place == "new" and shop.exists():
        assert Git(shop)("status", "--porcelain") == "", "half a project"
    if not is_own:
        user_commits(git)
    Shop(git).mlforge(*COMMAND)
    inner = Git(shop)
    assert inner("status", "--porcelain", ".") == ""
    assert len(inner("ls-files").split()) == len(template()) - (not is_own)
    assert [path for path in git.root.rglob(".tmp-*") if ".git" not in path.parts] == []
    inner.fsck()


def user_commits(git: Git) -> None:
    """`git commit -a` at once takes what the user staged and nothing else, or is refused.

    All other commits are whole: the user's first, and one of the project if it was published.
    """
    is_refused = git.run("commit", "-qam", "by the user", check=False).returncode != 0
    carried = dict[str, set[str]]()
    for commit in git("log", "--format=%H").split():
        subject = git("show", "-s", "--format=%s", commit).strip()
        assert subject not in carried, f"two commits are called {subject!r}"
        carried[subject] = {*git("show", "--format=", "--name-status", commit).split("\n")} - {""}
    assert carried.pop("first") == {"A\tnotes.txt"}
    if not is_refused:
        assert carried.pop("by the user") == {"A\tstaged.txt"}
    project = {f"A\tshop/{path}" for path in template() if not path.startswith(".github/")}
    assert carried in ({}, {"mlforge: begin shop": project}), carried


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
