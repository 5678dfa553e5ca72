"""Kill: a push that is killed, or races, leaves the old rows or the new ones to be read."""

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

import polars as pl
import pytest

from mlforge.flows.lookup import Question, lookup
from mlforge.flows.resolve import Reference
from mlforge.flows.services import Wanted
from mlforge.online.base import OnlineStore
from tests.git_cli import Git
from tests.online.mirrored import Mirrored
from tests.shop import Shop
from tests.sizes import KILL_MOMENTS, SEED

USERS = 20_000
_WANTED = tuple(Wanted(Reference(name, None)) for name in ("user_profile", "copy"))
_COPY = """
@mlf.feature(keys=["user_id"], source="data/users.csv")
def copy(df):
    return df.select("user_id", twin=pl.col("country"))
"""


def renew(shop: Shop, country: str) -> None:
    """Another version of both features: each says the same of every user."""
    settle(shop, country)
    shop.mlforge("build", "-f", "user_profile,copy")


def settle(shop: Shop, country: str) -> None:
    """Other data, of which no version is built."""
    users = pl.DataFrame({"user_id": range(USERS)}).with_columns(country=pl.lit(country))
    users.write_csv(shop.root / "data/users.csv")


@pytest.fixture
def mirrored(shop: Shop, place: str, monkeypatch: pytest.MonkeyPatch) -> Mirrored:
    monkeypatch.setenv("MLFORGE_ONLINE_STORE_TTL", "0s")
    path = shop.root / "features.py"
    path.write_text(path.read_text() + _COPY)
    shop.git("commit", "-qam", "a copy")
    renew(shop, "AA")
    mirrored = Mirrored(shop)
    mirrored.push()
    return mirrored


def read(store: OnlineStore, question: Question) -> str:
    """What all users get, which is one thing."""
    entities = [{"user_id": user} for user in random.sample(range(USERS), 50)]
    answer = lookup(store, question, entities, now=1 << 50, tick=time.monotonic())
    pairs = zip(answer.features, answer.found, strict=True)
    found = {value for f, rows in pairs for column in f.converted(rows) for value in column}
    assert len(found) == 1, f"a mix: {found}"
    return str(found.pop())


def test_a_push_killed_at_any_moment_leaves_old_or_new_rows(
    mirrored: Mirrored, suite: Callable[[str], None], place: str
) -> None:
    chance, outcomes = random.Random(SEED), Counter[str]()
    old = "AA"
    started = time.monotonic()
    renew(mirrored.shop, "AB")
    mirrored.shop.start("online", "push").communicate()
    seconds, old = time.monotonic() - started, "AB"
    with mirrored.store() as store:
        question = Question(_WANTED, False, store.place)
        for number in range(KILL_MOMENTS):
            new = f"B{number}"
            renew(mirrored.shop, new)
            process = mirrored.shop.start("online", "push")
            end = time.monotonic() + seconds * chance.uniform(0.5, 1.05)
            while time.monotonic() < end:
                assert read(store, question) in (old, new)
            process.kill()
            process.communicate()
            found = read(store, question)
            assert found in (old, new)
            outcomes["new" if found == new else "old"] += 1
            mirrored.push()
            assert read(store, question) == new
            old = new
    assert mirrored.mirror.verify().exit_code == 0
    counts = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    suite(f"kill: push to {place} killed at {KILL_MOMENTS} moments, seed {SEED}: {counts}")


# Counts what a build and its push tell, and dies after so many.
_DYING = """
import os, signal, sys
from pathlib import Path
from mlforge.api.project import find_project

left = int(sys.argv[1])

def tell(event):
    global left
    left -= 1
    print(event, flush=True)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

find_project(Path.cwd()).load().build(["user_profile", "copy"], online=True, on_event=tell)
"""


def dying(shop: Shop, events: int) -> tuple[int, list[str]]:
    """How a build that pushes ends after so many events, and these."""
    command = [sys.executable, "-c", _DYING, str(events)]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()


def test_a_build_that_pushes_killed_at_each_step_is_gone_on_with(
    mirrored: Mirrored, suite: Callable[[str], None], place: str
) -> None:
    shop, old, outcomes = mirrored.shop, "AA", Counter[str]()
    settle(shop, "AB")
    code, events = dying(shop, 0)
    assert code == 0
    assert {event.split(" ")[0] for event in events} >= {"loading", "switching"}
    with mirrored.store() as store:
        question, old = Question(_WANTED, False, store.place), "AB"
        for point in range(1, len(events) + 1):
            settle(shop, f"B{point}")
            before = shop.git("rev-parse", "HEAD")
            code, _ = dying(shop, point)
            assert code == -signal.SIGKILL
            is_built = shop.git("rev-parse", "HEAD") != before
            found = read(store, question)
            # Nothing is served before it is committed.
            assert found == old or (found == f"B{point}" and is_built)
            outcomes["committed" if is_built else "not committed"] += 1
            shop.git.fsck()
            shop.mlforge("build", "-f", "user_profile,copy", "--online")
            old = f"B{point}"
            assert read(store, question) == old
            assert mirrored.mirror.status().is_current
    assert len(outcomes) == 2
    assert mirrored.mirror.verify().exit_code == 0
    counts = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    suite(f"kill: build --online to {place} killed at {len(events)} steps: {counts}")


def test_a_build_that_pushes_killed_at_any_moment_is_gone_on_with(
    mirrored: Mirrored, suite: Callable[[str], None], place: str
) -> None:
    chance, outcomes = random.Random(SEED), Counter[str]()
    command = ("build", "-f", "user_profile,copy", "--online")
    started = time.monotonic()
    settle(mirrored.shop, "AB")
    mirrored.shop.start(*command).communicate()
    seconds, old = time.monotonic() - started, "AB"
    with mirrored.store() as store:
        question = Question(_WANTED, False, store.place)
        for number in range(KILL_MOMENTS):
            new = f"B{number}"
            settle(mirrored.shop, new)
            process = mirrored.shop.start(*command)
            end = time.monotonic() + seconds * chance.uniform(0.3, 1.05)
            while time.monotonic() < end:
                assert read(store, question) in (old, new)
            process.kill()
            process.communicate()
            found = read(store, question)
            assert found in (old, new)
            outcomes["new" if found == new else "old"] += 1
            mirrored.shop.mlforge(*command)
            assert read(store, question) == new
            old = new
    assert mirrored.mirror.verify().exit_code == 0
    counts = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    suite(f"kill: build --online to {place} killed at {KILL_MOMENTS} moments, {SEED}: {counts}")


def test_of_racing_builds_a_reader_sees_one_after_another(mirrored: Mirrored) -> None:
    """Each builds what the others do, and pushes it."""
    seen = list[str]()
    with mirrored.store() as store:
        question = Question(_WANTED, False, store.place)
        for number in range(2):
            settle(mirrored.shop, f"C{number}")
            command = ("build", "-f", "user_profile,copy", "--online")
            racers = [mirrored.shop.start(*command) for _ in range(2)]
            while any(racer.poll() is None for racer in racers):
                seen.append(read(store, question))
            ends = [(racer.wait(), *racer.communicate()) for racer in racers]
            assert {code for code, _, _ in ends} <= {0, 4, 6}, ends
            assert 0 in {code for code, _, _ in ends}
            mirrored.shop.mlforge(*command)
            assert read(store, question) == f"C{number}"
    assert seen == sorted(seen, key=lambda found: (found[0], found))
    assert mirrored.mirror.verify().exit_code == 0


def test_of_racing_clones_the_later_commit_wins(
    mirrored: Mirrored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """One clone is a version behind: whoever comes first, what is served never goes back."""
    if place == "sqlite":
        monkeypatch.setenv("MLFORGE_ONLINE_STORE_PATH", str(tmp_path / "online.db"))
    shop, seen = mirrored.shop, list[str]()
    late = Shop(Git(tmp_path / "late"))
    mirrored.push(force=True)
    with mirrored.store() as store:
        question = Question(_WANTED, False, store.place)
        for number in range(2):
            renew(shop, f"C{number}")
            shutil.rmtree(late.root, ignore_errors=True)
            shutil.copytree(shop.root, late.root)
            renew(shop, f"C{number}b")
            racers = [one.start("online", "push") for one in (late, shop)]
            while any(racer.poll() is None for racer in racers):
                seen.append(read(store, question))
            ends = [(racer.wait(), *racer.communicate()) for racer in racers]
            assert ends[1][0] == 0, ends
            assert ends[0][0] in (0, 4), ends
            seen.append(read(store, question))
            assert seen[-1] == f"C{number}b"
    assert seen == sorted(seen)
    assert mirrored.mirror.verify().exit_code == 0


def test_of_racing_pushes_a_reader_sees_one_after_another(mirrored: Mirrored) -> None:
    seen = list[str]()
    with mirrored.store() as store:
        question = Question(_WANTED, False, store.place)
        for number in range(3):
            renew(mirrored.shop, f"C{number}")
            racers = [mirrored.shop.start("online", "push") for _ in range(3)]
            while any(racer.poll() is None for racer in racers):
                seen.append(read(store, question))
            ends = [(racer.wait(), *racer.communicate()) for racer in racers]
            assert {code for code, _, _ in ends} <= {0, 4, 6}, ends
            assert 0 in {code for code, _, _ in ends}
            assert read(store, question) == f"C{number}"
    assert seen == sorted(seen, key=lambda found: (found[0], found))
    assert mirrored.mirror.verify().exit_code == 0
