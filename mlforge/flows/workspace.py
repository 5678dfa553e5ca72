"""Workspace: a feature store's folder in a work tree, with its objects and its history."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import cast

from mlforge.errors import InvalidConfig
from mlforge.history.base import History
from mlforge.history.folders import GitFolders, find_folders
from mlforge.objects.local import LocalObjects
from mlforge.plugins import load_module


class Workspace:
    """What a flow needs to know of a store. Opening it reads nothing but where git is.

    Raises NoRepository.
    """

    def __init__(self, folder: Path) -> None:
        # A link to another disk is another place: what counts is the repository there.
        self.folder = folder.resolve()
        self._git: GitFolders = find_folders(self.folder)

    @property
    def root(self) -> Path:
        """The work tree's root."""
        return self._git.work_tree

    @property
    def private(self) -> Path:
        """mlforge's own folder in git's common directory."""
        return self._git.common_dir / "mlforge"

    @property
    def cache(self) -> Path:
        """Deletable at any time."""
        return self.private / "cache"

    @cached_property
    def prefix(self) -> str:
        """The store's folder as git names it: relative to the work tree's root, with slashes."""
        return self.folder.relative_to(self.root).as_posix()

    @cached_property
    def objects(self) -> LocalObjects:
        return LocalObjects(self.private)

    @cached_property
    def history(self) -> History:
        """Loads the git library: only flows that read commits or write them ask for it."""
        module = load_module("mlforge.history.repository", None)
        opened = cast("Callable[[Path], History]", module.open_repository)(self.root)
        if self.prefix == ".":
            raise InvalidConfig("the store cannot be the root of the repository itself")
        # Stored before it is returned: what a killed commit has left here is settled through it.
        self.__dict__["history"] = opened
        if any((self.private / "leases").glob("worktree-*.json")):
            load_module("mlforge.flows.pending", None).settle_if_free(self)
        return opened

    def path_of(self, *parts: str) -> str:
        """A path below the store, as git names it."""
        return "/".join((self.prefix, *parts))
