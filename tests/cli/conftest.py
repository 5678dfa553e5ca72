"""Fixtures of the command line: a project with history, made once and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.git_cli import Git, live_alone
from tests.shop import Shop, make_shop


@pytest.fixture(scope="session")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """user_spend 1.0.0 and 1.0.1, user_profile 1.0.0; for reading only."""
    with pytest.MonkeyPatch.context() as patch:
        # No test is running yet, so its fixtures have not said who commits.
        live_alone(tmp_path_factory.mktemp("alone") / "home", patch)
        shop = make_shop(tmp_path_factory.mktemp("two_versions") / "project")
        shop.git("config", "user.name", "Ada")
        shop.git("config", "user.email", "ada@example.com")
        shop.mlforge("build")
        shop.spend(1, 2, 3)
        shop.mlforge("build")
    return shop


@pytest.fixture
def built(two_versions: Shop, tmp_path: Path) -> Shop:
    """A copy of it, to do anything with."""
    shutil.copytree(two_versions.root, tmp_path / "project", symlinks=True)
    return Shop(Git(tmp_path / "project"))
