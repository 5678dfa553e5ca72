"""Remedy: the command that makes a version's rows again; it never makes a version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from mlforge.errors import MlforgeError
from mlforge.flows.origin import DEFINITIONS, UNCOMMITTED, trailers_of
from mlforge.flows.resolve import feature_names, head, is_here, versions
from mlforge.flows.workspace import Workspace
from mlforge.history.base import CommitInfo
from mlforge.ids import CommitId
from mlforge.manifest import FILE_NAME, Manifest


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to type, and what must be known of a version whose definitions no commit has."""

    command: str
    note: str | None = None

    def cause(self, first: str) -> str:
        """A cause, with what must be known after it."""
        return first if self.note is None else f"{first}; {self.note}"


class Remedies:
    """What makes versions' rows again; of many versions, what they share is read once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._head = workspace.history.head()

    def of(self, manifest: Manifest, *, is_forced: bool = False, is_tried: bool = False) -> Remedy:
        """A build of what a version was built from, which compares hashes and makes no version.

        Here if the version is the newest, else where its definitions are committed. `is_forced`:
        its objects are here, and damaged. `is_tried`: what is here does not give it.
        """
        build = _build(manifest, is_forced)
        made, tip = _made_in(self._workspace, manifest), self._head.commit
        is_newest = not is_tried and self._is_newest(manifest)
        if made is None or tip is None or (is_newest and made.is_boundary):
            return Remedy(build)
        if made.is_boundary:
            return Remedy("git fetch --unshallow")
        message = self._workspace.history.message(made.id)
        uncommitted = tuple(filter(_is_within, trailers_of(message, UNCOMMITTED)))
        if elsewhere := _commits(message):
            # The user stands in the definitions' repository, and the store's is another.
            is_one = len(elsewhere) == 1 and not is_newest
            there = _switched(build, elsewhere[0], "git switch -")
            return Remedy(there if is_one else build, _never(manifest, uncommitted))
        place: CommitId | None = made.id
        if uncommitted:
            place = _committed_later(self._workspace, manifest, made.id, tip, uncommitted)
        if place is not None and is_newest:
            return Remedy(build)
        if place is not None:
            return Remedy(self._switch(manifest, build, place, tip, is_tried))
        # Whoever has them in the work tree may still build them.
        is_edited = is_newest and bool(self._workspace.history.differs(uncommitted))
        command = build if is_edited else f"mlforge log {manifest.name}"
        return Remedy(command, _never(manifest, uncommitted))

    def is_held(self, manifest: Manifest) -> bool:
        """Whether a ref or the work tree has this very version."""
        return is_here(self._workspace, manifest) or _made_in(self._workspace, manifest) is not None

    def forgotten(
        self, manifest: Manifest, commit: CommitId | None, *, is_forced: bool = False
    ) -> Remedy | None:
        """The same of a version that no ref holds any more, where git still has its commit."""
        tip = self._head.commit
        if commit is None or tip is None or _made_in(self._workspace, manifest) is not None:
            return None
        with suppress(MlforgeError):
            if manifest.version in versions(self._workspace, manifest.name, commit):
                build = _build(manifest, is_forced)
                return Remedy(self._switch(manifest, build, commit, tip, is_tried=True))
        return None

    def _switch(
        self, manifest: Manifest, build: str, place: CommitId, tip: CommitId, is_tried: bool
    ) -> str:
        is_on_branch = self._head.branch is not None
        if place == tip and is_tried:
            # Who is detached has most likely followed the command below.
            show = f"mlforge show {manifest.name}@{manifest.version}"
            return show if is_on_branch else "git switch -"
        if place == tip:
            return build
        return _switched(
            build, place, "git switch -" if is_on_branch else f"git switch --detach {tip.short}"
        )

    def _is_newest(self, manifest: Manifest) -> bool:
        """Whether what HEAD declares is likely to be this version."""
        name, tip = manifest.name, self._head.commit
        known = versions(self._workspace, name, tip) if tip else ()
        return known[-1:] == (manifest.version,) and name not in self._old_names

    @cached_property
    def _old_names(self) -> frozenset[str]:
        """What features here were called before."""
        return frozenset(_old_names(self._workspace))


def _build(manifest: Manifest, is_forced: bool) -> str:
    option = "--force " if is_forced else ""
    return f"mlforge build {option}-f {manifest.name}@{manifest.version}"


def _switched(build: str, place: CommitId, back: str) -> str:
    return f"git switch --detach {place.short} && {build} && {back}"


def _never(manifest: Manifest, files: Sequence[str]) -> str | None:
    if not files:
        return None
    return (
        f"{manifest.version} was built from definitions that were never committed "
        f"({', '.join(files)}): only a clone that has its rows, or them, can give it"
    )


def _commits(message: str) -> list[CommitId]:
    """Those of the definitions. Anybody may have written the message: only ids are typed."""
    found = list[CommitId]()
    for text in trailers_of(message, DEFINITIONS):
        with suppress(MlforgeError):
            found.append(CommitId.parse(text))
    return found


def _is_within(path: str) -> bool:
    return not path.startswith("/") and ".." not in PurePosixPath(path).parts


def _made_in(workspace: Workspace, manifest: Manifest) -> CommitInfo | None:
    """The first commit, of any local ref, that holds this very manifest; None: it is a draft."""
    path = workspace.path_of(manifest.name, str(manifest.version), FILE_NAME)
    text = manifest.encode()
    found = None
    # What to type is told beside another error, which must not be hidden.
    with suppress(MlforgeError):
        for event in workspace.history.events(workspace.prefix):
            is_held = event.path == path and event.blob is not None
            if is_held and workspace.history.read_blob(str(event.blob)) == text:
                found = event.commit
    return found


def _old_names(workspace: Workspace) -> Iterator[str]:
    for name in feature_names(workspace, None):
        with suppress(MlforgeError):
            manifest = head(workspace, name, None)
            if manifest is not None and manifest.renamed_from not in (None, name):
                yield str(manifest.renamed_from)


def _committed_later(
    workspace: Workspace, manifest: Manifest, made: CommitId, tip: CommitId, files: Sequence[str]
) -> CommitId | None:
    """The first commit after a version's own by which all of these files had been committed."""
    missing = set(files)
    for commit, file in reversed([*_since(workspace, made, tip, files)]):
        missing.discard(file)
        if not missing and manifest.version in versions(workspace, manifest.name, commit):
            return commit
    return None


def _since(
    workspace: Workspace, made: CommitId, tip: CommitId, files: Sequence[str]
) -> Iterator[tuple[CommitId, str]]:
    """The commits after one that changed these files, newest first."""
    folders = {_folder(file) for file in files}
    # The whole repository if they are in several: one order of commits is needed.
    folder = folders.pop() if len(folders) == 1 else ""
    before = {event.commit.id for event in workspace.history.events(folder, tip=made)}
    for event in workspace.history.events(folder, tip=tip):
        if event.path in files and event.blob is not None and event.commit.id not in before:
            yield event.commit.id, event.path


def _folder(file: str) -> str:
    parent = PurePosixPath(file).parent.as_posix()
    return "" if parent == "." else parent
