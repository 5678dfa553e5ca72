"""Lock: what a training set was made from, written down so that it can be made again."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlforge.content import Content, content_hash
from mlforge.flows.ingredients import SEMANTICS
from mlforge.flows.joining import Selected
from mlforge.flows.tally import canonical_columns
from mlforge.flows.train import Trained
from mlforge.ids import ColumnDigest
from mlforge.lock import (
    Lock,
    LockedColumn,
    LockedFeature,
    LockedSpine,
    SpineColumn,
    is_file_name,
    is_path,
)
from mlforge.plugins import package_version

if TYPE_CHECKING:
    import polars as pl

# What computes a training set, whatever engine made the features.
_PACKAGES = ("mlforge", "numpy", "polars", "pyarrow", "tzdata")


def lock_of(trained: Trained, spine: Path | None, root: Path) -> Lock:
    """The lock of what was joined.

    `spine`: the file that it was read from. `root`: of the work tree.
    """
    rows = trained.provenance.rows
    return Lock(
        commit=trained.provenance.commit,
        is_dirty=trained.provenance.is_dirty,
        features=tuple(_feature(s, trained) for s in trained.chosen),
        spine=replace(
            spine_of(trained.spine, rows, trained.content),
            file=None if spine is None or not is_file_name(spine.name) else spine.name,
            path=None if spine is None else _path_below(root, spine),
        ),
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


def _path_below(root: Path, file: Path) -> str | None:
    """A file as git would name it; None if it is elsewhere, or a lock may not say it."""
    # As it was typed: a folder of the work tree may be a link to another disk.
    for found in (Path(os.path.abspath(file)), file.resolve()):
        if found.is_relative_to(root) and found.name == file.name:
            path = found.relative_to(root).as_posix()
            return path if is_path(path) else None
    return None


def spine_of(spine: pl.DataFrame, rows: int, content: Content) -> LockedSpine:
    """A spine of so many rows by content, without its file.

    `content`: of a frame that has at least its columns.
    """
    columns = tuple(c for c in canonical_columns(spine) if c.name in content.columns)
    hashed = {column.name for column in columns}
    return LockedSpine(
        file=None,
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
