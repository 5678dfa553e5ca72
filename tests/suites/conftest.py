"""What every suite has: a line in pytest's summary that says what it did."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def suite(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say what was done; tests/conftest.py prints it, from all workers, after the tests."""

    def say(line: str) -> None:
        record_property("suite", line)

    return say
