"""Layout: where a repository keeps its work tree, git's files and mlforge's files beside them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dulwich.repo import Repo


@dataclass(frozen=True, slots=True)
class Layout:
    """Absolute folders. A linked work tree has its own `git_dir` inside the shared `common_dir`."""

    root: Path
    git_dir: Path
    common_dir: Path

    @classmethod
    def of(cls, repo: Repo) -> Self:
        folders = (repo.path, repo.controldir(), repo.commondir())
        return cls(*(Path(os.path.realpath(folder)) for folder in folders))

    def of_worktree(self, folder: str) -> Path:
        """The git_dir of a work tree that a lease names."""
        return Path(os.path.normpath(self.common_dir / folder))

    @property
    def worktree(self) -> str:
        """This work tree's name in a lease; survives moving the repository."""
        return Path(os.path.relpath(self.git_dir, self.common_dir)).as_posix()

    @property
    def index(self) -> Path:
        return self.git_dir / "index"

    @property
    def mlforge(self) -> Path:
        return self.common_dir / "mlforge"

    @property
    def writer_lock(self) -> Path:
        return self.mlforge / "lock"

    @property
    def lease(self) -> Path:
        return self.mlforge / "leases" / "commit.json"

    @property
    def index_draft(self) -> Path:
        return self.mlforge / "leases" / "commit.index"

    @property
    def ref_draft(self) -> Path:
        return self.mlforge / "leases" / "commit.ref"

    @property
    def cache(self) -> Path:
        return self.mlforge / "cache"
