"""LocalObjects: an object store in a folder of the local disk."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlforge.canonical import decode, encode_lines
from mlforge.errors import FormatUnknown, MlforgeError, ObjectNotFound
from mlforge.ids import ObjectId, hash_file
from mlforge.objects.files import storage_errors, sync_file, sync_folder, write_file

FORMAT: dict[str, int | str] = {"format": 1, "hash": "blake3"}
_SUFFIX = ".parquet"


class LocalObjects:
    """`<root>/objects/b3/ab/cd/<64 hex>.parquet`, read-only files; `<root>/tmp` beside them.

    `hides_itself`: from git, by a `.gitignore` of its own, which is written first.
    """

    def __init__(self, root: Path, *, hides_itself: bool = False) -> None:
        self.root = root
        self._hides_itself = hides_itself
        self._objects = root / "objects" / "b3"
        self._scratch = root / "tmp"
        check_format(root)

    def create(self) -> None:
        """Make the store's folders if they are not there."""
        with storage_errors(self.root):
            if self._hides_itself and not (self.root / ".gitignore").exists():
                self.root.mkdir(parents=True, exist_ok=True)
                write_file(self.root / ".gitignore", b"*\n")
            for folder in (self._objects, self._scratch):
                folder.mkdir(parents=True, exist_ok=True)
        if not (self.root / "format.json").exists():
            write_file(self.root / "format.json", encode_lines(FORMAT))

    @contextmanager
    def scratch(self, suffix: str) -> Iterator[Path]:
        self.create()
        path = self._scratch / f"{os.getpid()}-{secrets.token_hex(8)}{suffix}"
        with storage_errors(path):
            path.touch(exist_ok=False)
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def put(self, path: Path) -> ObjectId:
        with storage_errors(path):
            sync_file(path)
            oid = ObjectId(hash_file(path))
            home = self._home(oid)
            # An object that is there may be damaged: only equal bytes make a second put needless.
            if self.has(oid) and hash_file(home) == oid.hex:
                return oid
            home.parent.mkdir(parents=True, exist_ok=True)
            path.chmod(0o444)
            if home.is_dir() and not home.is_symlink():
                # Nobody's file: a folder that holds something is refused, and stays.
                home.rmdir()
            path.replace(home)
            for folder in (home.parent, home.parent.parent, self._objects):
                sync_folder(folder)
        return oid

    def path(self, oid: ObjectId) -> Path:
        home = self._home(oid)
        if not home.is_file() or home.is_symlink():
            raise ObjectNotFound(f"the object {oid.short} is not in this store")
        return home

    def place(self, oid: ObjectId) -> Path:
        """Where an object is or would be, whatever is there."""
        return self._home(oid)

    def has(self, oid: ObjectId) -> bool:
        try:
            return stat.S_ISREG(os.lstat(self._home_text(oid)).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def ids(self) -> Iterator[ObjectId]:
        for path in self._objects.glob(f"??/??/{'[0-9a-f]' * 64}{_SUFFIX}"):
            oid = ObjectId(path.stem)
            if path == self._home(oid) and self.has(oid):
                yield oid

    def _home(self, oid: ObjectId) -> Path:
        return Path(self._home_text(oid))

    def _home_text(self, oid: ObjectId) -> str:
        # Asked of every feature in every build: joining paths costs more than looking.
        return f"{self._objects}/{oid.hex[:2]}/{oid.hex[2:4]}/{oid.hex}{_SUFFIX}"


def check_format(root: Path) -> None:
    """Refuse a store that a newer mlforge has written. Raises FormatUnknown."""
    with storage_errors(root / "format.json", "read"):
        try:
            data = (root / "format.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return
    try:
        found = decode(data, dict[str, int | str], limit=4096)
    except MlforgeError as error:
        found, cause = {}, error.cause
    else:
        cause = f"format {found.get('format')}, hash {found.get('hash')}"
    if found != FORMAT:
        raise FormatUnknown(
            f"this mlforge cannot read the store {root}",
            cause=cause,
            hint="pip install --upgrade mlforge",
        )
