"""Engine: the Protocol of a place where a feature's rows are computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlforge.definitions.feature import Feature
from mlforge.schema import Schema
from mlforge.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files of a source, found: absolute paths in name order, their format, declared types.

    `folder`: the declared folder that they are below; None if files are declared.
    """

    paths: tuple[Path, ...]
    format: str
    schema: Mapping[str, DataType]
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Computed:
    """What an engine makes: rows in canonical order (keys, then timestamp), unique in it.

    `batches`, to be taken once: with the columns of `schema`, in its order and types, cut anywhere.
    `excluded`: input rows without a key or a time. `horizon`: the end of the last bucket in
    microseconds; without metrics `as_of`, if it was given; None if nothing says up to when.
    """

    schema: Schema
    batches: Iterator[pa.RecordBatch]
    excluded: int
    horizon: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A validator that does not hold: how many rows fail, and the first of them as text."""

    column: str
    validator: str
    count: int
    examples: tuple[str, ...]


class Engine(Protocol):
    """Runs a feature's function and computes its rows; equal bits on every engine.

    `scratch`: a folder that it may make and fill while it runs; what is left there is removed.
    """

    @property
    def name(self) -> str: ...

    def schema(self, feature: Feature, files: SourceFiles) -> Schema:
        """The schema of the rows, without computing them."""
        ...

    def validate(self, feature: Feature, files: SourceFiles, scratch: Path) -> tuple[Failure, ...]:
        """Every validator that the function's output fails; empty when all hold."""
        ...

    def run(
        self, feature: Feature, files: SourceFiles, scratch: Path, as_of: int | None = None
    ) -> AbstractContextManager[Computed]:
        """The rows, to be taken while the context is open; of events that `as_of` knows.

        On entering all input was read. Raises ValidationFailed before anything else is computed.
        """
        ...
