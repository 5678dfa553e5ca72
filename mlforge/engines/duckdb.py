"""DuckDB: an engine for data larger than memory: it sorts on the disk, the rest is shared code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow as pa

from mlforge.definitions.feature import Feature
from mlforge.engines.base import Computed, Failure, SourceFiles
from mlforge.engines.finish import finished
from mlforge.engines.function import batches_of, output_of, schema_of
from mlforge.engines.intake import Intake, schema_for
from mlforge.engines.metrics import block_events
from mlforge.engines.validation import Validation
from mlforge.errors import StorageFailed, UnsupportedType
from mlforge.schema import Schema

if TYPE_CHECKING:
    from mlforge.types.polars import PolarsType

_EXAMPLES = 3
_OTHER_ENGINE = 'build this feature with engine="polars"'
# Of its own limit; the disk is told of in other words.
_OUT_OF_MEMORY = ("could not allocate", "failed to allocate", "failed to pin")
# No column is called so.
_ROW = "\0row"
# A thread holds a block of each column while it sorts.
_MEGABYTES_A_COLUMN = 1


class DuckDBEngine:
    """Rows go through the function in batches, are sorted on the disk, and come back by keys.

    Memory is bounded by DuckDB's limit, a few batches and blocks of rows on each core, and the
    events of the largest key, as long as the function is one that Polars can stream. `megabytes`:
    DuckDB's limit, before it writes to the disk; it gets more for many columns.
    """

    def __init__(self, megabytes: int = 1000) -> None:
        self._megabytes = megabytes

    @property
    def name(self) -> str:
        return "duckdb"

    def schema(self, feature: Feature, files: SourceFiles) -> Schema:
        """The schema of the rows; only an eager function is computed for it."""
        return schema_for(feature, files)

    def validate(self, feature: Feature, files: SourceFiles, scratch: Path) -> tuple[Failure, ...]:
        """Every validator that the function's output fails; empty when all hold."""
        output = output_of(feature, files)
        validation = Validation(feature, schema_of(feature, files, output))
        with _connected(scratch, self._megabytes, len(validation.columns)) as connection:
            uniques = _Uniques(connection, feature, validation)
            for batch in batches_of(feature, files, output, validation.columns):
                validation.take(batch, is_all=False)
                uniques.take(batch)
            uniques.settle()
        return validation.failures

    @contextmanager
    def run(
        self, feature: Feature, files: SourceFiles, scratch: Path, as_of: int | None = None
    ) -> Iterator[Computed]:
        """The rows. Raises ValidationFailed before anything else is computed."""
        intake = Intake(feature, files, as_of)
        with _connected(scratch, self._megabytes, len(intake.columns)) as connection:
            uniques = _Uniques(connection, feature, intake.validation)
            events = _Table(connection, "events")
            for batch in intake.batches():
                uniques.take(batch)
                events.append(intake.ready(batch))
            uniques.settle()
            intake.validation.check()
            # Who holds a result holds DuckDB's files.
            frames = events.ordered(feature.order, block_events(feature))
            with closing(finished(feature, intake, frames)) as rows:
                yield Computed(intake.schema, rows, intake.excluded, intake.horizon)


class _Uniques:
    """`unique` validators, which look at all rows at once."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, feature: Feature, validation: Validation
    ) -> None:
        self._validation, self._asked = validation, validation.uniques
        self._keys = feature.keys
        self._table = _Table(connection, "checked")
        self._rows = 0

    def take(self, batch: pl.DataFrame) -> None:
        """The next rows of the function's output."""
        if not self._asked:
            return
        names = dict.fromkeys(
            [*(key for key in self._keys if key in batch.columns), *(c for _, c in self._asked)]
        )
        self._table.append(batch.select(list(names)).with_row_index(_ROW, self._rows))
        self._rows += len(batch)

    def settle(self) -> None:
        """Tell the validation what repeats."""
        for number, column in self._asked if self._rows else ():
            count, first = self._table.repeated(column)
            if count:
                rows = first[_ROW].to_list()
                self._validation.add(number, count, first.drop(_ROW), rows)


class _Table:
    """Rows in DuckDB, on the disk where they do not fit. Columns are called by their number."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        self._connection, self._name = connection, name
        self._schema: pl.Schema | None = None

    def append(self, frame: pl.DataFrame) -> None:
        if self._schema is not None and not len(frame):
            return
        table = _stored(frame).to_arrow(compat_level=pl.CompatLevel.oldest())
        verb = f"INSERT INTO {self._name}" if self._schema else f"CREATE TEMP TABLE {self._name} AS"
        self._schema = self._schema or frame.schema
        with _told():
            self._connection.register("batch", table)
            try:
                self._connection.execute(f"{verb} FROM batch")
            finally:
                self._connection.unregister("batch")

    def ordered(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """All rows by these columns, of which none is null; so many at a time."""
        if self._schema is not None:
            order = ", ".join(map(self._number, columns))
            yield from self._frames(f"FROM {self._name} ORDER BY {order}", rows)

    def repeated(self, column: str) -> tuple[int, pl.DataFrame]:
        """How many rows have a value that others have, too, and the first of them."""
        assert self._schema is not None
        name, row = self._number(column), self._number(_ROW)
        groups = (
            f"SELECT {name}, count(*) AS times FROM {self._name} WHERE {name} IS NOT NULL "
            f"GROUP BY {name} HAVING times > 1"
        )
        with _told():
            found = self._connection.execute(f"SELECT sum(times) FROM ({groups})").fetchall()
        query = f"FROM {self._name} SEMI JOIN ({groups}) USING ({name}) ORDER BY {row}"
        frames = self._frames(f"{query} LIMIT {_EXAMPLES}", _EXAMPLES)
        return int(found[0][0] or 0), pl.concat([self._schema.to_frame(), *frames])

    def _number(self, column: str) -> str:
        assert self._schema is not None
        return f"c{self._schema.names().index(column)}"

    def _frames(self, query: str, rows: int) -> Iterator[pl.DataFrame]:
        assert self._schema is not None
        with _told():
            relation = self._connection.sql(query)
            # Its name since 2.0; before, it had the other one.
            read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
            reader: pa.RecordBatchReader = read(rows)
        while True:
            with _told():
                batch = next(reader, None)
            if batch is None:
                return
            yield _restored(batch, self._schema)


def _stored(frame: pl.DataFrame) -> pl.DataFrame:
    """With numbers for names, and in types of which DuckDB has each value."""
    columns = [
        column.cast(_storable(column.dtype)).alias(f"c{number}")
        for number, column in enumerate(frame)
    ]
    return pl.DataFrame(columns)


def _restored(batch: pa.RecordBatch, schema: pl.Schema) -> pl.DataFrame:
    frame = pl.DataFrame(batch)
    columns = zip(frame, schema.items(), strict=True)
    return pl.DataFrame([column.cast(dtype).alias(name) for column, (name, dtype) in columns])


def _storable(dtype: PolarsType) -> PolarsType:
    """Times as the integers that they are: DuckDB's have other units. Flags as bytes: the lowest
    release that is allowed reads some from Arrow wrongly."""
    if isinstance(dtype, pl.List):
        return pl.List(_storable(dtype.inner))
    if isinstance(dtype, pl.Array):
        return pl.Array(_storable(dtype.inner), dtype.size)
    if isinstance(dtype, pl.Struct):
        return pl.Struct([pl.Field(f.name, _storable(f.dtype)) for f in dtype.fields])
    if dtype == pl.Boolean:
        return pl.UInt8()
    if dtype == pl.Date:
        return pl.Int32()
    return pl.Int64() if dtype.is_temporal() else dtype


@contextmanager
def _connected(scratch: Path, megabytes: int, columns: int) -> Iterator[duckdb.DuckDBPyConnection]:
    threads = os.cpu_count() or 1
    room = megabytes + columns * threads * _MEGABYTES_A_COLUMN
    # DuckDB makes the folder itself when it needs one, but not those above it.
    with suppress(OSError):
        scratch.parent.mkdir(parents=True, exist_ok=True)
    with _told():
        connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{room}MB",
                "threads": threads,
                "temp_directory": str(scratch),
                "preserve_insertion_order": False,
            },
        )
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _told() -> Iterator[None]:
    """DuckDB's refusals as mlforge's; what is left is a fault of ours."""
    try:
        yield
    except (duckdb.ConversionException, duckdb.NotSupportedError) as error:
        raise UnsupportedType(
            "DuckDB cannot hold these columns", cause=_line(error), hint=_OTHER_ENGINE
        ) from error
    except (duckdb.OutOfMemoryException, duckdb.IOException, OSError, pa.ArrowException) as error:
        is_memory = any(word in str(error) for word in _OUT_OF_MEMORY)
        raise StorageFailed(
            "DuckDB cannot write what does not fit the memory",
            cause=_line(error),
            hint=_OTHER_ENGINE if is_memory else "free space on the disk of the store: df -h .",
        ) from error
    except RuntimeError as error:
        # What DuckDB makes of Ctrl-C.
        if "Query interrupted" in str(error):
            raise KeyboardInterrupt from error
        raise


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
