"""Overview: what features there are here, declared or stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlforge.canonical import Plain
from mlforge.flows.resolve import feature_names, head, versions
from mlforge.flows.workspace import Workspace
from mlforge.manifest import Manifest


@dataclass(frozen=True, slots=True)
class FeatureOverview:
    """A feature here: its head, how many versions there are, and whether the head is a draft."""

    manifest: Manifest
    versions: int
    is_draft: bool

    def to_dict(self) -> dict[str, Plain]:
        manifest = self.manifest
        return {
            "name": manifest.name,
            "version": str(manifest.version),
            "versions": self.versions,
            "draft": self.is_draft,
            "keys": list(manifest.schema.keys),
            "timestamp": manifest.schema.timestamp,
            "columns": len(manifest.schema.values),
            "rows": manifest.rows,
            "bytes": manifest.size_bytes,
            "tags": list(manifest.tags),
            "owner": manifest.owner,
            "description": manifest.description,
        }


def overview(workspace: Workspace, tags: Sequence[str] | None) -> tuple[FeatureOverview, ...]:
    """Every feature that has a version here, in name order."""
    commit = workspace.history.head().commit
    found = []
    for name in feature_names(workspace, None):
        manifest = head(workspace, name, None)
        if manifest is None or (tags and not {*tags} & {*manifest.tags}):
            continue
        committed = versions(workspace, name, commit) if commit else ()
        count = len(versions(workspace, name, None))
        found.append(FeatureOverview(manifest, count, manifest.version not in committed))
    return tuple(found)
