"""Compute: a feature's rows, made by an engine and kept as an object.

Loaded only when something must be computed: it brings the engine's libraries with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from mlforge.arrow import canonical_table
from mlforge.content import changed_columns, hash_content
from mlforge.engines.base import Computed, Engine
from mlforge.engines.profiles import profile_of
from mlforge.errors import MlforgeError
from mlforge.flows.decide import Product
from mlforge.flows.ingredients import Ingredients
from mlforge.flows.workspace import Workspace
from mlforge.ids import ContentHash
from mlforge.manifest import Manifest, Part
from mlforge.objects.parquet import read_frame, write_table


def compute(
    workspace: Workspace,
    ingredients: Ingredients,
    engine: Engine,
    *,
    is_stored: bool,
    check: Callable[[ContentHash], None] = lambda content: None,
) -> tuple[Product, int]:
    """The product, and how many bytes are new in the object store.

    `check` may refuse the content; then nothing is stored.
    """
    computed = engine.run(ingredients.feature, ingredients.files)
    content = hash_content(computed.rows, computed.schema)
    check(content.hash)
    parts, new_bytes = _store(workspace, computed) if is_stored else ((), 0)
    profile = profile_of(computed.rows, computed.schema, content.hash) if is_stored else None
    product = Product(
        name=ingredients.feature.name,
        declared=ingredients.declared(computed.schema, content.hash),
        recipe=ingredients.recipe,
        parts=parts,
        rows=computed.rows.num_rows,
        excluded=computed.excluded,
        horizon=computed.horizon,
        is_computed=True,
        renamed_from=ingredients.feature.renamed_from,
        profile=profile,
    )
    return product, new_bytes


def _store(workspace: Workspace, computed: Computed) -> tuple[tuple[Part, ...], int]:
    objects = workspace.objects
    with objects.scratch(".parquet") as path:
        write_table(computed.rows, path)
        size = path.stat().st_size
        oid = objects.put(path)
        is_new = not path.exists()
    return (Part(oid, computed.rows.num_rows, size),), size if is_new else 0


def moving_columns(workspace: Workspace, current: Manifest, product: Product) -> str:
    """Which columns differ between a head's objects and a product's, in words."""
    if not product.parts:
        return "which columns, a build without --dry-run tells"
    try:
        old, new = (_table(workspace, parts) for parts in (current.parts, product.parts))
    except MlforgeError as error:
        # The build itself is done: what cannot be compared must not hide its outcome.
        return f"the head's rows cannot be compared: {error.message}"
    names = changed_columns(old, new, product.declared.schema)
    return "columns " + ", ".join(names) if names else "other rows"


def _table(workspace: Workspace, parts: Sequence[Part]) -> pa.Table:
    oids = [part.object for part in parts]
    return canonical_table(
        read_frame(workspace.objects, oids, None, "the rows to compare").rechunk().to_arrow()
    )
