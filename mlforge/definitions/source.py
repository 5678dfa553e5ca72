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

Format = Literal["parquet", "csv"]
FORMATS = get_args(Format)
_CREDENTIALS = re.compile(r"://[^/@]*@")


@dataclass(frozen=True, slots=True)
class Source:
    """A Parquet or CSV file, or a glob of them. A relative path starts at the project's root.

    `format`: `"parquet"` or `"csv"`; None: as the suffix says. `schema` gives canonical types
    (`"int64"`, `"datetime[UTC]"`) to columns of a CSV; the others are inferred over the whole file.
    Rule: docs/semantics.md#sources.
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
        """The declared format, else the one that the file's suffix names."""
        return self.format or _suffix(str(self.path))

    def problems(self) -> list[str]:
        """What is wrong with the declaration, in the user's words; empty when nothing is."""
        if not str(self.path):
            return ["the source has no path"]
        if "://" in str(self.path):
            return [f"source {self.text!r}: URLs are not supported"]
        if self.file_format not in FORMATS:
            known = " or ".join(FORMATS)
            return [f"source {self.text!r}: {self.file_format or 'no format'!r} is not {known}"]
        if self.schema and self.file_format != "csv":
            return [f"source {self.text!r}: schema is for csv; a parquet file has its own"]
        return [
            f"source {self.text!r}: schema: {column}: {type!r} is not a canonical type"
            for column, type in (self.schema or {}).items()
            if not _is_type(type)
        ]


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
