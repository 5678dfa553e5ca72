"""Read: a version's rows, hashed before any of them is returned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mlforge.errors import ObjectNotFound
from mlforge.flows.alternates import objects_of
from mlforge.flows.log import touched
from mlforge.flows.pins import has_pin
from mlforge.flows.resolve import versions
from mlforge.flows.workspace import Workspace
from mlforge.manifest import Manifest
from mlforge.objects.parquet import read_frame, verified_bytes


def read_rows(
    workspace: Workspace, manifest: Manifest, columns: Sequence[str] | None
) -> pl.DataFrame:
    """A version's rows in canonical order, verified. Raises ObjectNotFound, ObjectCorrupt."""
    label = f"{manifest.name}@{manifest.version}"
    oids = objects_of(workspace, manifest)
    try:
        return read_frame(workspace.objects, oids, columns, label)
    except ObjectNotFound as error:
        raise ObjectNotFound(
            f"the rows of {label} are not in this clone",
            cause=error.message,
            hint=_rebuild(workspace, manifest),
        ) from error


def _rebuild(workspace: Workspace, manifest: Manifest) -> str:
    """What makes a version's objects again: a build of the definitions that it was built from."""
    name, tip = manifest.name, workspace.history.head().commit
    build = f"mlforge build -f {name}"
    made = touched(workspace, name, manifest.version).created_in
    if made is not None and made.is_boundary:
        return "git fetch --unshallow"
    known = versions(workspace, name, tip) if tip else ()
    if made is None or (known[-1:] == (manifest.version,) and not has_pin(workspace, name, tip)):
        return build
    return f"git switch --detach {made.id.short} && {build} && git switch -"


def verified_paths(workspace: Workspace, manifest: Manifest) -> list[Path]:
    """The files of a version's objects, whose bytes were just hashed: for lazy scans."""
    paths = []
    for oid in objects_of(workspace, manifest):
        path = workspace.objects.path(oid)
        verified_bytes(path, oid, f"{manifest.name}@{manifest.version}")
        paths.append(path)
    return paths


def scan_rows(workspace: Workspace, manifest: Manifest) -> pl.LazyFrame:
    """A lazy scan of a version's objects, whose bytes are hashed first."""
    return pl.scan_parquet(verified_paths(workspace, manifest))
