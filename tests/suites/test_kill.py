"""A command killed anywhere leaves the state before or after, and the next one just works."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shop import Shop
from tests.sizes import KILL_MOMENTS, KILL_POINTS, SEED
from tests.suites.commands import COMMANDS, Command, copy, made, succeeds, user_commits, verified
from tests.suites.nursery import Nursery

Before = Callable[[Command], Shop]


def state(shop: Shop, before: dict[str, str], after: dict[str, str]) -> str:
    """Which of the two trees git has: there is no third."""
    found = made(shop)
    tree = found["tree"]
    assert tree in (before["tree"], after["tree"]), "neither before nor after"
    assert found["served"] in (before["served"], after["served"]), "something else is served"
    return "before" if tree == before["tree"] else "after"


# SQLite writes its file itself: no event of it is seen here.
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "online push"])
def test_a_command_killed_at_any_file_event_is_before_or_after(
    name: str, before: Before, nursery: Nursery, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    command, outcomes, failures = COMMANDS[name], Counter[str](), list[str]()
    template = before(command)
    whole = copy(template, tmp_path / "whole")
    count = nursery.run(whole.root, *command.args).changes
    user_commits(whole, command)
    after = made(whole)
    wanted = succeeds(whole, nursery, command)
    verified(whole, command)
    share = min(max(round(KILL_POINTS * command.share), 1), count)
    for point in sorted(random.Random(SEED).sample(range(count), share)):
        shop = copy(template, tmp_path / "killed")
        ended = nursery.run(shop.root, *command.args, killed_at=point)
        # One event fewer than in the first run, and it has ended before it could be killed.
        assert ended.returncode == -signal.SIGKILL or (ended.returncode == 0 and point)
        try:
            is_free = user_commits(shop, command)
            told = state(shop, made(template), after)
            verified(shop, command)
            assert succeeds(shop, nursery, command) == wanted
        except AssertionError as error:
            failures.append(f"before event {point}, {ended.hit}: {error}")
            told = "wrong"
        outcomes[told if is_free else f"{told}, git refuses"] += 1
        shutil.rmtree(shop.root)
    counts = ", ".join(f"{number} {what}" for what, number in sorted(outcomes.items()))
    suite(f"kill: {name} changes files {count} times; killed at {share}, seed {SEED}: {counts}")
    assert not failures, f"{len(failures)} of {share}\n" + "\n\n".join(failures)


@pytest.mark.parametrize("name", ["build", "online push"])
def test_a_command_killed_at_a_random_moment_is_before_or_after(
    name: str, before: Before, nursery: Nursery, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    """A process as a user starts it, and wherever it happens to be, in Polars or in a write."""
    command, moments, outcomes = COMMANDS[name], random.Random(SEED), Counter[str]()
    template = before(command)
    whole = copy(template, tmp_path / "whole")
    started = time.monotonic()
    whole.start(*command.args).communicate()
    seconds = time.monotonic() - started
    after = made(whole)
    for _ in range(KILL_MOMENTS):
        shop = copy(template, tmp_path / "killed")
        process = shop.start(*command.args)
        time.sleep(seconds * moments.random())
        process.kill()
        process.communicate()
        user_commits(shop, command)
        outcomes[state(shop, made(template), after)] += 1
        verified(shop, command)
        succeeds(shop, nursery, command)
        shutil.rmtree(shop.root)
    counts = ", ".join(f"{number} {what}" for what, number in sorted(outcomes.items()))
    suite(f"kill: {name} killed at {KILL_MOMENTS} random moments, seed {SEED}: {counts}")
