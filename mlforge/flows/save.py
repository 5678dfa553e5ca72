"""Save: a training set and its lock, two files that belong together."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl

from mlforge.errors import InvalidUsage, StorageFailed
from mlforge.flows.lock_file import lock_path
from mlforge.lock import Lock
from mlforge.objects.files import storage_errors, sync_file, sync_folder, temporary_name

_WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".parquet": lambda frame, path: frame.write_parquet(path),
    ".csv": lambda frame, path: frame.write_csv(path),
}


def check_output(path: Path, spine: Path | None) -> None:
    """Refuse a file that cannot be written, or must not, before anything is computed."""
    if spine is not None and path.exists() and spine.exists() and path.samefile(spine):
        raise InvalidUsage(f"the output {path} is the spine itself", hint="-o train.parquet")
    if path.suffix.lower() not in _WRITERS:
        raise InvalidUsage(
            f"the output {path} is neither .parquet nor .csv", hint="-o train.parquet"
        )
    if not path.absolute().parent.is_dir():
        raise InvalidUsage(
            f"the folder of {path} is not there", hint=f"mkdir -p {shlex.quote(str(path.parent))}"
        )


def save(frame: pl.DataFrame, lock: Lock, path: Path) -> Path:
    """Write the output, then its lock; all or nothing. Answers where the lock is.

    A lock never stands beside another output than its own: a process that dies between the two
    leaves an output without one. Raises StorageFailed, InvalidUsage.
    """
    place = lock_path(path)
    drafts = temporary_name(path), temporary_name(place)
    with storage_errors(path):
        try:
            _write(frame, drafts[0], path)
            drafts[1].write_bytes(lock.encode())
            for draft in drafts:
                sync_file(draft)
            place.unlink(missing_ok=True)
            drafts[0].replace(path)
            drafts[1].replace(place)
            sync_folder(path.absolute().parent)
        finally:
            for draft in drafts:
                with suppress(OSError):
                    draft.unlink(missing_ok=True)
    return place


def _write(frame: pl.DataFrame, draft: Path, path: Path) -> None:
    try:
        _WRITERS[path.suffix.lower()](frame, draft)
    except pl.exceptions.ComputeError as error:
        # Polars tells a full disk by this type, too.
        if "os error" in str(error):
            raise StorageFailed(f"cannot write {path}", cause=str(error)) from error
        raise InvalidUsage(f"{path} cannot hold these columns", cause=str(error)) from error
