"""Ages: how old what the rows of a spine saw was, of as many rows as there are."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]

# So many are kept in memory. Of more, all are in a file without a name: no kill leaves it behind.
_KEPT = 1 << 23


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Microseconds: half of them at most `median`, nine of ten at most `p90`."""

    youngest: int
    median: int
    p90: int
    oldest: int


class Ages:
    """Ages in microseconds, given in parts. `folder`: where a file may be, made if needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[Int64s] = []
        self._file: IO[bytes] | None = None
        self.count = 0

    def add(self, ages: Int64s) -> None:
        """Go on with the next ones, in any order."""
        self._parts.append(ages)
        self.count += len(ages)
        if self._file is not None or self.count > _KEPT:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # It stays open between parts, and is closed with what it is of.
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        for part in self._parts:
            part.tofile(self._file)
        self._parts = []

    def close(self) -> None:
        """Free the file."""
        if self._file is not None:
            self._file.close()

    def quantiles(self) -> Quantiles | None:
        """Of all that were given, exactly; None of none."""
        if not self.count:
            return None
        ages = self._all()
        lower, higher = math.floor((self.count - 1) * 0.5), math.ceil((self.count - 1) * 0.9)
        # One at a time, which numpy does with vectors; the second moves what the first has found.
        ages.partition(lower)
        youngest, median = int(ages[: lower + 1].min()), int(ages[lower])
        ages[lower:].partition(higher - lower)
        return Quantiles(
            youngest=youngest,
            median=median,
            p90=int(ages[higher]),
            oldest=int(ages[higher:].max()),
        )

    def _all(self) -> Int64s:
        if self._file is None:
            return np.concatenate(self._parts)
        self._file.flush()
        # Sorted where it lies: the disk's cache holds as much of it as there is room for.
        return np.memmap(self._file, np.int64, "r+", shape=(self.count,))
