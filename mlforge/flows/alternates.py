"""Alternates: objects here that hold a version's content in other bytes than its manifest names.

Another release of the Parquet writer gives other bytes for equal content. A clone that rebuilds a
version then has the content, and not the objects. Losing this costs a computation.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlforge.errors import MlforgeError
from mlforge.flows.workspace import Workspace
from mlforge.ids import ContentHash, ObjectId
from mlforge.manifest import Manifest, Part
from mlforge.objects.files import write_cache


def objects_of(workspace: Workspace, manifest: Manifest) -> tuple[ObjectId, ...]:
    """The objects to read a version from: those that are here, else the manifest's own."""
    return objects_here(workspace, manifest) or tuple(part.object for part in manifest.parts)


def objects_here(workspace: Workspace, manifest: Manifest) -> tuple[ObjectId, ...] | None:
    """The manifest's own objects or an alternate, all of them here; None if neither is."""
    own = tuple(part.object for part in manifest.parts)
    if all(workspace.objects.has(oid) for oid in own):
        return own
    return _alternate(workspace, manifest.content_hash)


def has_objects(workspace: Workspace, manifest: Manifest) -> bool:
    return objects_here(workspace, manifest) is not None


def remember(workspace: Workspace, manifest: Manifest, parts: Sequence[Part]) -> None:
    """Note parts that were computed and found to have the manifest's content."""
    if has_objects(workspace, manifest):
        return
    text = "\n".join(str(part.object) for part in parts)
    write_cache(workspace.cache / "alternates" / manifest.content_hash.hex, text.encode())


def _alternate(workspace: Workspace, content: ContentHash) -> tuple[ObjectId, ...] | None:
    try:
        text = (workspace.cache / "alternates" / content.hex).read_text()
        oids = tuple(ObjectId.parse(line) for line in text.splitlines())
    except (OSError, UnicodeDecodeError, MlforgeError):
        return None
    return oids if oids and all(workspace.objects.has(oid) for oid in oids) else None
