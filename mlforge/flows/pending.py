"""Pending: what the work tree becomes with a commit, remembered so that a kill changes nothing.

A new file is written before the commit; one that git tracks is changed or removed after it, while
git still refuses to write. So whenever the process dies, the user's `git commit -a` finds nothing
to carry along, and the next mlforge command that opens the history finishes or undoes the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlforge.canonical import Plain, decode, encode
from mlforge.errors import Corrupt, RepositoryLocked
from mlforge.history.base import Change, History
from mlforge.ids import CommitId, Digest, hash_bytes
from mlforge.manifest import FILE_NAME
from mlforge.objects.files import storage_errors, write_file
from mlforge.objects.views import VIEW_NAME


@dataclass(frozen=True, slots=True)
class _Step:
    """A file: the digest of what it was, and the text that it becomes. None: not there."""

    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Pending:
    """The changes of one work tree that wait for a commit of the store in `folder`."""

    history: History
    folder: Path
    private: Path

    def commit(
        self,
        change: Change,
        files: Mapping[str, bytes | None],
        *,
        parent: CommitId | None,
        now: datetime,
    ) -> CommitId:
        """Commit, and make files of the work tree what the commit says; all or nothing.

        Needs the writers' lock. Raises what `History.commit` raises; then nothing has changed.
        """
        root = self.history.root
        steps: dict[str, Plain] = {}
        for path, after in files.items():
            before = _digest(root / path)
            steps[path] = {"before": before, "after": None if after is None else after.decode()}
        if steps:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._note, encode(steps))
        try:
            for path, after in files.items():
                if after is not None and not (root / path).exists():
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    write_file(root / path, after)
            return self.history.commit(change, parent=parent, now=now, on_published=self.settle)
        finally:
            self.settle()

    def settle_if_free(self) -> None:
        """`settle`, unless nothing is left to do or somebody is at work."""
        if not self._note.exists():
            return
        with suppress(RepositoryLocked), self.history.writing(0):
            self.settle()

    def settle(self) -> None:
        """Finish what a published commit left to do here; undo what an unpublished one began.

        Needs the writers' lock. What the user has changed since stays as it is.
        """
        try:
            steps = decode(self._note.read_bytes(), dict[str, _Step])
        except FileNotFoundError:
            return
        except Corrupt:
            steps = {}
        commit = self.history.head().commit
        for path, step in steps.items():
            after = None if step.after is None else step.after.encode()
            held = self.history.read(commit, path) if commit else None
            found = _digest(self.history.root / path)
            # Where a file is gone already, its view and its empty folders may still be there.
            if held == after and (found == step.before or (found is None and after is None)):
                self._put(path, after)
            elif held is None and step.before is None and after and found == hash_bytes(after):
                self._put(path, None)
        self._note.unlink(missing_ok=True)

    def _put(self, path: str, data: bytes | None) -> None:
        target = self.history.root / path
        if data is not None:
            write_file(target, data)
            return
        with storage_errors(target):
            target.unlink(missing_ok=True)
            if target.name == FILE_NAME:
                target.with_name(VIEW_NAME).unlink(missing_ok=True)
            self._remove_empty(target.parent)

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):
            while folder.is_relative_to(self.folder) and folder != self.folder:
                folder.rmdir()
                folder = folder.parent

    @property
    def _note(self) -> Path:
        """One a work tree: linked ones share the folder."""
        name = Digest.of(str(self.history.root.resolve()).encode()).short
        return self.private / "leases" / f"worktree-{name}.json"


def _digest(path: Path) -> str | None:
    return hash_bytes(path.read_bytes()) if path.is_file() and not path.is_symlink() else None
