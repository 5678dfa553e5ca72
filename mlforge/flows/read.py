"""Read: a version's rows, hashed before any of them is returned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mlforge.errors import ObjectNotFound
from mlforge.flows.alternates import objects_of
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
            hint=f"mlforge build -f {manifest.name}",
        ) from error


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
