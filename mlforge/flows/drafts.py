"""Drafts: version files in the work tree that no commit holds yet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mlforge.digests import FILE_NAME as DIGESTS_NAME
from mlforge.flows.alternates import objects_here
from mlforge.flows.pins import pin_path
from mlforge.flows.resolve import versions
from mlforge.flows.services import FOLDER as SERVICES
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version
from mlforge.manifest import FILE_NAME, Manifest
from mlforge.objects.files import TEMPORARY_PREFIX, storage_errors, write_file
from mlforge.objects.views import VIEW_NAME, make_view
from mlforge.profile import FILE_NAME as PROFILE_NAME

# What git must know of a store. A user's own file in their place stays, uncommitted by us.
STORE_FILES = {
    ".gitignore": f"/manifest.json\n{VIEW_NAME}\n{TEMPORARY_PREFIX}*\n".encode(),
    ".gitattributes": b"manifest.json text eol=lf\nprofile.json text eol=lf\n"
    b"digests.json text eol=lf\nPIN text eol=lf\n" + f"{SERVICES}/*.json text eol=lf\n".encode(),
}


class Drafts:
    """New versions on their way into a commit. What fails is taken back, and nothing else.

    `beside`: the files that are to stand beside their manifests, by path.
    """

    def __init__(
        self,
        workspace: Workspace,
        parent: CommitId | None,
        manifests: Sequence[Manifest],
        beside: Mapping[str, bytes],
    ) -> None:
        self._workspace = workspace
        self._parent = parent
        self._manifests = {
            workspace.path_of(m.name, str(m.version), FILE_NAME): m for m in manifests
        }
        self.files: Mapping[str, bytes] = {
            **self._store_files(),
            **beside,
            **{path: manifest.encode() for path, manifest in self._manifests.items()},
        }
        self._before: dict[Path, bytes | None] = {}

    def _store_files(self) -> dict[str, bytes]:
        """The store's own files that neither the parent nor the user has."""
        missing = dict[str, bytes]()
        for name, data in STORE_FILES.items():
            path, here = self._workspace.path_of(name), self._workspace.folder / name
            is_known = self._parent and self._workspace.history.read(self._parent, path) is not None
            if not is_known and (not here.exists() or _bytes_of(here) == data):
                missing[path] = data
        return missing

    def write(self) -> None:
        """Rules for git and files beside, then views, then manifests: complete when they appear."""
        with storage_errors(self._workspace.folder):
            for path, data in self.files.items():
                target = self._workspace.root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                if path in self._manifests:
                    reconcile_view(self._workspace, self._manifests[path])
                known = _bytes_of(target)
                if known != data:
                    self._before[target] = known
                    write_file(target, data)

    def withdraw(self) -> None:
        """Put back what `write` found. After a published commit this changes nothing."""
        history = self._workspace.history
        commit = history.head().commit
        for target, known in self._before.items():
            path = target.relative_to(self._workspace.root).as_posix()
            if commit is not None and history.read(commit, path) == self.files[path]:
                continue
            with suppress(OSError):
                if known is not None:
                    write_file(target, known)
                elif path in self._manifests:
                    remove_version(target.parent)
                else:
                    target.unlink(missing_ok=True)
        for folder in (*{target.parent.parent for target in self._before}, self._workspace.folder):
            _remove_if_empty(folder)

    @property
    def pins(self) -> frozenset[str]:
        """The PINs of the parent's tree that the new versions take away."""
        return frozenset(path for path, text in self._pins().items() if text is not None)

    def clean_pins(self) -> list[str]:
        """Those of them that are here as the parent has them: the user has not touched them."""
        committed = self._pins()
        return [p for p in self.pins if _bytes_of(self._workspace.root / p) == committed[p]]

    def unpin(self) -> None:
        """Without a commit: the new versions are head here."""
        for path in self._pins():
            (self._workspace.root / path).unlink(missing_ok=True)

    def _pins(self) -> dict[str, bytes | None]:
        paths = {pin_path(self._workspace, m.name) for m in self._manifests.values()}
        parent, history = self._parent, self._workspace.history
        return {path: history.read(parent, path) if parent else None for path in sorted(paths)}

    def replace_others(self) -> None:
        """Remove the drafts that these replace: other numbers of the same features."""
        for manifest in self._manifests.values():
            name = manifest.name
            committed = versions(self._workspace, name, self._parent) if self._parent else ()
            for version in versions(self._workspace, name, None):
                if version not in committed and version != manifest.version:
                    remove_version(self._workspace.folder / name / str(version))


def remove_version(folder: Path) -> None:
    """Remove mlforge's files of a version from the work tree; the manifest goes first."""
    with storage_errors(folder):
        for name in (FILE_NAME, PROFILE_NAME, DIGESTS_NAME, VIEW_NAME):
            (folder / name).unlink(missing_ok=True)
        for left in folder.glob(f"{TEMPORARY_PREFIX}*"):
            left.unlink(missing_ok=True)
    _remove_if_empty(folder)


def reconcile_view(workspace: Workspace, manifest: Manifest) -> None:
    """Make the view of a version whose folder and objects are here."""
    oids = objects_here(workspace, manifest)
    if oids is None or len(oids) != 1:
        return
    folder = version_folder(workspace, manifest.name, manifest.version)
    if os.path.isdir(folder):
        make_view(workspace.objects.place(oids[0]), folder / VIEW_NAME)


def version_folder(workspace: Workspace, name: str, version: Version) -> Path:
    return workspace.folder.joinpath(name, str(version))


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _remove_if_empty(folder: Path) -> None:
    # A folder that is not empty holds something of the user's.
    with suppress(OSError):
        folder.rmdir()
