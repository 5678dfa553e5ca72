"""Kill: a push that is killed, or races, leaves the old rows or the new ones to be read."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

import polars as pl
import pytest

from mlforge.flows.lookup import Question, lookup
from mlforge.flows.resolve import Reference
from mlforge.flows.services import Wanted
from mlforge.online.base import OnlineStore
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
    users = pl.DataFrame({"user_id": range(USERS)}).with_columns(country=pl.lit(country))
    users.write_csv(shop.root / "data/users.csv")
    shop.mlforge("build", "-f", "user_profile,copy")


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
