"""Mending: the command that heals what `verify` found."""

from __future__ import annotations

import shlex
from pathlib import Path

from mlforge.flows.resolve import versions
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version
from mlforge.manifest import FILE_NAME, Manifest


class Mending:
    """Commands to type in the repository's root. A problem has one; each of them works."""

    def __init__(self, workspace: Workspace, commit: CommitId | None) -> None:
        self._workspace = workspace
        self._commit = commit

    def file(self, path: str) -> str:
        """Put a committed file back."""
        return f"git checkout HEAD -- {shlex.quote(':/' + path)}"

    def remove(self, path: Path) -> str:
        """Remove what costs nothing to lose."""
        root = self._workspace.root
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        is_folder = path.is_dir() and not path.is_symlink()
        return f"rm {'-r' if is_folder else '-f'} {shlex.quote(str(shown))}"

    def manifest(self, name: str, version: Version, is_held: bool) -> str:
        """Of one that cannot be read: HEAD's, the draft's next build, or its history."""
        path = self._workspace.path_of(name, str(version), FILE_NAME)
        if not is_held:
            folder = self._workspace.folder / name / str(version)
            return f"{self.remove(folder)} && {_build(name)}"
        if self._workspace.history.differs([path]):
            return self.file(path)
        return f"git log -p -- {shlex.quote(path)}"

    def beside(self, manifest: Manifest, file: str) -> str:
        """Of a file that is not of its rows: who committed it; a draft is built again."""
        name, version = manifest.name, manifest.version
        if self._commit is None or version not in versions(self._workspace, name, self._commit):
            return f"{self.remove(self._workspace.folder / name / str(version))} && {_build(name)}"
        path = self._workspace.path_of(name, str(version), file)
        if self._workspace.history.read(self._commit, path) is None:
            return self.remove(self._workspace.root / path)
        return f"git log -p -- {shlex.quote(path)}"

    def rows(self, manifest: Manifest) -> str:
        """A manifest's history: who made it say what its rows are not."""
        path = self._workspace.path_of(manifest.name, str(manifest.version), FILE_NAME)
        return f"git log -p -- {shlex.quote(path)}"


def _build(name: str) -> str:
    return f"mlforge build -f {name}"
