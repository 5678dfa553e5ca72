"""Faults: what git's files and the disk can do wrong, in mlforge's words."""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import error as StructError

from dulwich.errors import ChecksumMismatch, FileFormatException, WrongObjectException

from mlforge.errors import RepositoryCorrupt, StorageFailed

# All that dulwich raises when bytes are not what git wrote; not all of it is named as such.
UNREADABLE = (
    ChecksumMismatch,
    FileFormatException,
    WrongObjectException,
    AssertionError,
    EOFError,
    LookupError,
    StructError,
    ValueError,
    binascii.Error,
    zlib.error,
)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Translate what goes wrong while git's own data is read."""
    try:
        yield
    except OSError as error:
        raise storage_failed(what, error) from error
    except UNREADABLE as error:
        raise RepositoryCorrupt(
            f"{what} cannot be read",
            cause=f"{type(error).__name__}: {error}",
            hint="git fsck",
        ) from error


@contextmanager
def storing(where: Path) -> Iterator[None]:
    """Translate what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise storage_failed(str(error.filename or where), error) from error


def storage_failed(what: str, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"{what}: {error.strerror or error}",
        hint="check free space and permissions, then run the same command again",
    )
