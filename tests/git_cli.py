"""git's own command line, and History used as a build uses it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlforge.history.base import Change, History
from mlforge.ids import CommitId

_CONFIG = (
    "[user]\n\tname = Ada\n\temail = ada@example.com\n"
    '[init]\n\tdefaultBranch = main\n[protocol "file"]\n\tallow = always\n'
    "[gc]\n\tauto = 0\n[core]\n\tfsync = none\n[advice]\n\tdetachedHead = false\n"
)
NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def live_alone(home: Path, patch: pytest.MonkeyPatch) -> None:
    """No configuration and no git environment but the test's own."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "MLFORGE_")) or name in ("EMAIL", "FORCE_COLOR", "NO_COLOR"):
            patch.delenv(name)
    home.mkdir()
    config = home / "config"
    config.write_text(_CONFIG)
    patch.setenv("HOME", str(home))
    patch.setenv("GIT_CONFIG_GLOBAL", str(config))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@dataclass(frozen=True, slots=True)
class Git:
    """A repository through git's own command line."""

    root: Path

    def __call__(self, *args: str, check: bool = True) -> str:
        return self.run(*args, check=check).stdout

    def run(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(["git", *args], cwd=self.root, capture_output=True, text=True)
        if check and done.returncode:
            raise AssertionError(f"git {args}: {done.stdout}{done.stderr}")
        return done

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def commit(self, path: str, text: str, message: str = "user") -> str:
        self.write(path, text)
        self("add", path)
        self("commit", "-q", "-m", message)
        return self("rev-parse", "HEAD").strip()

    def fsck(self) -> None:
        self("fsck", "--strict", "--full")


def put(
    history: History,
    files: Mapping[str, str],
    *,
    deletes: frozenset[str] = frozenset(),
    message: str = "mlforge: a 1.0.0",
    at: datetime = NOW,
) -> CommitId:
    """Write files into the work tree and commit them, as a build does."""
    for path, text in files.items():
        Git(history.root).write(path, text)
    for path in deletes:
        (history.root / path).unlink(missing_ok=True)
    writes = {path: text.encode() for path, text in files.items()}
    return history.commit(Change(writes, deletes, message), parent=history.head().commit, now=at)
