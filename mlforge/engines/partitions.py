"""Partitions: the columns that `key=value` in the paths below a source's folder stand for."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from mlforge.engines.base import SourceFiles
from mlforge.errors import SourceUnreadable
from mlforge.types import SIGNED, UNSIGNED, DataType, TypeKind, date, int64, string
from mlforge.types.polars import to_polars

# How Hive, Spark, DuckDB and Polars write a null.
_NULL = "__HIVE_DEFAULT_PARTITION__"
_WRITTEN = {
    TypeKind.STRING: re.compile("(?s).*"),
    TypeKind.DATE: re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    **dict.fromkeys((*SIGNED, *UNSIGNED), re.compile("-?[0-9]+")),
}


def partitions_of(files: SourceFiles) -> pl.DataFrame:
    """A row a file, in the order of the files; a column a key. Raises SourceUnreadable.

    Types do not depend on the library, which may read others into values: a declared one, else
    int64 or date if all values are written so, else string.
    """
    if files.folder is None:
        return pl.DataFrame()
    texts = [_texts(path, files.folder) for path in files.paths]
    for path, text in zip(files.paths, texts, strict=True):
        if text.keys() != texts[0].keys():
            raise SourceUnreadable(
                f"{_below(path, files)} has other partitions than {_below(files.paths[0], files)}",
                cause=f"{', '.join(text) or 'none'} instead of {', '.join(texts[0]) or 'none'}",
                hint="give all files of the folder the same key=value folders",
            )
    return pl.DataFrame([_column(files, name, [text[name] for text in texts]) for name in texts[0]])


def keys_above(folder: Path) -> list[str]:
    """The keys of `key=value` in the path of the folder itself: no columns, wherever it lies."""
    return [part.split("=")[0] for part in folder.parts if part.count("=") == 1]


def _texts(path: Path, folder: Path) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for part in path.relative_to(folder).parts[:-1]:
        key, is_pair, value = part.partition("=")
        if is_pair and (not key or "=" in value or key in found):
            raise SourceUnreadable(
                f"{path.relative_to(folder)}: the folder {part} is no partition",
                cause=f"{key} is there twice" if key in found else "it is not key=value",
                hint="name each key once; a = within a value is written %3D",
            )
        if is_pair:
            found[key] = None if value == _NULL else unquote(value)
    return found


def _column(files: SourceFiles, name: str, texts: list[str | None]) -> pl.Series:
    declared = files.schema.get(name)
    if declared is not None and declared.kind not in _WRITTEN:
        raise SourceUnreadable(
            f"the partition {name} cannot be {declared}",
            hint="a partition is an integer, a string or a date; cast it in the function",
        )
    column = pl.Series(name, texts, pl.String())
    for type in [declared] if declared else [int64(), date()]:
        values = _values(column, type)
        wrong = column.is_not_null() & values.is_null()
        if not wrong.any() and values.count():
            return values
        if declared and wrong.any():
            raise _misfit(files, name, declared, wrong.arg_max() or 0)
    return column.cast(to_polars(declared or string()))


def _values(column: pl.Series, type: DataType) -> pl.Series:
    written = _WRITTEN[type.kind].fullmatch
    fits = pl.Series([text is not None and written(text) is not None for text in column])
    texts = column.to_frame().select(pl.when(fits).then(pl.col(column.name))).to_series()
    if type.kind is TypeKind.DATE:
        return texts.str.to_date("%Y-%m-%d", strict=False)
    return texts.cast(to_polars(type), strict=False)


def _misfit(files: SourceFiles, name: str, type: DataType, row: int) -> SourceUnreadable:
    return SourceUnreadable(
        f"{_below(files.paths[row], files)} is in a partition that is no {type}",
        cause=f"the key {name} is declared {type}",
        hint=f'rename the folder, or declare Source(..., schema={{"{name}": "string"}})',
    )


def _below(path: Path, files: SourceFiles) -> str:
    return path.relative_to(files.folder or path.parent).as_posix()
