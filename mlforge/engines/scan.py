"""Scan: the one reader of Parquet and CSV sources, for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from mlforge.engines.base import SourceFiles
from mlforge.errors import ColumnNotFound, SourceUnreadable, did_you_mean
from mlforge.types import DataType, TypeKind
from mlforge.types.polars import to_polars


def scan(files: SourceFiles) -> pl.LazyFrame:
    """All files as one lazy frame. Raises SourceUnreadable where the types already fail."""
    if files.format == "parquet":
        return pl.scan_parquet(list(files.paths), glob=False)
    try:
        return _scan_csv(files)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable(files, error) from error


def check_readable(files: SourceFiles, error: BaseException) -> None:
    """Raise SourceUnreadable if the source alone, without the user's function, cannot be read."""
    if not isinstance(error, pl.exceptions.PolarsError | pl.exceptions.PanicException | OSError):
        return
    try:
        scan(files).select(pl.all().null_count()).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as source_error:
        raise _unreadable(files, source_error) from source_error


def _scan_csv(files: SourceFiles) -> pl.LazyFrame:
    schemas = [_inferred(path, files.schema) for path in files.paths]
    names = list(schemas[0])
    for path, schema in zip(files.paths, schemas, strict=True):
        if list(schema) != names:
            raise SourceUnreadable(
                f"{path.name} has other columns than {files.paths[0].name}",
                cause=f"{', '.join(schema)} instead of {', '.join(names)}",
            )
    _check_declared(files, names)
    types = {name: _common([schema[name] for schema in schemas]) for name in names}
    texts = {name: pl.String() if name in files.schema else type for name, type in types.items()}
    frames = [pl.scan_csv(path, schema_overrides=texts, glob=False) for path in files.paths]
    parsed = [_parsed(name, type) for name, type in files.schema.items()]
    return pl.concat(frames).with_columns(parsed) if parsed else pl.concat(frames)


def _check_declared(files: SourceFiles, names: list[str]) -> None:
    for name in files.schema:
        if name not in names:
            raise ColumnNotFound(
                f"the source's schema declares {name}, which {files.paths[0].name} has not",
                hint=did_you_mean(name, names),
            )


def _inferred(path: Path, declared: Mapping[str, DataType]) -> pl.Schema:
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
    return SourceUnreadable(
        f"{names} cannot be read as {files.format}",
        cause=_misfit(files) or str(error).strip().split("\n")[0],
        hint="correct the value, or declare the column's type: Source(..., schema={...})"
        if files.format == "csv"
        else None,
    )


def _misfit(files: SourceFiles) -> str | None:
    """The first value of a CSV that is not of its declared type, with its row."""
    for path in files.paths if files.format == "csv" and files.schema else ():
        try:
            frame = pl.read_csv(path, infer_schema_length=0, glob=False)
        except pl.exceptions.PolarsError:
            return None  # What is wrong is not a value: the first error stands.
        for name, type in files.schema.items():
            parsed = _parsed(name, type, is_strict=False)
            wrong = frame.select(pl.col(name).is_not_null() & parsed.is_null()).to_series()
            row = wrong.arg_max() if wrong.any() else None
            if row is not None:
                value = frame[name][row]
                return f"row {row + 1} of {path.name}: {value!r} in column {name} is no {type}"
    return None
