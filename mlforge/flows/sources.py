"""Sources: a declared source found on disk, and the digest of its bytes."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mlforge.canonical import Plain, decode, encode
from mlforge.definitions.source import Source
from mlforge.engines.base import SourceFiles
from mlforge.errors import Corrupt, SourceNotFound
from mlforge.ids import Digest, SourceDigest, hash_file
from mlforge.manifest import SourceRecord
from mlforge.objects.files import write_cache
from mlforge.types import DataType


def find_files(source: Source, root: Path, feature: str) -> SourceFiles:
    """The files of a source; a relative path starts at `root`. Raises SourceNotFound."""
    path = _place(str(root), str(source.path))
    # A name that is there means itself, also with a bracket in it.
    if os.path.isfile(path):
        paths = [path]
    else:
        pattern = Path(str(source.path)).expanduser()
        found = glob.glob(str(pattern), root_dir=root, recursive=True)
        paths = sorted(root / name for name in found if (root / name).is_file())
    if not paths:
        raise SourceNotFound(
            f"{feature}: the source {source.text} is not there",
            cause=f"no file {path}",
            hint="a relative path starts at the project's root, where mlforge.toml is",
        )
    types = {
        name: type if isinstance(type, DataType) else DataType.parse(type)
        for name, type in (source.schema or {}).items()
    }
    return SourceFiles(tuple(paths), source.file_format, types)


@lru_cache(maxsize=1024)
def _place(root: str, path: str) -> Path:
    return Path(root, Path(path).expanduser())


def record(source: Source, files: SourceFiles, digests: DigestCache) -> SourceRecord:
    """What a manifest says of a source: its declared text and the digest of its files."""
    parts = [[path.name, digests.digest(path).hex] for path in files.paths]
    digest = SourceDigest(parts[0][1]) if len(parts) == 1 else SourceDigest.of(encode(parts))
    return SourceRecord(source.text, digest)


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
