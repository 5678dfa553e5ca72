"""Source: the files a feature reads, as declared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Literal, get_args

from mlforge.errors import UnsupportedType
from mlforge.types import DataType

Format = Literal["parquet", "csv", "arrow"]
FORMATS = get_args(Format)
_FORMAT_OF_SUFFIX = {"ipc": "arrow", "feather": "arrow"}
SCHEMA_RULE = "schema is for csv, and for the partitions of a folder, whose path ends with /"
_CREDENTIALS = re.compile(r"://[^/@]*@")


@dataclass(frozen=True, slots=True)
class Source:
    """A Parquet, CSV or Arrow file, a glob of them, or a folder.

    A relative path starts at the project's root. Of a folder, all files below it are read, and
    `month=2024-01` in their paths is a column.

    `format`: `"parquet"`, `"csv"` or `"arrow"`; None: as the suffix says. `schema` gives canonical
    types (`"int64"`, `"datetime[UTC]"`) to columns of a CSV and to those that a folder's paths
    give; the others are inferred. Rule: docs/semantics.md#sources.
    """

    path: str | Path
    format: str | None = None
    schema: Mapping[str, DataType | str] | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """What a manifest records: the declared text if it names no machine, else the file name."""
        return _recorded(str(self.path))

    @property
    def file_format(self) -> str:
        """The declared format, else the one that the suffix names; empty: its files will say."""
        return self.format or self.format_of(str(self.path))

    @staticmethod
    def format_of(path: str) -> str:
        """The format that a path's suffix names; of any other suffix, the suffix."""
        suffix = _suffix(path)
        return _FORMAT_OF_SUFFIX.get(suffix, suffix)

    def problems(self) -> list[str]:
        """What is wrong with the declaration, in the user's words; empty when nothing is."""
        if not str(self.path):
            return ["the source has no path"]
        if "://" in str(self.path):
            return [f"source {self.text!r}: URLs are not supported"]
        if self.file_format not in FORMATS and (self.format or not self._may_be_folder):
            known = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
            return [f"source {self.text!r}: {self.file_format or 'no format'!r} is not {known}"]
        if self.schema and not self._may_be_folder and self.file_format != "csv":
            return [f"source {self.text!r}: {SCHEMA_RULE}; a {self.file_format} file has its own"]
        return [
            f"source {self.text!r}: schema: {column}: {type!r} is not a canonical type"
            for column, type in (self.schema or {}).items()
            if not _is_type(type)
        ]

    @property
    def _may_be_folder(self) -> bool:
        path = str(self.path)
        return path.endswith("/") or not (_suffix(path) or set("*?[") & {*path})


# Many features read one source, and a build asks for each.
@lru_cache(maxsize=1024)
def _recorded(text: str) -> str:
    path = PurePath(text)
    is_local = path.is_absolute() or text.startswith("~") or ".." in path.parts
    return path.name if is_local or _CREDENTIALS.search(text) else path.as_posix()


@lru_cache(maxsize=1024)
def _suffix(text: str) -> str:
    return PurePath(text).suffix.lstrip(".").lower()


def _is_type(type: object) -> bool:
    try:
        return isinstance(type, DataType) or bool(DataType.parse(str(type)))
    except UnsupportedType:
        return False
