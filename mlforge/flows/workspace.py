"""Workspace: a feature store's folder in a work tree, with its objects and its history."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import cast

from mlforge.errors import InvalidConfig
from mlforge.flows.pending import Pending
from mlforge.history.base import History
from mlforge.history.folders import GitFolders, find_folders
from mlforge.logger import logger
from mlforge.objects.local import LocalObjects, check_format
from mlforge.plugins import load_module


class Workspace:
    """What a flow needs to know of a store. Opening it reads nothing but where git is.

    Raises NoRepository.
    """

    def __init__(self, folder: Path, objects: Path | None = None) -> None:
        """`objects`: another folder for the bytes than git's own."""
        # A link to another disk is another place: what counts is the repository there.
        self.folder = folder.resolve()
        self._git: GitFolders = find_folders(self.folder)
        self._objects = objects
        logger.info("repository %s, objects in %s", self.root, objects or self.private)

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
        if self._objects is None:
            return LocalObjects(self.private)
        # Inside a work tree `git add .` would find them.
        is_in_git = self._objects.resolve().is_relative_to(self._git.common_dir.resolve())
        return LocalObjects(self._objects, hides_itself=not is_in_git)

    def check_format(self) -> None:
        """Refuse objects that a newer mlforge has written. Raises FormatUnknown."""
        check_format(self.objects.root)

    @cached_property
    def history(self) -> History:
        """Loads the git library: only flows that read commits or write them ask for it."""
        module = load_module("mlforge.history.repository", None)
        opened = cast("Callable[[Path], History]", module.open_repository)(self.root)
        if self.prefix == ".":
            raise InvalidConfig("the store cannot be the root of the repository itself")
        # What a killed commit has left here is put right before anything is read.
        Pending(opened, self.folder, self.private).settle_if_free()
        return opened

    @property
    def pending(self) -> Pending:
        """What here waits for a commit."""
        return Pending(self.history, self.folder, self.private)

    def path_of(self, *parts: str) -> str:
        """A path below the store, as git names it."""
        return "/".join((self.prefix, *parts))
