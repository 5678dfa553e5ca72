"""Overview: what features there are here, declared or stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlforge.canonical import Plain
from mlforge.flows.remarks import older_sources
from mlforge.flows.resolve import feature_names, head, versions
from mlforge.flows.workspace import Workspace
from mlforge.ids import Version
from mlforge.manifest import Manifest


@dataclass(frozen=True, slots=True)
class FeatureOverview:
    """A feature here: its head, how many versions there are, and whether the head is a draft.

    `newest` is another version than the head while the feature is pinned.
    """

    manifest: Manifest
    versions: int
    is_draft: bool
    newest: Version
    remark: str | None

    @property
    def is_pinned(self) -> bool:
        return self.manifest.version != self.newest

    def to_dict(self) -> dict[str, Plain]:
        manifest = self.manifest
        return {
            "name": manifest.name,
            "version": str(manifest.version),
            "versions": self.versions,
            "draft": self.is_draft,
            "pinned": self.is_pinned,
            "newest": str(self.newest),
            "remark": self.remark,
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
        known = versions(workspace, name, None)
        is_draft = manifest.version not in committed
        remark = older_sources(workspace, manifest, None)
        found.append(FeatureOverview(manifest, len(known), is_draft, known[-1], remark))
    return tuple(found)
