"""A disk that refuses anything, anywhere, costs a clear error: nothing is lost or half-made."""

from __future__ import annotations

import errno
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.git_cli import Git
from tests.shop import START, Shop
from tests.sizes import FAULT_POINTS, FSIZE_LIMITS, SEED
from tests.suites.nursery import Ended, Fault, Nursery

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE)
TRAIN = ("train", "spine.parquet", "-f", "user_spend,user_profile", "--timestamp", "when")
TRAIN += ("-o", "out.parquet")
VERSIONS = ("user_profile/1.0.0", "user_profile/1.0.1", "user_spend/1.0.0", "user_spend/1.1.0")
# What a refusal here leaves is for the next command: the error came while undoing or unlocking.
UNLOCKING = (".lock", "leases/commit.json", ".git/index", "refs/heads/main")


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    nursery = Nursery(scratch)
    yield nursery
    nursery.close()


@pytest.fixture
def before(shop: Shop) -> Shop:
    """Two versions in history, two to build, a spine, and a user in the middle of something."""
    shop.mlforge("build")
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    (shop.root / "data/users.csv").write_text("user_id,country\na,DE\nb,IT\n")
    spine = {"user_id": ["a", "b"], "when": [START + timedelta(days=d) for d in (3, 9)]}
    pl.DataFrame(spine).write_parquet(shop.root / "data/spine.parquet")
    shop.git.write(".gitignore", "/data/\n__pycache__/\n/out.parquet\n/spine.parquet\n")
    (shop.root / "spine.parquet").symlink_to("data/spine.parquet")
    shop.git("commit", "-qam", "ignore")
    shop.git.write("staged.txt", "staged\n")
    shop.git("add", "staged.txt")
    shop.git.write("mlforge.toml", '[project]\nname = "corner-shop"\n')
    shutil.rmtree(shop.root / ".git/hooks")
    return shop


def whole_or_known(shop: Shop, nursery: Nursery, ended: Ended) -> None:
    """Nothing half-made is found, by git or by people, and nothing of the user's was touched."""
    git = shop.git
    assert ended.is_known, ended.stderr
    assert ended.returncode in (0, 1, 4, 5, 6)
    git.fsck()
    assert git("diff", "--cached", "--name-only", "--", ":!feature_store") == "staged.txt\n"
    head = git("rev-parse", "HEAD").strip()
    if git.run("commit", "-qam", "user", check=False).returncode:
        assert is_undoing(ended), f"git refuses after {ended.hit}"
    assert git("diff", "--name-only", head, "HEAD", "--", "feature_store") == ""
    if not is_undoing(ended):
        assert not list(shop.root.glob("**/.tmp-*")), ended.hit


def is_undoing(ended: Ended) -> bool:
    """Whether what was refused may have been the undoing itself."""
    refused = ended.hit or ""
    return refused.startswith("remove") or any(name in refused for name in UNLOCKING)


def after_build(shop: Shop, nursery: Nursery, ended: Ended) -> None:
    whole_or_known(shop, nursery, ended)
    again = nursery.run(shop.root, "build")
    assert again.returncode == 0, again.stderr
    shop.git("commit", "-qa", "--allow-empty", "-m", "user again")
    assert shop.git("status", "--porcelain") == ""
    added = shop.git("log", "--format=", "--name-only", "--diff-filter=A", "--", "*/manifest.json")
    assert sorted(added.split()) == [f"feature_store/{name}/manifest.json" for name in VERSIONS]
    assert not list((shop.root / ".git").rglob("*.lock"))


def after_train(shop: Shop, nursery: Nursery, ended: Ended) -> None:
    whole_or_known(shop, nursery, ended)
    output = shop.root / "out.parquet"
    first = pl.read_parquet(output) if output.exists() else None
    assert first is not None or ended.returncode
    again = nursery.run(shop.root, *TRAIN)
    assert again.returncode == 0, again.stderr
    assert first is None or first.equals(pl.read_parquet(output))
    assert shop.git("status", "--porcelain", "-uall") == ""


COMMANDS: dict[str, tuple[tuple[str, ...], Callable[[Shop, Nursery, Ended], None], float]] = {
    "build": (("build",), after_build, 0.7),
    "train": (TRAIN, after_train, 0.3),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_refused_file_event_is_a_known_error_and_the_same_command_then_succeeds(
    command: str, before: Shop, nursery: Nursery, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    args, check, share = COMMANDS[command]
    count = len(nursery.run(copy(before, tmp_path / "whole").root, *args).events)
    chance = random.Random(SEED)
    points = sorted(chance.sample(range(count), min(round(FAULT_POINTS * share), count)))
    outcomes, failures = Counter[str](), list[str]()
    for event in points:
        fault = Fault(event, chance.choice(ERRORS), is_sticky=chance.random() < 0.3)
        shop = copy(before, tmp_path / "refused")
        ended = nursery.run(shop.root, *args, fault=fault)
        try:
            check(shop, nursery, ended)
        except AssertionError as error:
            last = "\n".join(ended.stderr.splitlines()[-12:])
            failures.append(f"{fault}: {ended.hit}, exit {ended.returncode}\n{error}\n{last}")
        outcomes["succeeds" if ended.returncode == 0 else f"exit {ended.returncode}"] += 1
        shutil.rmtree(shop.root)
    suite(
        f"faults: {command} has {count} file events; refused {len(points)} of them, seed {SEED}: "
        + ", ".join(f"{number} {what}" for what, number in sorted(outcomes.items()))
    )
    assert not failures, f"{len(failures)} of {len(points)}\n" + "\n\n".join(failures)
    assert outcomes["exit 6"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_may_not_grow_is_a_known_error(
    command: str, before: Shop, nursery: Nursery, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    args, check, _ = COMMANDS[command]
    chance = random.Random(SEED)
    limits = [0, 1, *(chance.randrange(2, 6000) for _ in range(FSIZE_LIMITS - 2))]
    exits, failures = Counter[int](), list[str]()
    for limit in limits:
        shop = copy(before, tmp_path / "refused")
        ended = nursery.run(shop.root, *args, largest_file=limit)
        try:
            check(shop, nursery, ended)
        except AssertionError as error:
            failures.append(f"limit {limit}: {error}\n{ended.stderr[-1500:]}")
        exits[ended.returncode] += 1
        shutil.rmtree(shop.root)
    found = ", ".join(f"{number} exit {code}" for code, number in sorted(exits.items()))
    suite(f"faults: {command} with {len(limits)} sizes that no file may pass, seed {SEED}: {found}")
    assert not failures, "\n\n".join(failures)


def copy(shop: Shop, target: Path) -> Shop:
    shutil.copytree(shop.root, target, symlinks=True)
    return Shop(Git(target))
