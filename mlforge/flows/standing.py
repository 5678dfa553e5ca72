"""Standing: the versions that what a feature is now is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from mlforge.flows.pins import read_pin
from mlforge.flows.resolve import read_manifest, versions
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version
from mlforge.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Standing:
    """A feature's head at a commit and, if that is pinned, all versions; newest first."""

    head: Manifest | None
    others: tuple[Manifest, ...] = ()

    @property
    def newest(self) -> Manifest | None:
        """The highest version of the tree."""
        return self.others[0] if self.others else self.head

    @property
    def all(self) -> tuple[Manifest, ...]:
        """The head first."""
        return (*([self.head] if self.head else []), *self.others)

    @property
    def is_pinned(self) -> bool:
        """Whether the head is another version than the newest."""
        return bool(self.others)

    @property
    def compared(self) -> tuple[Manifest, ...]:
        """The versions that decide the next number: the head, and the newest."""
        return self.all[:2]


# Of the commit that was asked of last: a build asks when it looks and when it decides.
_KNOWN = WeakKeyDictionary[Workspace, tuple[CommitId, dict[tuple[str, str | None], Standing]]]()


def standing_of(
    workspace: Workspace, name: str, old_name: str | None, commit: CommitId | None
) -> Standing:
    """Under its own name, else under the one that it had before."""
    if commit is None:
        return Standing(None)
    known_commit, known = _KNOWN.get(workspace, (None, {}))
    if known_commit != commit:
        known = {}
        _KNOWN[workspace] = commit, known
    if (name, old_name) not in known:
        known[name, old_name] = _read(workspace, name, old_name, commit)
    return known[name, old_name]


def _read(workspace: Workspace, name: str, old_name: str | None, commit: CommitId) -> Standing:
    for known_as in (name, *([old_name] if old_name else [])):
        known = versions(workspace, known_as, commit)
        if known:
            pinned = read_pin(workspace, known_as, commit, known)
            current = read_manifest(workspace, known_as, pinned or known[-1], commit)
            return Standing(current, _others(workspace, current, known, commit))
    return Standing(None)


def _others(
    workspace: Workspace, current: Manifest, known: tuple[Version, ...], commit: CommitId
) -> tuple[Manifest, ...]:
    if current.version == known[-1]:
        return ()
    return tuple(
        read_manifest(workspace, current.name, version, commit)
        for version in reversed(known)
        if version != current.version
    )
