"""Fixtures: real git repositories, independent of the machine's own git configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings

import tests.sizes  # noqa: F401  # before any suite is imported
from tests.git_cli import Git, live_alone
from tests.shop import Shop, make_shop

# A machine that is busy is not a failure.
settings.register_profile("mlforge", deadline=None)
settings.load_profile("mlforge")


@pytest.fixture(autouse=True)
def lonely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration and no git environment but the test's own."""
    # Definitions are imported with their folder first on the path.
    monkeypatch.setattr(sys, "path", list(sys.path))
    live_alone(tmp_path / "home", monkeypatch)


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """A repository without any commit."""
    root = tmp_path / "shop"
    root.mkdir()
    git = Git(root)
    git("init", "-q")
    return git


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A user's project with definitions and data; nothing is built."""
    return make_shop(tmp_path / "project")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What each suite did: points, mutations, seed."""
    # The unnamed outcome is that of setting up and tearing down.
    reports = [
        r for outcome in ("passed", "failed", "") for r in terminalreporter.getreports(outcome)
    ]
    properties = {item for report in reports for item in report.user_properties}
    for name, line in sorted(item for item in properties if item[0] == "suite"):
        terminalreporter.write_line(f"{name} {line}")
