"""Scan: the one reader of Parquet, CSV and Arrow sources, for every engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from mlforge.engines.base import SourceFiles
from mlforge.engines.partitions import keys_above, partitions_of
from mlforge.errors import ColumnNotFound, SourceUnreadable, did_you_mean
from mlforge.types import DataType, TypeKind
from mlforge.types.polars import to_polars

_SOURCE_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
_CSV_HINT = "correct the value, or declare the column's type: Source(..., schema={...})"
_COLUMNS_HINT = "write all files of a source with the same columns and types"


def scan(files: SourceFiles) -> pl.LazyFrame:
    """All files as one lazy frame. Raises SourceUnreadable where the types already fail."""
    partitions = partitions_of(files)
    try:
        if files.format == "csv":
            return _scan_csv(files, partitions)
        _check_declared(files, partitions.columns, "is no partition of its folder")
        if files.format == "arrow":
            # Polars would leave out what only a later file has.
            _check_same_columns(files, [[*pl.read_ipc_schema(path)] for path in files.paths])
        return _scan_typed(files, partitions)
    except _SOURCE_ERRORS as error:
        raise _unreadable(files, error) from error


def check_readable(files: SourceFiles, error: BaseException) -> None:
    """Raise SourceUnreadable if the source alone, without the user's function, cannot be read."""
    if not isinstance(error, _SOURCE_ERRORS):
        return
    try:
        scan(files).select(pl.all().null_count()).collect()
    except _SOURCE_ERRORS as source_error:
        raise _unreadable(files, source_error) from source_error


def _scan_typed(files: SourceFiles, partitions: pl.DataFrame) -> pl.LazyFrame:
    """Files that know their types, and their partitions as Polars' own, so that it skips files."""
    paths = list(files.paths)
    if files.folder is None or not partitions.width:
        return _opened(files.format, paths, None)
    above = keys_above(files.folder)
    if above:
        own = _opened(files.format, paths[:1], None).collect_schema()
        _check_not_hidden(files, above, [*own, *partitions.columns])
    # Polars takes keys of all the path: those above the source are no columns of it.
    schema = {**dict.fromkeys(above, pl.String()), **partitions.schema}
    return _opened(files.format, paths, schema).drop(above)


def _check_not_hidden(files: SourceFiles, above: list[str], columns: list[str]) -> None:
    """A key above the source would take the place of a column of that name."""
    for key in above:
        if key in columns:
            raise SourceUnreadable(
                f"the column {key} is named like a folder above the source",
                cause=f"{key}= is in {files.folder}",
                hint="move the project, or rename that folder",
            )


def _opened(
    format: str, paths: list[Path], partitions: Mapping[str, pl.DataType] | None
) -> pl.LazyFrame:
    scan_format = pl.scan_ipc if format == "arrow" else pl.scan_parquet
    return scan_format(
        paths,
        glob=False,
        hive_partitioning=partitions is not None,
        hive_schema=partitions,
    )


def _check_same_columns(files: SourceFiles, columns: list[list[str]]) -> None:
    for path, names in zip(files.paths, columns, strict=True):
        if {*names} != {*columns[0]}:
            raise SourceUnreadable(
                f"{path.name} has other columns than {files.paths[0].name}",
                cause=f"{', '.join(names)} instead of {', '.join(columns[0])}",
                hint=_COLUMNS_HINT,
            )


def _scan_csv(files: SourceFiles, partitions: pl.DataFrame) -> pl.LazyFrame:
    declared = {name: type for name, type in files.schema.items() if name not in partitions.columns}
    schemas = [_inferred(path, declared) for path in files.paths]
    names = list(schemas[0])
    _check_same_columns(files, [list(schema) for schema in schemas])
    lack = f"{files.paths[0].name} has not"
    _check_declared(files, [*names, *partitions.columns], lack)
    types = {name: _common([schema[name] for schema in schemas]) for name in names}
    texts = {name: pl.String() if name in declared else type for name, type in types.items()}
    frames = [
        pl.scan_csv(path, schema_overrides=texts, glob=False).select(names).with_columns(values)
        for path, values in zip(files.paths, _literals(partitions, len(files.paths)), strict=True)
    ]
    parsed = [_parsed(name, type) for name, type in declared.items()]
    return pl.concat(frames).with_columns(parsed) if parsed else pl.concat(frames)


def _literals(partitions: pl.DataFrame, count: int) -> list[list[pl.Expr]]:
    """The columns that each of `count` files gets from its path."""
    columns = partitions.get_columns()
    return [[pl.lit(c[row], c.dtype).alias(c.name) for c in columns] for row in range(count)]


def _check_declared(files: SourceFiles, names: Iterable[str], lack: str) -> None:
    for name in files.schema:
        if name not in names:
            raise ColumnNotFound(
                f"the source's schema declares {name}, which {lack}",
                hint=did_you_mean(name, names),
            )


def _inferred(path: Path, declared: Iterable[str]) -> pl.Schema:
    texts = dict.fromkeys(declared, pl.String())
    frame = pl.scan_csv(path, infer_schema_length=None, glob=False)
    if set(texts) <= set(pl.read_csv(path, n_rows=0, infer_schema_length=0, glob=False).columns):
        frame = pl.scan_csv(path, infer_schema_length=None, schema_overrides=texts, glob=False)
    return frame.collect_schema()


def _common(types: list[pl.DataType]) -> pl.DataType:
    """The type of a column over several files: a number if all are numbers, else text."""
    if len(set(types)) == 1:
        return types[0]
    return pl.Float64() if all(type.is_numeric() for type in types) else pl.String()


def _parsed(name: str, type: DataType, is_strict: bool = True) -> pl.Expr:
    """A text column as its declared type; what does not parse is an error, or null if not strict.

    Polars rounds digits that a decimal or a time cannot hold: those are made unparsable first.
    """
    text = pl.col(name)
    if type.kind not in (TypeKind.STRING, TypeKind.BINARY):
        text = text.str.strip_chars()
    match type.kind:
        case TypeKind.STRING:
            return text
        case TypeKind.BOOL:
            words = {"true": True, "false": False}
            lower = text.str.to_lowercase()
            if is_strict:
                return lower.replace_strict(words, return_dtype=pl.Boolean)
            return lower.replace_strict(words, default=None, return_dtype=pl.Boolean)
        case TypeKind.DATETIME:
            zone = "UTC" if type.is_utc else None
            exact = _with_microseconds(_without(text, r"\.[0-9]{6}[0-9]*[1-9]"))
            return exact.str.to_datetime(time_unit="us", time_zone=zone, strict=is_strict)
        case TypeKind.DATE:
            return text.str.to_date(strict=is_strict)
        case TypeKind.TIME:
            return text.str.to_time(strict=is_strict)
        case TypeKind.DECIMAL:
            exact = _without(text, rf"\.[0-9]{{{type.scale}}}[0-9]*[1-9]")
            return exact.cast(to_polars(type), strict=is_strict)
        case TypeKind.DURATION:
            return text.cast(pl.Int64, strict=is_strict).cast(pl.Duration("us"))
        case _:
            return text.cast(to_polars(type), strict=is_strict)


def _without(text: pl.Expr, pattern: str) -> pl.Expr:
    return pl.when(text.str.contains(pattern)).then(text + pl.lit(" is too long")).otherwise(text)


def _with_microseconds(text: pl.Expr) -> pl.Expr:
    """Six digits where there is a fraction: the first Polars that is allowed knows 3, 6 and 9."""
    longer = text.str.replace(r"(:[0-9]{2}\.[0-9]+)", "${1}00000")
    return longer.str.replace(r"(:[0-9]{2}\.[0-9]{6})[0-9]+", "${1}")


def _unreadable(files: SourceFiles, error: BaseException) -> SourceUnreadable:
    names = ", ".join(f"{path.parent.name}/{path.name}" for path in files.paths[:3])
    odd = (_misfit(files), _CSV_HINT) if files.format == "csv" else _odd_file(files)
    cause, hint = odd or (None, None)
    return SourceUnreadable(
        f"{names} cannot be read as {files.format}", cause=cause or _first_line(error), hint=hint
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


def _misfit(files: SourceFiles) -> str | None:
    """The first value of a CSV that is not of its declared type, with its row."""
    for path in files.paths if files.schema else ():
        try:
            frame = pl.read_csv(path, infer_schema_length=0, glob=False)
        except pl.exceptions.PolarsError:
            return None  # What is wrong is not a value: the first error stands.
        for name, type in files.schema.items():
            if name not in frame.columns:
                continue  # A partition: its values have been read.
            parsed = _parsed(name, type, is_strict=False)
            wrong = frame.select(pl.col(name).is_not_null() & parsed.is_null()).to_series()
            row = wrong.arg_max() if wrong.any() else None
            if row is not None:
                value = frame[name][row]
                return f"row {row + 1} of {path.name}: {value!r} in column {name} is no {type}"
    return None


def _odd_file(files: SourceFiles) -> tuple[str, str | None] | None:
    """The first file that is broken, or has not the first one's columns: why, and a hint."""
    first: pl.Schema | None = None
    for path in files.paths:
        try:
            schema = _opened(files.format, [path], None).collect_schema()
        except _SOURCE_ERRORS as error:
            return _told_by_first_bytes(path) or (f"{path.name}: {_first_line(error)}", None)
        first = first or schema
        for name in sorted({*first, *schema}):
            if first.get(name) != schema.get(name):
                cause = (
                    f"{name} is {_of(schema, name, path)} and {_of(first, name, files.paths[0])}"
                )
                return cause, _COLUMNS_HINT
    return None


def _of(schema: pl.Schema, name: str, path: Path) -> str:
    return f"{schema[name]} in {path.name}" if name in schema else f"not in {path.name}"


def _told_by_first_bytes(path: Path) -> tuple[str, str | None] | None:
    """What a file is that only looks like an Arrow file, and the Python that makes it one."""
    try:
        with path.open("rb") as file:
            begin = file.read(4)
    except OSError:
        return None  # The error that was met stands.
    match begin:
        case b"FEA1":
            again = "feather.write_feather(feather.read_table(path), path)"
            return f"{path.name} is Feather of version 1", f"from pyarrow import feather; {again}"
        case b"\xff\xff\xff\xff":
            again = "polars.read_ipc_stream(path).write_ipc(path)"
            return f"{path.name} is a stream of Arrow, and no file", again
        case b"":
            return f"{path.name} is empty", None
        case _:
            return None
