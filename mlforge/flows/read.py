"""Read: a version's rows; what is read of them is hashed before it is returned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from mlforge.digests import ObjectDigests
from mlforge.errors import (
    ColumnNotFound,
    ContentDiffers,
    InvalidUsage,
    ObjectCorrupt,
    ObjectNotFound,
    did_you_mean,
    shown,
)
from mlforge.flows.alternates import objects_of
from mlforge.flows.committed import holder, refuse_edited
from mlforge.flows.digests import find_digests
from mlforge.flows.remedy import Remedies
from mlforge.flows.resolve import Resolved
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, ObjectId
from mlforge.manifest import Manifest
from mlforge.objects.proven import ProvenFile
from mlforge.objects.scan import Scan
from mlforge.schema import Column
from mlforge.types.polars import from_polars


def read_rows(
    workspace: Workspace, resolved: Resolved, columns: Sequence[str] | None
) -> pl.DataFrame:
    """A version's rows in canonical order, verified.

    Raises ManifestCorrupt, ColumnNotFound, ObjectNotFound, ObjectCorrupt, ContentDiffers.
    """
    refuse_edited(workspace, resolved)
    manifest = resolved.manifest
    _refuse_odd(manifest, columns)
    oids = objects_of(workspace, manifest)
    with told(workspace, manifest):
        # Whole rows need no digests.
        if columns is None:
            return scan_objects(workspace, manifest, oids, None, {}).frame()
        digests = find_digests(workspace, manifest, holder(workspace, resolved))
        return scan_objects(workspace, manifest, oids, columns, digests).frame()


def _refuse_odd(manifest: Manifest, columns: Sequence[str] | None) -> None:
    """Raise InvalidUsage, ColumnNotFound for columns that no frame can have."""
    if columns is None:
        return
    known = manifest.schema.names
    if isinstance(columns, str) or not columns:
        raise InvalidUsage("columns= is a list with at least one column", hint=f'["{known[0]}"]')
    if twice := sorted({column for column in columns if list(columns).count(column) > 1}):
        raise InvalidUsage(f"columns= names {shown(twice)} twice", hint="name each column once")
    for column in columns:
        if column not in known:
            raise ColumnNotFound(
                f"{manifest.name}@{manifest.version} has no column {column}",
                hint=did_you_mean(column, known),
            )


def scan_objects(
    workspace: Workspace,
    manifest: Manifest,
    oids: Sequence[ObjectId],
    columns: Sequence[str] | None,
    digests: Mapping[ObjectId, ObjectDigests],
) -> Scan:
    """The rows of objects that hold a version, verified; in any thread.

    Raises ObjectNotFound, ObjectCorrupt, ContentDiffers.
    """
    scan = Scan(workspace.objects, oids, columns, _label(manifest), digests)
    _refuse_others_rows(manifest, scan.height, scan.schema, columns)
    return scan


def read_blocks(
    workspace: Workspace,
    manifest: Manifest,
    columns: Sequence[str],
    rows: int,
    *,
    is_verified: bool = False,
) -> Iterator[pl.DataFrame]:
    """A version's rows, so many at a time; all bytes are hashed now, before the first is read.

    `is_verified`: that was just done. Raises ObjectNotFound, ObjectCorrupt, ContentDiffers.
    """
    if is_verified:
        paths = [workspace.objects.path(oid) for oid in objects_of(workspace, manifest)]
    else:
        paths = _verified_paths(workspace, manifest, None, None)
    frame = _lazy(manifest, paths, columns)
    return (frame.slice(start, rows).collect() for start in range(0, manifest.rows, rows))


def _label(manifest: Manifest) -> str:
    return f"{manifest.name}@{manifest.version}"


@contextmanager
def told(workspace: Workspace, manifest: Manifest) -> Iterator[None]:
    """Rows that are not here, or damaged, are told with the command that makes them again."""
    try:
        yield
    except ObjectNotFound as error:
        remedy = Remedies(workspace).of(manifest)
        raise ObjectNotFound(
            f"the rows of {_label(manifest)} are not in this clone",
            cause=remedy.cause(error.message),
            hint=remedy.command,
        ) from error
    except ObjectCorrupt as error:
        remedy = Remedies(workspace).of(manifest, is_forced=True)
        raise ObjectCorrupt(
            error.message, cause=remedy.cause(error.cause or error.message), hint=remedy.command
        ) from error


def _refuse_others_rows(
    manifest: Manifest, rows: int, found: pl.Schema, columns: Sequence[str] | None
) -> None:
    """Raise ContentDiffers for whole objects that hold something else than the manifest says."""
    names = manifest.schema.names if columns is None else columns
    wanted = tuple(Column(name, manifest.schema.type_of(name)) for name in names)
    held = tuple(Column(name, from_polars(dtype, name)) for name, dtype in found.items())
    if rows == manifest.rows and held == wanted:
        return
    what = "their columns or types are others" if held != wanted else f"there are {rows:,}"
    raise ContentDiffers(
        f"the rows of {manifest.name}@{manifest.version} are not what its manifest says",
        cause=f"{what}; the manifest says {manifest.rows:,} rows",
        hint="mlforge verify",
    )


def scan_rows(
    workspace: Workspace, resolved: Resolved, columns: Sequence[str] | None
) -> pl.LazyFrame:
    """A lazy scan of a version's objects; what it can read of them is hashed first.

    Raises ManifestCorrupt, ColumnNotFound, ObjectNotFound, ObjectCorrupt, ContentDiffers.
    """
    refuse_edited(workspace, resolved)
    manifest = resolved.manifest
    _refuse_odd(manifest, columns)
    at = None if columns is None else holder(workspace, resolved)
    return _lazy(manifest, _verified_paths(workspace, manifest, columns, at), columns)


def _verified_paths(
    workspace: Workspace, manifest: Manifest, columns: Sequence[str] | None, at: CommitId | None
) -> list[Path]:
    """The files of a version's objects, of which the bytes of these columns were just hashed."""
    digests = {} if columns is None else find_digests(workspace, manifest, at)
    with told(workspace, manifest):
        found = [(workspace.objects.path(oid), oid) for oid in objects_of(workspace, manifest)]
        for path, oid in found:
            file = ProvenFile(path, oid, _label(manifest), columns, digests.get(oid))
            file.prove(columns or ())
    return [path for path, _ in found]


def _lazy(manifest: Manifest, paths: Sequence[Path], columns: Sequence[str] | None) -> pl.LazyFrame:
    """The rows in files, if their footers say that they have as many, and these columns."""
    frame = pl.scan_parquet(list(paths), glob=False)
    if columns is not None:
        frame = frame.select(columns)
    rows = frame.select(pl.len()).collect().item()
    _refuse_others_rows(manifest, rows, frame.collect_schema(), columns)
    return frame
