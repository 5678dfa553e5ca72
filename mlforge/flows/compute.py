"""Compute: a feature's rows, made by an engine and kept as an object.

Loaded only when something must be computed: it brings the engine's libraries with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from mlforge.arrow import arrow_schema, canonical_array, canonical_table
from mlforge.content import ContentHasher, changed_columns
from mlforge.engines.base import Computed, Engine
from mlforge.engines.profiles import profile_of
from mlforge.errors import MlforgeError
from mlforge.flows.decide import Product
from mlforge.flows.ingredients import Ingredients
from mlforge.flows.spill import spill
from mlforge.flows.workspace import Workspace
from mlforge.ids import ContentHash
from mlforge.manifest import Manifest, Part
from mlforge.objects.parquet import TableWriter, read_column
from mlforge.objects.scan import read_frame
from mlforge.profile import Profile

# Rows up to so many bytes are kept until their statistics are taken; more are read again.
_KEPT_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class Way:
    """How to compute: with which engine, of events up to when, and whether rows are stored."""

    engine: Engine
    as_of: int | None
    is_stored: bool


def compute(
    workspace: Workspace,
    ingredients: Ingredients,
    way: Way,
    *,
    check: Callable[[ContentHash], None] = lambda content: None,
) -> tuple[Product, int]:
    """The product, and how many bytes are new in the object store.

    `check` may refuse the content; then nothing is stored.
    """
    feature, files = ingredients.feature, ingredients.files
    with (
        spill(workspace) as folder,
        way.engine.run(feature, files, folder, way.as_of) as computed,
    ):
        rows = _Rows(computed)
        if not way.is_stored:
            rows.take(None)
            check(rows.content)
            return _product(ingredients, computed, rows, (), None), 0
        with workspace.objects.scratch(".parquet") as path:
            rows.take(path)
            check(rows.content)
            profile = rows.profile(path)
            part, new_bytes = _put(workspace, path, rows.count)
    return _product(ingredients, computed, rows, (part,), profile), new_bytes


class _Rows:
    """An engine's rows, hashed and written as they come: the memory holds a few batches."""

    def __init__(self, computed: Computed) -> None:
        self._computed = computed
        self._schema = computed.schema
        self._hasher = ContentHasher(computed.schema)
        self._kept: list[pa.Table] | None = []
        self._bytes = 0

    def take(self, path: Path | None) -> None:
        """All of them, into a file or nowhere."""
        schema = arrow_schema(self._schema)
        with TableWriter(path, schema) if path else nullcontext() as writer:
            for batch in self._computed.batches:
                table = pa.Table.from_batches([batch])
                self._hasher.update(table)
                self._keep(table)
                if writer is not None:
                    writer.write(table)

    @property
    def count(self) -> int:
        return self._hasher.rows

    @property
    def content(self) -> ContentHash:
        return self._hasher.content().hash

    def _keep(self, table: pa.Table) -> None:
        self._bytes += table.nbytes
        if self._kept is not None:
            self._kept.append(table)
            if self._bytes > _KEPT_BYTES:
                self._kept = None

    def profile(self, path: Path) -> Profile:
        """The statistics of the rows, which `path` holds."""
        if self._kept is not None:
            table = pa.concat_tables([arrow_schema(self._schema).empty_table(), *self._kept])
            return profile_of(table.column, self.count, self._schema, self.content)
        columns = partial(_written_column, path)
        return profile_of(columns, self.count, self._schema, self.content, at_once=1)


def _written_column(path: Path, name: str) -> pa.ChunkedArray:
    column = pa.chunked_array([read_column(path, name).to_arrow()])
    return pa.chunked_array([canonical_array(column, name)])


def _put(workspace: Workspace, path: Path, rows: int) -> tuple[Part, int]:
    size = path.stat().st_size
    oid = workspace.objects.put(path)
    return Part(oid, rows, size), 0 if path.exists() else size


def _product(
    ingredients: Ingredients,
    computed: Computed,
    rows: _Rows,
    parts: tuple[Part, ...],
    profile: Profile | None,
) -> Product:
    return Product(
        name=ingredients.feature.name,
        declared=ingredients.declared(computed.schema, rows.content, computed.horizon),
        recipe=ingredients.recipe,
        parts=parts,
        rows=rows.count,
        excluded=computed.excluded,
        horizon=computed.horizon,
        is_computed=True,
        renamed_from=ingredients.feature.renamed_from,
        profile=profile,
    )


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
