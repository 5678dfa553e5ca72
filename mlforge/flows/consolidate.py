"""Consolidate: one document of all heads here, with what git's history says of them."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.canonical import Plain, encode_lines
from mlforge.flows.log import Touched
from mlforge.flows.resolve import feature_names, head, version_of
from mlforge.flows.workspace import Workspace
from mlforge.history.base import CommitInfo
from mlforge.ids import Version
from mlforge.manifest import FILE_NAME, Manifest
from mlforge.objects.files import write_file

SCHEMA = "mlforge.manifest/v1"


@dataclass(frozen=True, slots=True)
class ConsolidatedHead:
    """A head here, and when and by whom its version was committed."""

    manifest: Manifest
    touched: Touched

    def to_dict(self) -> dict[str, Plain]:
        commit = self.touched.created_in
        created, updated = self.touched.created_at, self.touched.updated_at
        return {
            **self.manifest.to_dict(),
            "created_at": None if created is None else created.isoformat(),
            "updated_at": None if updated is None else updated.isoformat(),
            "author": None if commit is None else commit.author.name,
            "commit": None if commit is None else commit.id.hex,
            "before_boundary": self.touched.is_before_boundary,
        }


def consolidate(workspace: Workspace) -> tuple[ConsolidatedHead, ...]:
    """The head of every feature here, in name order. Raises PinInvalid, ManifestCorrupt."""
    heads = [head(workspace, name, None) for name in feature_names(workspace, None)]
    seen = _touched(workspace)
    never = Touched(None, None, None)
    return tuple(
        ConsolidatedHead(manifest, seen.get((manifest.name, manifest.version), never))
        for manifest in heads
        if manifest is not None
    )


def document(heads: tuple[ConsolidatedHead, ...]) -> dict[str, Plain]:
    """What `feature_store/manifest.json` holds."""
    return {"schema": SCHEMA, "features": [head.to_dict() for head in heads]}


def regenerate(workspace: Workspace, heads: tuple[ConsolidatedHead, ...]) -> None:
    """Write the document into the store's folder, all of it or nothing. Raises StorageFailed."""
    write_file(workspace.folder / FILE_NAME, encode_lines(document(heads)))


def _touched(workspace: Workspace) -> dict[tuple[str, Version], Touched]:
    """Every version's first and last commit, in one walk of what HEAD reaches."""
    tip = workspace.history.head().commit
    first, last = dict[tuple[str, Version], CommitInfo](), dict[tuple[str, Version], CommitInfo]()
    for event in workspace.history.events(workspace.prefix, tip=tip) if tip else ():
        found = version_of(workspace, event.path)
        if found is not None and event.blob is not None:
            first[found] = event.commit
            last.setdefault(found, event.commit)
    return {found: Touched.between(made, last[found]) for found, made in first.items()}
