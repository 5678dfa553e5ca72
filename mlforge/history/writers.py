"""Writers: one mlforge process at a time writes to a repository, over all its work trees."""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from mlforge.errors import RepositoryLocked
from mlforge.history.faults import storing


class WriterLock:
    """A lock that the kernel frees when its holder dies. Nested use in one thread is one use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.RLock()
        self._depth = 0

    @contextmanager
    def held(self, timeout_seconds: float) -> Iterator[bool]:
        """Hold the lock; says whether this is the outermost use."""
        deadline = time.monotonic() + timeout_seconds
        if not self._thread.acquire(timeout=max(timeout_seconds, 0)):
            raise self._refusal("a thread of this process")
        try:
            if self._depth:
                yield False
                return
            with self._opened() as file:
                self._flock(file, deadline)
                self._depth = 1
                try:
                    yield True
                finally:
                    self._depth = 0
        finally:
            self._thread.release()

    def _opened(self) -> FileIO:
        with storing(self._path):
            self._path.parent.mkdir(exist_ok=True)
            return open(self._path, "a+b", buffering=0)

    def _flock(self, file: FileIO, deadline: float) -> None:
        with storing(self._path):
            self._wait(file, deadline)
            # For people: who to wait for.
            file.truncate(0)
            file.write(str(os.getpid()).encode())

    def _wait(self, file: FileIO, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise self._refusal(f"process {_holder(file)}") from None
                time.sleep(random.uniform(0.005, 0.03))

    def _refusal(self, holder: str) -> RepositoryLocked:
        return RepositoryLocked(
            "another mlforge command is writing to this repository",
            cause=f"{self._path} is held by {holder}",
            hint="run it again when that has ended",
        )


def _holder(file: FileIO) -> str:
    file.seek(0)
    return file.read(20).decode("ascii", "replace") or "unknown"
