"""Recount: a version's rows, their content hash and their profile, computed again from objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from mlforge.arrow import canonical_table, columns_of
from mlforge.content import hash_content
from mlforge.engines.profiles import profile_of
from mlforge.errors import MlforgeError
from mlforge.flows.workspace import Workspace
from mlforge.ids import ObjectId
from mlforge.manifest import Manifest
from mlforge.objects.scan import read_frame
from mlforge.profile import Profile


@dataclass(frozen=True, slots=True)
class Recount:
    """What of the rows is not as the manifest says, in words; if all is: their profile."""

    difference: str | None
    profile: Profile | None = None


def recount(workspace: Workspace, manifest: Manifest, oids: Sequence[ObjectId]) -> Recount:
    """Read a version's objects, which must be whole, and count."""
    label = f"{manifest.name}@{manifest.version}"
    try:
        tables = [
            canonical_table(read_frame(workspace.objects, [oid], None, label).rechunk().to_arrow())
            for oid in oids
        ]
    except MlforgeError as error:
        return Recount(error.cause or error.message)
    if difference := _difference(manifest, tables, is_own=list(oids) == _objects(manifest)):
        return Recount(difference)
    table = pa.concat_tables(tables)
    content = hash_content(table, manifest.schema).hash
    if content != manifest.content_hash:
        return Recount(f"their content is {content.short}, and not {manifest.content_hash.short}")
    return Recount(None, profile_of(table.column, table.num_rows, manifest.schema, content))


def _objects(manifest: Manifest) -> list[ObjectId]:
    return [part.object for part in manifest.parts]


def _difference(manifest: Manifest, tables: Sequence[pa.Table], *, is_own: bool) -> str | None:
    # Alternates hold the same rows, and may cut them otherwise.
    rows = [table.num_rows for table in tables]
    if (is_own and rows != [part.rows for part in manifest.parts]) or sum(rows) != manifest.rows:
        return f"there are {sum(rows):,} rows, and not {manifest.rows:,}"
    if any(columns_of(table.schema) != manifest.schema.columns for table in tables):
        return "their columns or types are others"
    return None


def profile_difference(profile: Profile, counted: Profile) -> str | None:
    """What a profile says otherwise than the rows, in words; None: nothing."""
    if profile == counted:
        return None
    names = [
        column.name
        for column, other in zip(counted.columns, profile.columns, strict=False)
        if column != other
    ]
    return f"its statistics of {', '.join(names) or 'keys and times'} are not those of the rows"
