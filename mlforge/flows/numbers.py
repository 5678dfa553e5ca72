"""Numbers: every version number that the history of any local ref holds, of every feature."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from mlforge.flows.resolve import version_of
from mlforge.flows.workspace import Workspace
from mlforge.ids import Version

Held = Mapping[Version, frozenset[str]]


class Numbers:
    """Read once, when the first is asked for: refs that move later are not seen."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def of(self, name: str) -> Held:
        """The numbers of a feature with the manifests (blobs) under each."""
        return self._by_feature.get(name, {})

    @cached_property
    def _by_feature(self) -> Mapping[str, Held]:
        found: dict[str, dict[Version, frozenset[str]]] = defaultdict(dict)
        for event in self._workspace.history.events(self._workspace.prefix):
            held = version_of(self._workspace, event.path)
            if held is not None:
                blobs = {event.blob} if event.blob else set()
                versions = found[held[0]]
                versions[held[1]] = versions.get(held[1], frozenset()) | blobs
        return found
