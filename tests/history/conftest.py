"""Fixtures: a repository with one commit of the user's, and its History."""

from __future__ import annotations

import pytest

from mlforge.history.base import History
from mlforge.history.repository import open_repository
from tests.git_cli import Git


@pytest.fixture
def shop(git: Git) -> Git:
    """A repository with one commit of the user's."""
    git.commit("README.md", "hello\n", "begin")
    return git


@pytest.fixture
def history(shop: Git) -> History:
    return open_repository(shop.root)
