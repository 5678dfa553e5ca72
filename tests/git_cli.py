"""git's own command line, and History used as a build uses it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlforge.history.base import Change, History
from mlforge.ids import CommitId

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


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
