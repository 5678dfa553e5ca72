"""A disk that refuses anything, anywhere, costs a clear error: nothing is lost or half-made."""

from __future__ import annotations

import errno
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shop import Shop
from tests.sizes import FAULT_POINTS, FSIZE_LIMITS, SEED
from tests.suites.commands import (
    COMMANDS,
    Command,
    copy,
    is_undoing,
    succeeds,
    user_commits,
    verified,
)
from tests.suites.nursery import Ended, Fault, Nursery

Before = Callable[[Command], Shop]
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE)


def check(
    shop: Shop, nursery: Nursery, command: Command, ended: Ended, wanted: dict[str, str]
) -> None:
    """Nothing half-made is found, by git or by people, and nothing of the user's was touched."""
    assert ended.is_known, "the error is not one of mlforge's"
    assert ended.returncode in (0, 1, 4, 5, 6)
    is_free = user_commits(shop, command)
    assert is_free or is_undoing(ended), f"git refuses after {ended.hit}"
    if not is_undoing(ended):
        assert not [*shop.root.glob("**/.tmp-*")], "a temporary file is left"
    verified(shop, command)
    assert succeeds(shop, nursery, command) == wanted


def undisturbed(shop: Shop, nursery: Nursery, command: Command) -> tuple[int, dict[str, str]]:
    """How many file events a command has, and what it makes."""
    count = len(nursery.run(shop.root, *command.args).events)
    user_commits(shop, command)
    wanted = succeeds(shop, nursery, command)
    verified(shop, command)
    return count, wanted


@pytest.mark.parametrize("name", COMMANDS)
def test_a_refused_file_event_is_a_known_error_and_the_same_command_then_succeeds(
    name: str, before: Before, nursery: Nursery, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    command, chance = COMMANDS[name], random.Random(SEED)
    template = before(command)
    count, wanted = undisturbed(copy(template, tmp_path / "whole"), nursery, command)
    share = min(max(round(FAULT_POINTS * command.share), 1), count)
    outcomes, failures = Counter[str](), list[str]()
    for event in sorted(chance.sample(range(count), share)):
        fault = Fault(event, chance.choice(ERRORS), is_sticky=chance.random() < 0.3)
        shop = copy(template, tmp_path / "refused")
        ended = nursery.run(shop.root, *command.args, fault=fault)
        try:
            check(shop, nursery, command, ended, wanted)
        except AssertionError as error:
            last = "\n".join(ended.stderr.splitlines()[-12:])
            failures.append(f"{fault}: {ended.hit}, exit {ended.returncode}\n{error}\n{last}")
        outcomes["succeeds" if ended.returncode == 0 else f"exit {ended.returncode}"] += 1
        shutil.rmtree(shop.root)
    suite(
        f"faults: {name} has {count} file events; refused {share} of them, seed {SEED}: "
        + ", ".join(f"{number} {what}" for what, number in sorted(outcomes.items()))
    )
    assert not failures, f"{len(failures)} of {share}\n" + "\n\n".join(failures)


@pytest.mark.parametrize("name", ["build", "checkout", "rollback that makes PIN", "train"])
def test_a_file_that_may_not_grow_is_a_known_error(
    name: str, before: Before, nursery: Nursery, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    command, chance = COMMANDS[name], random.Random(SEED)
    template = before(command)
    _, wanted = undisturbed(copy(template, tmp_path / "whole"), nursery, command)
    limits = [0, *(chance.randrange(1, 6000) for _ in range(FSIZE_LIMITS - 1))]
    exits, failures = Counter[int](), list[str]()
    for limit in limits:
        shop = copy(template, tmp_path / "refused")
        ended = nursery.run(shop.root, *command.args, largest_file=limit)
        try:
            check(shop, nursery, command, ended, wanted)
        except AssertionError as error:
            failures.append(f"limit {limit}: {error}\n{ended.stderr[-1500:]}")
        exits[ended.returncode] += 1
        shutil.rmtree(shop.root)
    found = ", ".join(f"{number} exit {code}" for code, number in sorted(exits.items()))
    suite(f"faults: {name} with {len(limits)} sizes that no file may pass, seed {SEED}: {found}")
    assert not failures, f"{len(failures)} of {len(limits)}\n" + "\n\n".join(failures)
