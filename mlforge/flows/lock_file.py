"""Lock file: where the lock of an output stands, and what it says."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from mlforge.errors import InvalidUsage, LockCorrupt, LockNotFound, MlforgeError
from mlforge.lock import LARGEST, SUFFIX, Lock
from mlforge.objects.files import storage_errors


def lock_path(output: Path) -> Path:
    """Where the lock of an output is: `train.lock.json` beside `train.parquet`."""
    return output.with_name(output.stem + SUFFIX)


def read_lock(path: Path) -> Lock:
    """Raises InvalidUsage, LockNotFound, LockCorrupt, FormatUnknown, StorageFailed."""
    place = lock_path(path)
    if not path.name.endswith(SUFFIX) and place.is_file():
        raise InvalidUsage(
            f"{path} is no lock; {place} is", hint=f"mlforge reproduce {shlex.quote(str(place))}"
        )
    with storage_errors(path, "read"):
        if not os.path.lexists(path):
            raise _not_there(path)
        # Another kind of file may never end.
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise LockCorrupt(
                f"{path} is no file, or too large to be a lock", hint="name an OUT.lock.json"
            )
        data = path.read_bytes()
    return Lock.decode(data, str(path))


def output_of(place: Path) -> str | None:
    """The file that the lock at a place says it is of; None if no lock can be read there."""
    if not place.is_file():
        return None
    try:
        return read_lock(place).output
    except MlforgeError:
        return None


def _not_there(path: Path) -> LockNotFound:
    stem = path.name.removesuffix(SUFFIX)
    outputs = [path.with_name(stem + kind) for kind in (".parquet", ".csv")]
    output = next((output for output in outputs if output.is_file()), None)
    if output is not None and path.name.endswith(SUFFIX):
        return LockNotFound(
            f"the lock {path} is not there",
            cause=f"{output} is: its training was broken off, or is older than locks",
            hint=f"mlforge train ... -o {output}",
        )
    return LockNotFound(
        f"the lock {path} is not there", hint="mlforge train ... -o OUT.parquet writes one"
    )
