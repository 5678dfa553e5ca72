"""Save: a training set and its lock, two files that belong together."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import polars as pl
import pyarrow as pa

from mlforge.errors import InvalidUsage, MlforgeError, StorageFailed, UnsupportedType
from mlforge.flows.keep import keep
from mlforge.flows.lock_file import lock_path, output_of
from mlforge.flows.workspace import Workspace
from mlforge.lock import Lock
from mlforge.objects.files import storage_errors, sync_file, sync_folder, temporary_name
from mlforge.objects.parquet import TableWriter


def check_output(path: Path, spine: Path | None) -> None:
    """Refuse a file that cannot be written, or must not, before anything is computed."""
    if spine is not None and path.exists() and spine.exists() and path.samefile(spine):
        raise InvalidUsage(f"the output {path} is the spine itself", hint="-o train.parquet")
    if path.suffix.lower() not in _WRITERS:
        raise InvalidUsage(
            f"the output {path} is neither .parquet nor .csv", hint="-o train.parquet"
        )
    if path.is_dir():
        raise InvalidUsage(f"the output {path} is a folder", hint="-o train.parquet")
    if path.exists() and not path.is_file():
        raise InvalidUsage(f"the output {path} is no file", hint="-o train.parquet")
    if path.parent.exists() and not path.parent.is_dir():
        raise InvalidUsage(f"{path.parent} is no folder", hint="-o train.parquet")
    if not path.absolute().parent.is_dir():
        raise InvalidUsage(
            f"the folder of {path} is not there", hint=f"mkdir -p {shlex.quote(str(path.parent))}"
        )
    _refuse_lock_of_another(path)


def _refuse_lock_of_another(path: Path) -> None:
    """Refuse `y.csv` where `y.lock.json` is of `y.parquet`: it would lose what makes it again."""
    place = lock_path(path)
    name = output_of(place)
    if name is None:
        return
    other = place.with_name(name)
    # A lock that was copied or renamed with its output still has the old name in it.
    if lock_path(other) != place or not other.exists():
        return
    if not path.exists() or not path.samefile(other):
        raise InvalidUsage(
            f"{place} is the lock of {other}, and that of {path} would replace it",
            hint=f"-o {shlex.quote(str(path.with_stem(path.stem + '-2')))}, or take both away",
        )


class Output:
    """A file of training data and its lock, which appear together when `publish` is called.

    Rows come in blocks; however they are cut, they give the same bytes. Without `publish`, as
    after an error, nothing is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = lock_path(path)
        self._drafts = temporary_name(path), temporary_name(self._place)
        self._writer: _Writer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            if self._writer is not None:
                with suppress(OSError, MlforgeError):
                    self._writer.close(is_whole=False)
        finally:
            for draft in self._drafts:
                with suppress(OSError):
                    draft.unlink(missing_ok=True)

    def write(self, block: pl.DataFrame) -> None:
        """Go on with the next rows. Raises StorageFailed, InvalidUsage."""
        with self._told():
            if self._writer is None:
                self._writer = _WRITERS[self._path.suffix.lower()](self._drafts[0], block)
            self._writer.write(block)

    def publish(self, lock: Lock, keeper: Workspace | None) -> Path:
        """Put both in place, all or nothing. Answers where the lock is.

        A lock never stands beside another output than its own: a process that dies between the two
        leaves an output without one. `keeper`: where what it is made from is to stay.
        Raises StorageFailed, InvalidUsage.
        """
        lock = lock.written_to(self._path.name)
        with self._told():
            assert self._writer is not None
            writer, self._writer = self._writer, None
            writer.close(is_whole=True)
            self._drafts[1].write_bytes(lock.encode())
            for draft in self._drafts:
                sync_file(draft)
            self._place.unlink(missing_ok=True)
            self._drafts[0].replace(self._path)
            self._drafts[1].replace(self._place)
            sync_folder(self._path.absolute().parent)
        if keeper is not None:
            keep(keeper, lock)
        return self._place

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of writing, of the file as it was asked for."""
        with storage_errors(self._path):
            try:
                yield
            except StorageFailed as error:
                raise StorageFailed(
                    f"cannot write {self._path}", cause=error.cause, hint=error.hint
                ) from error
            except (pl.exceptions.PolarsError, pa.ArrowException, UnsupportedType) as error:
                # Polars tells a full disk by the same type as columns that do not fit.
                if "os error" in str(error):
                    raise StorageFailed(f"cannot write {self._path}", cause=str(error)) from error
                raise InvalidUsage(
                    f"{self._path} cannot hold these columns", cause=str(error)
                ) from error


class _Writer(Protocol):
    """A file that rows are added to."""

    def write(self, block: pl.DataFrame) -> None: ...
    def close(self, *, is_whole: bool) -> None: ...


class _Parquet:
    def __init__(self, path: Path, first: pl.DataFrame) -> None:
        self._file = TableWriter(path, _arrow(first.clear()).schema)

    def write(self, block: pl.DataFrame) -> None:
        self._file.write(_arrow(block))

    def close(self, *, is_whole: bool) -> None:
        if is_whole:
            self._file.close()
        else:
            self._file.abandon()


class _Csv:
    def __init__(self, path: Path, first: pl.DataFrame) -> None:
        self._file = path.open("xb")
        self._has_header = False

    def write(self, block: pl.DataFrame) -> None:
        block.write_csv(self._file, include_header=not self._has_header)
        self._has_header = True

    def close(self, *, is_whole: bool) -> None:
        self._file.close()


def _arrow(frame: pl.DataFrame) -> pa.Table:
    """In types that pyarrow can write: without views."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


_WRITERS: dict[str, Callable[[Path, pl.DataFrame], _Writer]] = {".parquet": _Parquet, ".csv": _Csv}
