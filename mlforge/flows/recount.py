"""Recount: a version's rows and their content hash, computed again from its objects."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mlforge.arrow import canonical_table, columns_of
from mlforge.content import hash_content
from mlforge.errors import MlforgeError
from mlforge.flows.workspace import Workspace
from mlforge.ids import ObjectId
from mlforge.manifest import Manifest
from mlforge.objects.parquet import read_frame


def recount(workspace: Workspace, manifest: Manifest, oids: Sequence[ObjectId]) -> str | None:
    """What of the rows is not as the manifest says, in words; None if all is."""
    label = f"{manifest.name}@{manifest.version}"
    try:
        tables = [
            canonical_table(read_frame(workspace.objects, [oid], None, label).to_arrow())
            for oid in oids
        ]
    except MlforgeError as error:
        return error.cause or error.message
    rows = [table.num_rows for table in tables]
    # Alternates hold the same rows, and may cut them otherwise.
    is_own = list(oids) == [part.object for part in manifest.parts]
    if (is_own and rows != [part.rows for part in manifest.parts]) or sum(rows) != manifest.rows:
        return f"there are {sum(rows):,} rows, and not {manifest.rows:,}"
    if any(columns_of(table.schema) != manifest.schema.columns for table in tables):
        return "their columns or types are others"
    content = hash_content(pa.concat_tables(tables), manifest.schema).hash
    if content != manifest.content_hash:
        return f"their content is {content.short}, and not {manifest.content_hash.short}"
    return None
