"""Sources: a declared source found on disk, and the digest of its bytes."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mlforge.canonical import Plain, decode, encode
from mlforge.definitions.source import FORMATS, SCHEMA_RULE, Source
from mlforge.engines.base import SourceFiles
from mlforge.errors import Corrupt, SourceNotFound, SourceUnreadable
from mlforge.ids import Digest, SourceDigest, hash_file
from mlforge.manifest import SourceRecord
from mlforge.objects.files import write_cache
from mlforge.types import DataType


def find_files(source: Source, root: Path, feature: str) -> SourceFiles:
    """The files of a source; a relative path starts at `root`.

    Raises SourceNotFound, and SourceUnreadable when they are of no format, or of several.
    """
    place = _place(str(root), str(source.path))
    folder = place if place.is_dir() else None
    # A name that is there means itself, also with a bracket in it.
    if folder is not None:
        paths = sorted(_below(folder))
    elif place.is_file():
        paths = [place]
    else:
        pattern = Path(str(source.path)).expanduser()
        found = glob.glob(str(pattern), root_dir=root, recursive=True)
        paths = sorted(root / name for name in found if (root / name).is_file())
    if not paths:
        raise _not_found(source, place, feature)
    format = _format_of(source, paths, feature)
    if source.schema and folder is None and format != "csv":
        raise SourceUnreadable(f"{feature}: the source {source.text}: {SCHEMA_RULE}")
    types = {
        name: type if isinstance(type, DataType) else DataType.parse(type)
        for name, type in (source.schema or {}).items()
    }
    return SourceFiles(tuple(paths), format, types, folder)


def _below(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Every file below a folder, but those that other programs put aside: `_SUCCESS`, `.crc`."""
    real = os.path.realpath(folder)
    if real in above:  # A link to what is above it holds nothing new.
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise SourceNotFound(f"cannot read {folder}", cause=error.strerror) from error
    for entry in entries:
        if entry.name[0] == "." or (entry.name[0] == "_" and "=" not in entry.name):
            continue
        if entry.is_dir():
            yield from _below(Path(entry.path), above | {real})
        elif entry.is_file():
            yield Path(entry.path)


def _format_of(source: Source, paths: list[Path], feature: str) -> str:
    """The format of all files: the declared one, else the one that their suffixes name."""
    if source.format:
        return source.format
    formats = {Source.format_of(path.name): path.name for path in reversed(paths)}
    where = f"{feature}: the source {source.text}"
    if len(formats) > 1:
        raise SourceUnreadable(
            f"{where} has files of several formats",
            cause=", ".join(formats[format] for format in sorted(formats)),
            hint="move all but one format elsewhere; a name that begins with _ is left out",
        )
    (format,) = formats
    if format not in FORMATS:
        raise SourceUnreadable(
            f"{where} has files of no known format",
            cause=f"the ending of {paths[0].name} says nothing",
            hint='name the format: Source(..., format="parquet"), "csv" or "arrow"',
        )
    return format


def _not_found(source: Source, place: Path, feature: str) -> SourceNotFound:
    if place.is_dir():
        return SourceNotFound(
            f"{feature}: the source {source.text} is a folder without files",
            cause=f"no file below {place}",
            hint="names that begin with . or _ are left out: put a file of another name there",
        )
    return SourceNotFound(
        f"{feature}: the source {source.text} is not there",
        cause=f"no file {place}",
        hint="a relative path starts at the project's root, where mlforge.toml is",
    )


@lru_cache(maxsize=1024)
def _place(root: str, path: str) -> Path:
    return Path(root, Path(path).expanduser())


def record(source: Source, files: SourceFiles, digests: DigestCache) -> SourceRecord:
    """What a manifest says of a source: its declared text and the digest of its files.

    The path within a folder is in it, because partitions are values.
    """
    parts = [[_name(path, files.folder), digests.digest(path).hex] for path in files.paths]
    is_file = len(parts) == 1 and files.folder is None
    digest = SourceDigest(parts[0][1]) if is_file else SourceDigest.of(encode(parts))
    return SourceRecord(source.text, digest)


def _name(path: Path, folder: Path | None) -> str:
    return path.name if folder is None else path.relative_to(folder).as_posix()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file looked like when it was hashed."""

    size: int
    modified: int
    changed: int
    inode: int
    hex: str


class DigestCache:
    """Digests of files by path, size, times and inode. Deletable at any time.

    A file that changed when the cache was written, or later, is hashed again: its times may not
    tell the two states apart. git does so with its index.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Mapping[str, _Seen] = {}
        self._fresh: dict[str, _Seen] = {}
        try:
            seen, written = decode(path.read_bytes(), dict[str, _Seen]), path.stat().st_mtime_ns
            self._seen = {name: file for name, file in seen.items() if file.changed < written}
        except (OSError, Corrupt):
            # A cache: what cannot be read is computed again.
            self._seen = {}

    def digest(self, path: Path) -> Digest:
        """Raises SourceNotFound when the file goes away meanwhile."""
        try:
            status, name = os.stat(path), str(path)
            known = self._fresh.get(name) or self._seen.get(name)
            looks = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            if known is None or (known.size, known.modified, known.changed, known.inode) != looks:
                known = _Seen(*looks, hash_file(path))
                self._fresh[name] = known
        except OSError as error:
            raise SourceNotFound(f"cannot read {path}", cause=error.strerror) from error
        return Digest(known.hex)

    def save(self) -> None:
        """Keep what was hashed since."""
        if not self._fresh:
            return
        merged = {**self._seen, **self._fresh}
        fields: dict[str, Plain] = {
            path: {
                "size": s.size,
                "modified": s.modified,
                "changed": s.changed,
                "inode": s.inode,
                "hex": s.hex,
            }
            for path, s in merged.items()
        }
        write_cache(self._path, encode(fields))
        self._seen, self._fresh = merged, {}
