"""Files: how mlforge writes to a disk: unique temporary file, fsync, rename, fsync the folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from mlforge.errors import StorageFailed

TEMPORARY_PREFIX = ".tmp-"


@contextmanager
def storage_errors(path: Path, verb: Literal["read", "write"] = "write") -> Iterator[None]:
    """Turn the disk's refusals into StorageFailed."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"cannot {verb} {error.filename or path}",
            cause=error.strerror or str(error),
            hint=f"df -h {path.parent}; ls -ld {path.parent}",
        ) from error


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(path: Path) -> Path:
    """A new name beside a file, which the store's .gitignore covers."""
    return path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}-{path.name}")


def write_cache(path: Path, data: bytes) -> None:
    """Write a file that can be made again; a disk that refuses it fails nothing."""
    with suppress(OSError, StorageFailed):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data)


def write_file(path: Path, data: bytes) -> None:
    """Replace a file at once and durably; its folder must be there."""
    with storage_errors(path):
        temporary = temporary_name(path)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
