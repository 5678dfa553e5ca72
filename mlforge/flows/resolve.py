"""Resolve: references to exact versions; what is head here and head at a commit."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from mlforge.errors import (
    Corrupt,
    FeatureNotFound,
    InvalidName,
    InvalidReference,
    ManifestCorrupt,
    MlforgeError,
    NotFound,
    StorageFailed,
    VersionNotFound,
    did_you_mean,
)
from mlforge.flows.pins import read_pin
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version, parse_name
from mlforge.manifest import FILE_NAME, Manifest

_LARGEST_MANIFEST = 16 << 20


@dataclass(frozen=True, slots=True)
class Reference:
    """`name`, `name@1.1.0`, `name@~=1.2` or `name@<git revision>`, taken apart.

    `at`: the commit whose tree is meant, whatever else is asked for; None: as is asked.
    """

    name: str
    selector: str | None
    at: CommitId | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises InvalidReference, InvalidName."""
        name, at, selector = text.partition("@")
        if at and not selector:
            raise InvalidReference(
                f"{text!r} names no version after @", hint=f"write {name}, or {name}@1.0.0"
            )
        if not name:
            raise InvalidReference(f"{text!r} names no feature", hint="write NAME@1.0.0")
        return cls(parse_name(name, "name of a feature"), selector or None)

    def __str__(self) -> str:
        return self.name if self.selector is None else f"{self.name}@{self.selector}"


@dataclass(frozen=True, slots=True)
class Resolved:
    """An exact version, and the commit whose tree was read; None: the work tree."""

    manifest: Manifest
    commit: CommitId | None
    note: str | None = None


def resolve(workspace: Workspace, reference: Reference, at: CommitId | None) -> Resolved:
    """The version that a reference means, in the work tree or in the tree of the commit `at`.

    A full version wins over a tag of that name. Raises FeatureNotFound, VersionNotFound,
    RevisionNotFound, InvalidReference.
    """
    selector, at = reference.selector, reference.at or at
    if selector is not None and not selects_version(selector):
        at = _revision(workspace, reference, selector)
        selector = None
    name, note = follow(workspace, reference.name, at)
    if selector is None:
        version = head_version(workspace, name, at)
    else:
        version = _choose(name, selector, versions(workspace, name, at), note)
    assert version is not None
    return Resolved(read_manifest(workspace, name, version, at), at, note)


def follow(
    workspace: Workspace, name: str, at: CommitId | None, others: Iterable[str] = ()
) -> tuple[str, str | None]:
    """What a feature is called in the tree that is read, and a note if that is another name.

    A name that is in the tree means itself. `others`: what else may be meant by a mistyped name.
    Raises FeatureNotFound.
    """
    # Nearly always; then no other feature is looked at, however many there are.
    if _is_name(name) and versions(workspace, name, at):
        return name, None
    names = feature_names(workspace, at)
    renamed = _renamed(workspace, name, names, at)
    if renamed is not None:
        return renamed, rename_note(name, renamed)
    if at is None and _is_at_head(workspace, name):
        raise missing_here(workspace, name)
    if at is None and _is_in_history(workspace, name):
        raise FeatureNotFound(
            f"{name} is in the history, and not in the work tree", hint=f"mlforge log {name}"
        )
    raise FeatureNotFound(
        f"no feature is called {name}{_place(at)}",
        hint=did_you_mean(name, [*names, *others]) or ("mlforge log" if at else "mlforge build"),
    )


def missing_here(workspace: Workspace, name: str) -> FeatureNotFound:
    """What to say of a feature that HEAD has and the work tree has not."""
    path = workspace.path_of(name) if workspace.folder.exists() else workspace.prefix
    return FeatureNotFound(
        f"{name} is committed and missing in the work tree",
        hint=f"git checkout HEAD -- {shlex.quote(':/' + path)}",
    )


def _is_at_head(workspace: Workspace, name: str) -> bool:
    with suppress(MlforgeError):
        tip = workspace.history.head().commit
        return tip is not None and bool(versions(workspace, name, tip))
    return False


def _is_in_history(workspace: Workspace, name: str) -> bool:
    """Whether HEAD's history has the feature: retired, reverted or removed by hand."""
    # Only to tell more: an error of git's must not hide the one that is being told.
    with suppress(MlforgeError):
        tip = workspace.history.head().commit
        events = workspace.history.events(workspace.prefix, tip=tip) if tip else ()
        held = (version_of(workspace, event.path) for event in events)
        return any(found is not None and found[0] == name for found in held)
    return False


def rename_note(old: str, name: str) -> str:
    return f"{old} is called {name} now"


def _renamed(
    workspace: Workspace, old: str, names: Iterable[str], at: CommitId | None
) -> str | None:
    """The feature whose head says that this was its name."""
    for name in names:
        # Another feature's damage is not this one's.
        with suppress(Corrupt):
            manifest = head(workspace, name, at)
            if manifest is not None and manifest.renamed_from == old:
                return name
    return None


def _revision(workspace: Workspace, reference: Reference, selector: str) -> CommitId:
    try:
        return workspace.history.resolve(selector)
    except NotFound as error:
        known = ", ".join(str(version) for version in versions(workspace, reference.name, None))
        raise VersionNotFound(
            f"{reference.name} has no version, and git no revision, {selector!r}",
            cause=f"{error.message} ({error.hint})" if error.hint else error.message,
            hint=f"its versions are {known}" if known else "mlforge list",
        ) from error


def selects_version(selector: str) -> bool:
    """Whether it is a version or a range of them, and no git revision."""
    return selector.startswith("~=") or Version.is_version(selector)


def _choose(name: str, selector: str, known: tuple[Version, ...], note: str | None) -> Version:
    if selector.startswith("~="):
        allowed = _compatible(selector, known)
    else:
        allowed = [version for version in known if str(version) == selector]
    if allowed:
        return allowed[-1]
    raise VersionNotFound(
        f"{name} has no version {selector}",
        cause=None if note is None else f"{note}; what it was before is in its log",
        hint="its versions are " + ", ".join(map(str, known)),
    )


def _compatible(selector: str, known: Iterable[Version]) -> list[Version]:
    try:
        specifier = SpecifierSet(selector)
    except InvalidSpecifier as error:
        raise InvalidReference(
            f"{selector!r} is not a version range", hint="write ~=1.2 for >= 1.2 and < 2"
        ) from error
    return [version for version in known if specifier.contains(str(version))]


def _place(at: CommitId | None) -> str:
    return "" if at is None else f" at {at.short}"


def feature_names(workspace: Workspace, at: CommitId | None) -> tuple[str, ...]:
    """Every feature that has a version, in name order."""
    names = _names(workspace, at)
    return tuple(name for name in names if _is_name(name) and versions(workspace, name, at))


def differing_names(workspace: Workspace, old: CommitId, new: CommitId) -> tuple[str, ...]:
    """Every feature whose folder is not the same in two commits, in name order."""
    names = workspace.history.differing(old, new, workspace.prefix)
    return tuple(filter(_is_name, names))


def versions(workspace: Workspace, name: str, at: CommitId | None) -> tuple[Version, ...]:
    """A feature's versions in the tree that is read, oldest first."""
    found = [
        Version.parse(entry) for entry in _names(workspace, at, name) if Version.is_version(entry)
    ]
    if at is None:
        # Whatever bears the name: a link or a folder there is damage, which reading tells.
        complete = [v for v in found if os.path.lexists(_folder(workspace, name, v) / FILE_NAME)]
        return tuple(sorted(complete))
    return tuple(sorted(found))


def read_manifest(
    workspace: Workspace, name: str, version: Version, at: CommitId | None
) -> Manifest:
    """A version's manifest, from a commit's tree or the work tree. Raises ManifestCorrupt."""
    path = workspace.path_of(name, str(version), FILE_NAME)
    if at is None:
        data = read_here(workspace, _folder(workspace, name, version) / FILE_NAME)
    else:
        data = workspace.history.read_near(at, path)
    if data is None:
        raise VersionNotFound(f"{name} has no version {version}{_place(at)}")
    manifest = _decoded(data, path)
    if (manifest.name, manifest.version) != (name, version):
        raise ManifestCorrupt(
            f"the manifest {path} is of {manifest.name}@{manifest.version}",
            hint=f"git checkout HEAD -- :/{path}",
        )
    return manifest


def is_here(workspace: Workspace, manifest: Manifest) -> bool:
    """Whether the work tree has this very manifest under its name and number."""
    path = _folder(workspace, manifest.name, manifest.version) / FILE_NAME
    with suppress(MlforgeError):
        return read_here(workspace, path) == manifest.encode()
    return False


@lru_cache(maxsize=4096)
def _decoded(data: bytes, path: str) -> Manifest:
    """A build reads a manifest when it plans, when it decides and when it tells."""
    return Manifest.decode(data, path)


def version_of(workspace: Workspace, path: str) -> tuple[str, Version] | None:
    """The feature and version whose manifest a path of the repository is."""
    parts = path.removeprefix(f"{workspace.prefix}/").split("/")
    if len(parts) != 3 or parts[2] != FILE_NAME or not Version.is_version(parts[1]):
        return None
    return parts[0], Version.parse(parts[1])


def head(workspace: Workspace, name: str, at: CommitId | None) -> Manifest | None:
    """The head of a feature in a commit's tree or here; None if it has no version.

    Raises PinInvalid, ManifestCorrupt.
    """
    version = head_version(workspace, name, at)
    return None if version is None else read_manifest(workspace, name, version, at)


def heads_at(workspace: Workspace, commit: CommitId | None) -> tuple[Manifest, ...]:
    """The heads of a commit, in name order; of no commit, none. Raises PinInvalid."""
    if commit is None:
        return ()
    found = (head(workspace, name, commit) for name in feature_names(workspace, commit))
    return tuple(manifest for manifest in found if manifest is not None)


def head_version(workspace: Workspace, name: str, at: CommitId | None) -> Version | None:
    """What PIN names, else the highest version. Raises PinInvalid."""
    known = versions(workspace, name, at)
    if not known:
        return None
    return read_pin(workspace, name, at, known) or known[-1]


def _names(workspace: Workspace, at: CommitId | None, *parts: str) -> tuple[str, ...]:
    if at is not None:
        return workspace.history.list(at, workspace.path_of(*parts))
    folder = workspace.folder.joinpath(*parts)
    try:
        with os.scandir(folder) as entries:
            return tuple(sorted(e.name for e in entries if e.is_dir(follow_symlinks=False)))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise StorageFailed(f"cannot read {folder}", cause=error.strerror) from error


def _is_name(text: str) -> bool:
    try:
        parse_name(text)
    except InvalidName:
        return False
    return True


def _folder(workspace: Workspace, name: str, version: Version) -> Path:
    return workspace.folder / name / str(version)


def read_here(workspace: Workspace, path: Path) -> bytes | None:
    """A small regular file below the store, if it is there; a link is never followed out of it."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_MANIFEST:
            where = path.relative_to(workspace.root)
            raise ManifestCorrupt(
                f"{where} is no regular file, or too large to be mlforge's",
                hint=f"git checkout HEAD -- :/{where}",
            )
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageFailed(f"cannot read {path}", cause=error.strerror) from error
