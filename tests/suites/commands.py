"""Commands that are interrupted: the state before each, and what must hold however it ends."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from mlforge.flows.lock_file import read_lock
from tests.git_cli import Git
from tests.online.mirrored import Mirrored
from tests.shop import START, Shop
from tests.suites.nursery import Ended, Nursery

WINDOWS, MORE = '["7d", "30d"]', '["7d", "14d", "30d"]'
USERS = "user_id,country\na,DE\nb,FR\n"
DRAFTS = ("feature_store/user_spend/1.1.0/", "feature_store/user_profile/1.0.1/")
PIN = "feature_store/user_spend/PIN"
TRAIN = ("train", "spine.parquet", "-f", "user_spend,user_profile", "--timestamp", "when")
TRAIN += ("-o", "out.parquet")
KEPT = ("reproduce", "kept.lock.json", "--spine", "spine.parquet", "-o", "out.parquet")
ROLLBACK = ("rollback", "--yes", "user_spend")
# What a refusal here leaves is for the next command: the error came while undoing or unlocking.
UNLOCKING = (".lock", "leases/commit", "leases/worktree", ".git/index", "refs/heads/main")
# Half a file of a killed process: nothing reads it. In the store git ignores it.
TEMPORARY = re.compile(r"(^|[ /])\.tmp-[0-9a-f]{12}-[^/]*$")


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed; `share`: its part of a suite's points; `pin`: what PIN says before it.

    `carried`: what of the store the user's own `git commit -a` may carry, as designed.
    """

    args: tuple[str, ...]
    share: float
    pin: str | None = None
    carried: tuple[str, ...] = ()
    # What git does not know afterwards, as designed.
    untracked: tuple[str, ...] = ()
    # It ends so when it is done already.
    done: int = 0
    # Rows of the kept lock are not here, and what is declared gives them.
    is_lacking: bool = False


COMMANDS = {
    "build": Command(("build",), 0.15),
    "build on DuckDB": Command(("build", "--engine", "duckdb"), 0.05),
    "build of drafts": Command(("build", "--no-commit"), 0.05, untracked=DRAFTS),
    "build that removes PIN": Command(("build",), 0.1, "1.0.1"),
    "checkout": Command(("checkout", "user_spend@1.0.0"), 0.1, "1.0.1", (PIN,)),
    "checkout of the newest": Command(("checkout", "user_spend@1.0.2"), 0.05, "1.0.1", (PIN,)),
    "rollback that makes PIN": Command((*ROLLBACK, "1.0.0"), 0.1),
    "rollback that changes PIN": Command((*ROLLBACK, "1.0.0"), 0.05, "1.0.1"),
    "rollback that removes PIN": Command((*ROLLBACK, "1.0.2"), 0.1, "1.0.1"),
    "retire": Command(("retire", "user_spend", "--yes"), 0.1, done=3),
    "train": Command((*TRAIN, "--keep"), 0.1),
    "reproduce": Command(KEPT, 0.1),
    "reproduce that makes rows": Command(KEPT, 0.05, is_lacking=True),
    "reproduce that makes rows on DuckDB": Command(
        (*KEPT, "--engine", "duckdb"), 0.05, is_lacking=True
    ),
    "tag": Command(("tag", "model/1"), 0.05, done=4),
    "manifest": Command(("manifest", "--regenerate"), 0.05),
    "online push": Command(("online", "push"), 0.05),
}


def begin(shop: Shop, pin: str | None) -> Shop:
    """Four versions in history, two to build, a spine, and a user in the middle of something."""
    for amounts in ((1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 5)):
        shop.spend(*amounts)
        shop.mlforge("build")
        if amounts == (1, 2, 3):
            shop.mlforge("online", "push")
    if pin is not None:
        shop.mlforge(*ROLLBACK, pin)
    shop.edit(WINDOWS, MORE)
    (shop.root / "data/users.csv").write_text("user_id,country\na,DE\nb,IT\n")
    spine = {"user_id": ["a", "b"], "when": [START + timedelta(days=d) for d in (3, 9)]}
    pl.DataFrame(spine).write_parquet(shop.root / "data/spine.parquet")
    shop.git.write(".gitignore", "/data/\n__pycache__/\n/out.*\n/kept.*\n/spine.parquet\n")
    (shop.root / "spine.parquet").symlink_to("data/spine.parquet")
    shop.git("commit", "-qam", "ignore")
    shop.mlforge(*TRAIN[:-1], "kept.parquet")
    shop.git.write("staged.txt", "staged\n")
    shop.git("add", "staged.txt")
    shop.git.write("mlforge.toml", '[project]\nname = "corner-shop"\n')
    shutil.rmtree(shop.root / ".git/hooks")
    return shop


def lack(shop: Shop) -> Shop:
    """The rows of the kept lock are gone, and declarations and data are those of then."""
    features = shop.root / "features.py"
    features.write_text(features.read_text().replace(MORE, WINDOWS))
    (shop.root / "data/users.csv").write_text(USERS)
    wanted = {o.hex for f in read_lock(shop.root / "kept.lock.json").features for o in f.objects}
    for path in shop.objects():
        if path.stem in wanted:
            path.unlink()
    return shop


def copy(shop: Shop, target: Path) -> Shop:
    shutil.copytree(shop.root, target, symlinks=True)
    return Shop(Git(target))


def user_commits(shop: Shop, command: Command) -> bool:
    """`git commit -a` at once: it takes what the user did, nothing of the store, or is refused."""
    git = shop.git
    git.fsck()
    assert git("diff", "--cached", "--name-only", "--", ":!feature_store") == "staged.txt\n"
    head = git("rev-parse", "HEAD").strip()
    is_refused = git.run("commit", "-qam", "user", check=False).returncode != 0
    carried = git("diff", "--name-only", head, "HEAD", "--", "feature_store").split()
    assert {*carried} <= {*command.carried}, f"the user's commit carried {carried}"
    return not is_refused


def verified(shop: Shop, command: Command) -> None:
    done = shop.run("verify")
    assert done.returncode in (0, 3 * command.is_lacking), f"verify: {done.stdout}{done.stderr}"


def succeeds(shop: Shop, nursery: Nursery, command: Command) -> dict[str, str]:
    """The same command, once more, and what it makes. Then git finds nothing to tell of."""
    again = nursery.run(shop.root, *command.args)
    assert again.returncode in (0, command.done), again.stdout + again.stderr
    shop.git("commit", "-qa", "--allow-empty", "-m", "user again")
    left = [line for line in _status(shop) if not TEMPORARY.search(line)]
    drafts = tuple(f"?? {folder}" for folder in command.untracked)
    assert [line for line in left if not line.startswith(drafts or "no draft")] == []
    assert {line for line in drafts if any(known.startswith(line) for known in left)} == {*drafts}
    assert not [*(shop.root / ".git").rglob("*.lock")]
    shop.git.fsck()
    return made(shop)


def _status(shop: Shop) -> list[str]:
    return shop.git("status", "--porcelain", "-uall").splitlines()


def made(shop: Shop) -> dict[str, str]:
    """All bytes that a command is for, by path: versions, heads, views, objects, output, locks."""
    kept = [*shop.store.rglob("*"), *(shop.root / ".git/mlforge/objects").rglob("*.parquet")]
    kept += [shop.root / "out.parquet", shop.root / "out.lock.json"]
    found = {
        path.relative_to(shop.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in kept
        if path.is_file() and not TEMPORARY.search(path.name)
    }
    lock = shop.root / "out.lock.json"
    locks = (shop.root / ".git/mlforge/leases/kept").glob("*")
    found["is kept"] = str(lock.exists() and lock.read_bytes() in [p.read_bytes() for p in locks])
    tags = shop.git("for-each-ref", "--format=%(refname)", "refs/tags")
    found["served"] = str(Mirrored(shop).served())
    return {**found, "tree": shop.git("rev-parse", "HEAD:feature_store"), "tags": tags}


def is_undoing(ended: Ended) -> bool:
    """Whether what was refused may have been the undoing itself."""
    refused = ended.hit or ""
    return refused.startswith("remove") or any(name in refused for name in UNLOCKING)
