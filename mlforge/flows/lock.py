"""Lock: what a training set was made from, written down so that it can be made again."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlforge.content import Content, content_hash
from mlforge.errors import LockCorrupt, LockNotFound
from mlforge.flows.ingredients import SEMANTICS
from mlforge.flows.joining import Selected
from mlforge.flows.tally import canonical_columns
from mlforge.flows.train import Trained
from mlforge.ids import ColumnDigest
from mlforge.lock import (
    LARGEST,
    SUFFIX,
    Lock,
    LockedColumn,
    LockedFeature,
    LockedSpine,
    SpineColumn,
    is_file_name,
)
from mlforge.objects.files import storage_errors
from mlforge.plugins import package_version

if TYPE_CHECKING:
    import polars as pl

# What computes a training set, whatever engine made the features.
_PACKAGES = ("mlforge", "numpy", "polars", "pyarrow", "tzdata")


def lock_of(trained: Trained, spine: Path | None) -> Lock:
    """The lock of what was joined; `spine`: the file that it was read from."""
    rows = trained.provenance.rows
    return Lock(
        commit=trained.provenance.commit,
        is_dirty=trained.provenance.is_dirty,
        features=tuple(_feature(s, trained) for s in trained.chosen),
        spine=spine_of(trained.spine, rows, trained.content, spine),
        rule=trained.rule,
        semantics=SEMANTICS,
        versions=versions_here(),
        output=None,
        rows=rows,
        content_hash=trained.content.hash,
    )


def _feature(selected: Selected, trained: Trained) -> LockedFeature:
    digests, nulls = trained.content.columns, trained.nulls
    return LockedFeature(
        manifest=selected.manifest,
        commit=selected.pin.commit,
        objects=selected.pin.objects,
        columns=tuple(
            LockedColumn(name, called, nulls[called], ColumnDigest(digests[called]))
            for name, called in selected.names.items()
        ),
        on=selected.on,
    )


def spine_of(spine: pl.DataFrame, rows: int, content: Content, file: Path | None) -> LockedSpine:
    """A spine of so many rows by content. `content`: of a frame that has at least its columns."""
    columns = tuple(c for c in canonical_columns(spine) if c.name in content.columns)
    hashed = {column.name for column in columns}
    return LockedSpine(
        file=file.name if file is not None and is_file_name(file.name) else None,
        rows=rows,
        content_hash=content_hash(columns, content.columns, rows),
        columns=tuple(SpineColumn(c, ColumnDigest(content.columns[c.name])) for c in columns),
        unhashed=tuple(name for name in spine.columns if name not in hashed),
    )


def versions_here() -> Mapping[str, str]:
    """What computes a training set here, by package."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = {package: package_version(package) or "unknown" for package in _PACKAGES}
    return {**found, "python": python}


def lock_path(output: Path) -> Path:
    """Where the lock of an output is: `train.lock.json` beside `train.parquet`."""
    return output.with_name(output.stem + SUFFIX)


def read_lock(path: Path) -> Lock:
    """Raises LockNotFound, LockCorrupt, FormatUnknown, StorageFailed."""
    with storage_errors(path, "read"):
        if not os.path.lexists(path):
            raise _not_there(path)
        # Another kind of file may never end.
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise LockCorrupt(
                f"{path} is no file, or too large to be a lock", hint="name an OUT.lock.json"
            )
        data = path.read_bytes()
    return Lock.decode(data, str(path))


def _not_there(path: Path) -> LockNotFound:
    stem = path.name.removesuffix(SUFFIX)
    outputs = [path.with_name(stem + kind) for kind in (".parquet", ".csv")]
    output = next((output for output in outputs if output.is_file()), None)
    if output is not None and path.name.endswith(SUFFIX):
        return LockNotFound(
            f"the lock {path} is not there",
            cause=f"{output} is: its training was broken off, or is older than locks",
            hint=f"mlforge train ... -o {output}",
        )
    return LockNotFound(
        f"the lock {path} is not there", hint="mlforge train ... -o OUT.parquet writes one"
    )
