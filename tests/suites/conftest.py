"""What every suite has: a line in the summary, the nursery, and the state before a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mlforge import digests
from tests.shop import Shop, make_shop
from tests.suites.commands import Command, begin, lack
from tests.suites.nursery import Nursery


@pytest.fixture(scope="module", autouse=True)
def all_objects_are_large() -> Iterator[None]:
    """As in the nursery: versions here have all files that a version can have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "LARGE_BYTES", 0)
        yield


@pytest.fixture
def suite(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say what was done; tests/conftest.py prints it, from all workers, after the tests."""

    def say(line: str) -> None:
        record_property("suite", line)

    return say


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """It is given its folder and its environment with each order."""
    nursery = Nursery(tmp_path_factory.mktemp("scratch"))
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def begun() -> dict[tuple[str | None, bool], Shop]:
    """What was made for one command serves all that begin like it: only copies are worked on."""
    return {}


@pytest.fixture
def before(
    begun: dict[tuple[str | None, bool], Shop],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Command], Shop]:
    """The state before a command. The user's commits have a fixed time: their names are equal."""
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2024-05-02T12:00:00Z")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2024-05-02T12:00:00Z")

    def given(command: Command) -> Shop:
        state = command.pin, command.is_lacking
        if state not in begun:
            folder = tmp_path_factory.mktemp("begun") / "project"
            shop = begin(make_shop(folder), command.pin)
            begun[state] = lack(shop) if command.is_lacking else shop
        return begun[state]

    return given
