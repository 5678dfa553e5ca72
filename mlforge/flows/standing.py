"""Standing: the versions that what a feature is now is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.flows.resolve import head, read_manifest, versions
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


def standing_of(
    workspace: Workspace, name: str, old_name: str | None, commit: CommitId | None
) -> Standing:
    """Under its own name, else under the one that it had before."""
    if commit is None:
        return Standing(None)
    for known_as in (name, *([old_name] if old_name else [])):
        current = head(workspace, known_as, commit)
        if current is not None:
            known = versions(workspace, known_as, commit)
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
